"""Exported files: listed, opened, verified, and read by line."""

from __future__ import annotations
