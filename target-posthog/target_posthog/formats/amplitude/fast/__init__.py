"""The same events as `convert` makes, from JSON to JSON. Pure."""

from __future__ import annotations
