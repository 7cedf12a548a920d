"""Events in, what became of them out."""

from __future__ import annotations
