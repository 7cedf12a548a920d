"""What came last, and goes into the lanes as far as there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.capture.batches import FED_TOGETHER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_posthog.delivery.fates import Fates
    from target_posthog.delivery.lanes import Lanes
    from target_posthog.delivery.time_policy import TimePolicy
    from target_posthog.posthog.events import OutgoingEvent


class LaneFeed:
    """The events that are not all in the lanes.

    Args:
        fates: hears of events that are not new in their batch.
    """

    def __init__(self, fates: Fates) -> None:
        self._fates = fates
        self._waiting: list[OutgoingEvent] = []
        #: Where in them those begin that are not in the lanes.
        self._next = 0
        self._epoch = 0

    @property
    def is_empty(self) -> bool:
        """Whether all that was put is in the lanes."""
        return not self._waiting

    @property
    def oldest(self) -> int | None:
        """The epoch of what is not in the lanes, None when all is."""
        return self._epoch if self._waiting else None

    def put(self, items: Sequence[OutgoingEvent], epoch: int) -> None:
        """Take events, in order, of an epoch (see `state_gate`), once the feed is empty."""
        self._waiting = [*self._waiting[self._next :], *items]
        self._next, self._epoch = 0, epoch

    def fill(self, lanes: Lanes, policy: TimePolicy, begin: Callable[[], None]) -> None:
        """Put into the lanes what there is room for.

        Args:
            lanes: the lanes.
            policy: what the times of events mean.
            begin: begins the requests of full batches.
        """
        while self._waiting and not lanes.must_wait:
            run = self._waiting[self._next : self._next + FED_TOGETHER]
            if self._add_together(run, lanes, policy):
                self._next += len(run)
            else:
                self._add_singly(run, lanes, policy, begin)
            if self._next == len(self._waiting):
                self._waiting, self._next = [], 0
        begin()

    def _add_together(self, run: Sequence[OutgoingEvent], lanes: Lanes, policy: TimePolicy) -> bool:
        """Put events into the lanes if nothing else is to do; return True if they went."""
        historical = policy.is_historical(run[0].timestamp)
        if not policy.is_uniform and any(
            policy.is_historical(item.timestamp) != historical for item in run
        ):
            return False
        return lanes.add_all(run, historical=historical, created_at=policy.now, epoch=self._epoch)

    def _add_singly(
        self,
        run: Sequence[OutgoingEvent],
        lanes: Lanes,
        policy: TimePolicy,
        begin: Callable[[], None],
    ) -> None:
        """Put events into the lanes one by one, as long as there is room."""
        for item in run:
            if lanes.must_wait:
                return
            self._next += 1
            put = lanes.add(
                item,
                historical=policy.is_historical(item.timestamp),
                created_at=policy.now,
                epoch=self._epoch,
            )
            if put != "added":
                self._fates.leave_out(item, put)
            if lanes.has_full_batch:
                begin()
