"""Locks beside the ledger that end with the process that holds them, whatever ends it."""

from __future__ import annotations

import hashlib
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Protocol

import sqlalchemy as sa

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

    from target_posthog.identity.ledger import Ledger


class ProcessLock(Protocol):
    """A lock that ends with this process."""

    def take(self) -> bool:
        """Take it; return False while another process holds it."""

    def close(self) -> None:
        """Let go of it."""


def lock_of(ledger: Ledger, name: str, *, kind: str) -> ProcessLock | None:
    """Return the lock of something that has a name, not taken; None where there are no locks.

    Args:
        ledger: where it is held: in PostgreSQL, or in a file beside that of SQLite.
        name: of what is locked; each project has its own.
        kind: what the things are. Those of one kind share the file beside SQLite, which a process
            must not close while it holds the lock of another one of them.
    """
    text = f"{ledger.project}\n{name}".encode()
    key = int.from_bytes(hashlib.sha256(text).digest()[:8], "big", signed=True)
    if ledger.is_shared:
        return _ServerLock(ledger, key)
    if ledger.file is None or sys.platform == "win32":
        return None
    return _FileLock(ledger.file.with_name(f"{ledger.file.name}-{kind}"), key)


class _ServerLock:
    """An advisory lock of PostgreSQL, by a transaction that stays open.

    Not of the session: a pooler such as PgBouncer gives one session to many clients.

    Args:
        ledger: in PostgreSQL.
    """

    def __init__(self, ledger: Ledger, key: int) -> None:
        self._ledger = ledger
        self._key = key
        self._connection: sa.Connection | None = None

    def take(self) -> bool:
        self._connection = self._ledger.hold(self._is_taken)
        return self._connection is not None

    def _is_taken(self, connection: sa.Connection) -> bool:
        # Without a snapshot, such a transaction keeps no old rows from being removed.
        connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        query = sa.text("SELECT pg_try_advisory_xact_lock(:key)")
        return bool(connection.execute(query, {"key": self._key}).scalar_one())

    def close(self) -> None:
        if self._connection is not None:
            with suppress(sa.exc.SQLAlchemyError):  # the server has ended it
                self._connection.close()
            self._connection = None


class _FileLock:
    """A lock of one byte of a file, one for each key: one file is enough for all ranges.

    Unlike `flock`, such a lock does not pass on to forked workers.

    Args:
        path: the file; it stays empty.
    """

    def __init__(self, path: Path, key: int) -> None:
        self._path = path
        self._place = key % 2**62
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        if sys.platform == "win32":
            return True
        try:
            if self._file is None:
                self._file = self._path.open("ab")
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._place)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # this disk has no locks
            return True
        return True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
