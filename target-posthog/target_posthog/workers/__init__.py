"""Conversion in worker processes, and their results back in order."""

from __future__ import annotations
