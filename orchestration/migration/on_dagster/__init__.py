"""The migration on Dagster: one asset of hours, run range by range."""

from __future__ import annotations
