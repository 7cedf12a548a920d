"""The setting `ledger_url`, as far as it names a file. Pure."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError


def ledger_file(ledger_url: str | URL | None) -> Path | None:
    """Return the file of a ledger; None when it is on a server, in memory, or no ledger at all."""
    try:
        url = make_url(ledger_url or "")
    except ArgumentError:
        return None
    name = url.database or ""
    # SQLite's own URIs begin with `file:`, as memory does with `:` (sqlite.org/uri.html).
    is_file = url.get_backend_name() == "sqlite" and name and not name.startswith((":", "file:"))
    return Path(name) if is_file else None
