"""Singer messages in: lines, records and batch files."""

from __future__ import annotations
