"""The agreed rate over all runs that share a PostgreSQL ledger: one row, one upsert a request."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_posthog.identity.ledger import Ledger

_METADATA = sa.MetaData()
#: When the next request of a project may begin, in seconds since 1970 by the server's clock: those
#: of several machines differ.
RATES = sa.Table(
    "send_rates",
    _METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("free_at", sa.Double, nullable=False),
)
_TAKE_TURN = sa.text(
    """
    WITH clock AS (SELECT extract(epoch FROM clock_timestamp())::float8 AS now)
    INSERT INTO send_rates AS rate (project, free_at)
    SELECT :project, now + :cost FROM clock
    ON CONFLICT (project) DO UPDATE
    SET free_at = greatest(rate.free_at, (SELECT now FROM clock)) + :cost
    RETURNING free_at - :cost - (SELECT now FROM clock)
    """
)
#: The longest sleep before it is seen whether the run was stopped. Seconds.
_LONGEST_SLEEP = 1.0


class SharedRateLimiter:
    """Limits the number of events a second that all runs of a project send together.

    As `capture.rate_limit.RateLimiter` does for one run: in any interval of t seconds at most
    rate * t events and one batch begin, and idle time is not saved.

    Args:
        ledger: in PostgreSQL, with the project.

    Attributes:
        waited: see `capture.rate_limit.RateLimit`.
    """

    def __init__(
        self,
        ledger: Ledger,
        events_per_second: float,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.waited = 0.0
        self._ledger = ledger
        self._rate = events_per_second
        self._sleep = sleep
        # The requests of one run queue up here, and not with locks in the database.
        self._turn = threading.Lock()
        ledger.make_tables(_METADATA)

    def take_turn(self, events: int) -> float:
        """Take the next turn for so many events; return how many seconds are left until it.

        A turn that is taken twice, because nobody knows whether the first try was committed, makes
        the others wait for longer, never shorter.

        Raises:
            RunAgain: the database failed, or was away for too long.
        """
        values = {"project": self._ledger.project, "cost": events / self._rate}
        seconds: float = self._ledger.transact(
            lambda connection: connection.execute(_TAKE_TURN, values).scalar_one()
        )
        return max(seconds, 0.0)

    def wait(self, events: int, *, stopped: Callable[[], bool] = lambda: False) -> None:
        """Return when so many events may go.

        Raises:
            RunAgain: see `take_turn`.
        """
        with self._turn:
            left = self.take_turn(events)
            while left > 0 and not stopped():
                seconds = min(left, _LONGEST_SLEEP)
                # Before: a wait that goes on counts, too.
                self.waited += seconds
                self._sleep(seconds)
                left -= seconds
