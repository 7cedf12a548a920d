"""Events into lanes, batches out to PostHog, and what became of them back.

Never waits unless asked to: what cannot go into the lanes stays here, and nothing more is taken.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from target_posthog.capture.batches import FED_TOGETHER, Limits
from target_posthog.capture.silence import Stalls
from target_posthog.delivery.concurrency import AdaptiveConcurrency
from target_posthog.delivery.lanes import Lanes
from target_posthog.posthog.events import MAX_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_posthog.capture.protocols import Wire
    from target_posthog.capture.results import SendResult
    from target_posthog.delivery.fates import Fates
    from target_posthog.delivery.requests import InFlight
    from target_posthog.delivery.settings import DeliverySettings
    from target_posthog.delivery.time_policy import TimePolicy
    from target_posthog.posthog.events import OutgoingEvent

#: PostHog says this of a body that is too large.
_TOO_LARGE = 413


class Dispatcher:
    """Sends events in the order of their lanes.

    Args:
        settings: the user's decisions.
        wire: the protocol.
        in_flight: carries the requests.
        fates: hears what became of events.
        clock: seconds that only go forward.

    Attributes:
        lanes: the events that are not settled.
        stalls: how long PostHog accepted nothing.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        wire: Wire,
        in_flight: InFlight,
        fates: Fates,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stalls = Stalls()
        self._wire = wire
        self._in_flight = in_flight
        self._fates = fates
        self._clock = clock
        given = settings.limits
        self._limits = Limits(given.max_events, min(given.max_bytes, wire.max_bytes))
        self.lanes = Lanes(1, self._limits, wire)
        self._concurrency = AdaptiveConcurrency(settings.max_lanes)
        #: What came last and is not all in the lanes, and where in it that begins which is not.
        self._waiting: list[OutgoingEvent] = []
        self._next = 0
        self._epoch = 0
        #: The largest request, as sent, that the server has accepted.
        self._largest_accepted = 0

    @property
    def has_room(self) -> bool:
        """Whether all that was put is in the lanes."""
        return not self._waiting

    @property
    def oldest(self) -> int | None:
        """The lowest epoch of what is not settled, None when all is."""
        oldest = self.lanes.oldest
        if self._waiting:
            return self._epoch if oldest is None else min(oldest, self._epoch)
        return oldest

    def put(
        self,
        items: Sequence[OutgoingEvent],
        joined: Sequence[tuple[str, str]],
        epoch: int,
        policy: TimePolicy,
    ) -> None:
        """Take events, in order, once there is room.

        Args:
            items: the events.
            joined: the pairs of keys of which the second's events go behind the first's.
            epoch: see `state_gate`.
            policy: what their times mean.

        Raises:
            TargetPosthogError: nothing after the last accepted batch was delivered.
        """
        if self._concurrency.count != self.lanes.count:
            # What is in the old lanes goes first: no person may change lanes under way.
            self.drain()
            self.lanes = Lanes(self._concurrency.count, self._limits, self._wire)
        self.lanes.keys.forget_moved()
        for first, second in joined:
            if not self.lanes.keys.join(first, second):
                self.drain()
        self._waiting = [*self._waiting[self._next :], *items]
        self._next = 0
        self._epoch = epoch
        self.fill(policy)

    def fill(self, policy: TimePolicy) -> None:
        """Put into the lanes what there is room for, and begin what is full."""
        while self._waiting and not self.lanes.must_wait:
            run = self._waiting[self._next : self._next + FED_TOGETHER]
            if self._add_together(run, policy):
                self._next += len(run)
            else:
                self._add_singly(run, policy)
            if self._next == len(self._waiting):
                self._waiting, self._next = [], 0
        self._begin()
        self._concurrency.note_full(self._clock(), is_full=bool(self._waiting))

    def settle_what_ended(self) -> None:
        """Write down, without waiting, what became of requests that have ended.

        Raises:
            TargetPosthogError: one was not accepted.
        """
        while (done := self._in_flight.next_done(timeout=0)) is not None:
            self._settle(*done)

    def settle_next(self) -> None:
        """Wait for the end of a request, and write down what became of its events.

        Raises:
            TargetPosthogError: it was not accepted.
        """
        began = self._clock()
        done = self._in_flight.next_done()
        if done is None:
            raise RuntimeError("no request is under way")
        waited = self._clock() - began
        self.stalls.waited(waited)
        is_loss = self.lanes.is_held_up or bool(self._waiting)
        result = self._settle(*done)
        if is_loss:
            self._concurrency.waited(waited, response_took=result.seconds)

    def hurry(self) -> None:
        """Let everything in the lanes go out, full or not."""
        self.lanes.build_all()
        self._begin()

    def drain(self) -> None:
        """Send everything in the lanes, and wait for the end of it.

        Raises:
            TargetPosthogError: some of it was not accepted.
        """
        self.hurry()
        while self.lanes.under_way:
            self.settle_next()
            self._begin()

    def _add_together(self, run: Sequence[OutgoingEvent], policy: TimePolicy) -> bool:
        """Put events into the lanes if nothing else is to do; return True if they went."""
        historical = policy.is_historical(run[0].timestamp)
        if not policy.is_uniform and any(
            policy.is_historical(item.timestamp) != historical for item in run
        ):
            return False
        return self.lanes.add_all(
            run, historical=historical, created_at=policy.now, epoch=self._epoch
        )

    def _add_singly(self, run: Sequence[OutgoingEvent], policy: TimePolicy) -> None:
        """Put events into the lanes one by one, as long as there is room."""
        for item in run:
            if self.lanes.must_wait:
                return
            self._next += 1
            put = self.lanes.add(
                item,
                historical=policy.is_historical(item.timestamp),
                created_at=policy.now,
                epoch=self._epoch,
            )
            if put != "added":
                self._fates.leave_out(item, put)
            if self.lanes.has_full_batch:
                self._begin()

    def _begin(self) -> None:
        for number, batch in self.lanes.ready():
            self._in_flight.begin(number, batch)

    def _settle(self, number: int, result: SendResult | Exception) -> SendResult:
        batch = self.lanes.done(number)
        if isinstance(result, Exception):
            self.lanes.put_back(number, [batch])
            raise result
        self._concurrency.responded(self._clock(), response_took=result.seconds)
        self._fates.accept(batch.items, result)
        refused = result.refused
        if refused is None:
            self._largest_accepted = max(self._largest_accepted, len(batch.packed))
        elif len(result.left) == 1:
            self._fates.refuse(result.left[0], f"{refused.status}: {refused.reason}")
        else:
            left = batch.of(result.left)
            # Else one of its events is what is too large.
            if refused.status == _TOO_LARGE and len(left.packed) > self._largest_accepted:
                self._bound(left.size // 2)
            self.lanes.put_back(number, left.split())
        self._fates.stop_at_too_many_rejects()
        return result

    def _bound(self, max_bytes: int) -> None:
        """Make no larger batch in this run: the server has shown that it does not take one."""
        self._limits = Limits(
            self._limits.max_events, min(self._limits.max_bytes, max(max_bytes, MAX_EVENT_BYTES))
        )
        self.lanes.bound(self._limits.max_bytes)
