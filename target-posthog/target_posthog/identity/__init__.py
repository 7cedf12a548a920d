"""Who is who, decided against the ledger."""

from __future__ import annotations
