"""Numbers of things in words. Pure."""

from __future__ import annotations


def count(number: int, thing: str) -> str:
    """Return a number of things in words: `1 file`, `2,000 files`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
