"""One run at a time of each range: a lock of its state id, beside the ledger.

`meltano el --force` does not ask whether a run of the same state id goes on: without it, it would
take a run that was killed for alive for five minutes (`meltano.core.job.job`,
HEARTBEAT_VALID_MINUTES). This lock knows better: it is gone with the process that holds it.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from target_posthog.errors import RunAgain
from target_posthog.identity.process_locks import lock_of
from target_posthog.progress.summary import STATE_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from target_posthog.identity.ledger import Ledger

logger = logging.getLogger("target-posthog")

#: How long a run may take to end whose Meltano was killed: it delivers what it has. The server
#: needs as long to see that a machine is gone; see `database`.
_WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.5


def range_of_run(config_files: Iterable[str], environment: Mapping[str, str]) -> str:
    """Return the state id of the range that a run moves; empty when nothing tells it.

    `meltano el` keeps the settings of its plugins in `.meltano/run/elt/<state id>/<run id>/`
    (meltano.core.project_dirs_service, `job`), without the letters that no file has. It tells the
    option `--state-id`, too, of which the plugins have no variable, and which has the last word.
    """
    for file in config_files:
        match Path(file).parts:
            case [*_, "run", "elt", state_id, _, _]:
                return state_id
    return environment.get(STATE_ID, "")


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
        self._lock = lock_of(ledger, state_id, kind="ranges") if state_id else None
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
            "(`--state-id`, MELTANO_STATE_ID).",
        )

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
