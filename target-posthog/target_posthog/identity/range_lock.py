"""One run at a time of each range: a lock of its state id, beside the ledger.

`meltano el` is told by `--force` not to ask whether a run of the same state id goes on: it would
take a run that was killed for alive for five minutes (`meltano.core.job.job`,
HEARTBEAT_VALID_MINUTES). This lock knows better: it is gone with the process that holds it.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Protocol

import sqlalchemy as sa

from target_posthog.errors import RunAgain

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from target_posthog.identity.ledger import Ledger

logger = logging.getLogger("target-posthog")

#: How long a run may take to end whose Meltano was killed: it delivers what it has. The server
#: needs as long to see that a machine is gone; see `database`.
_WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.5


class _Lock(Protocol):
    """A lock that ends with this process."""

    def take(self) -> bool:
        """Take it; return False while another process holds it."""

    def close(self) -> None:
        """Let go of it."""


class RangeLock:
    """Holds the lock of a state id until it is closed.

    Args:
        ledger: where it is held: in PostgreSQL, or in a file beside that of SQLite.
        state_id: of the range; empty when nobody said it: then nothing is locked.

    Raises:
        RunAgain: another run holds it and does not end.
    """

    def __init__(
        self,
        ledger: Ledger,
        state_id: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._lock = _lock_of(ledger, state_id) if state_id else None
        if self._lock is None or self._lock.take():
            return
        logger.info(
            "Another run of the state id %s goes on: waiting for its end, for up to %.0f s.",
            state_id,
            _WAIT_SECONDS,
        )
        end = clock() + _WAIT_SECONDS
        while clock() < end:
            sleep(_PAUSE_SECONDS)
            if self._lock.take():
                return
        self.close()
        raise RunAgain(
            f"Another run of the state id {state_id} goes on, with the same ledger.",
            "Wait for its end, or stop it, and run again; or give this range a state id of its own "
            "(MELTANO_STATE_ID).",
        )

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _lock_of(ledger: Ledger, state_id: str) -> _Lock | None:
    text = f"{ledger.project}\n{state_id}".encode()
    key = int.from_bytes(hashlib.sha256(text).digest()[:8], "big", signed=True)
    if ledger.is_shared:
        return _ServerLock(ledger, key)
    if ledger.file is None or sys.platform == "win32":
        return None
    return _FileLock(ledger.file.with_name(f"{ledger.file.name}-ranges"), key)


class _ServerLock:
    """An advisory lock of PostgreSQL, by a transaction that stays open.

    Not of the session: a pooler such as PgBouncer gives one session to many clients.
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
