"""Which file the ledger is: the place of its summary and its locks depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_posthog.ledger_url import ledger_file


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///target-posthog.db", "target-posthog.db"),
        ("sqlite:////data/a b.db?timeout=3", "/data/a b.db"),
        # Its second letter is no sign of a URI of SQLite's.
        ("sqlite:///C:/data/a.db", "C:/data/a.db"),
        *((url, None) for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:a?uri=true")),
        *((url, None) for url in ("postgresql://user@host/name", "ledger.db", "", None)),
    ],
)
def test_a_ledger_is_a_file_or_none(url: str | None, file: str | None) -> None:
    """On a server, in memory, or no ledger at all: there is nothing that lies beside it."""
    assert ledger_file(url) == (None if file is None else Path(file))
