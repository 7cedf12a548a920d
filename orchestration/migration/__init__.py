"""A migration in ranges of export hours, on any engine; on Dagster with `definitions`."""

from __future__ import annotations
