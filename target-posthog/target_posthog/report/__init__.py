"""The report of a migration: the book's numbers as sections, charts and one HTML page."""

from __future__ import annotations
