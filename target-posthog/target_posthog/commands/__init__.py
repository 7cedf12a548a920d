"""The commands beside the target itself."""

from __future__ import annotations
