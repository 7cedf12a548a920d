"""The book of a migration: for each export hour what was exported, and what became of it."""

from __future__ import annotations
