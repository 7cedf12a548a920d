"""What both plugins need, byte for byte the same in both: neither depends on the other."""

from __future__ import annotations
