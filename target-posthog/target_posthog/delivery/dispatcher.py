"""Batches of the lanes out to PostHog, and what became of them back.

Never waits unless asked to: what cannot go into the lanes stays in their feed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from target_posthog.capture.silence import Stalls
from target_posthog.delivery.concurrency import AdaptiveConcurrency
from target_posthog.delivery.lane_feed import LaneFeed
from target_posthog.delivery.lanes import Lanes
from target_posthog.errors import TargetPosthogError
from target_posthog.posthog.events import MAX_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_posthog.capture.batches import Batch
    from target_posthog.capture.protocols import Wire
    from target_posthog.capture.results import SendResult
    from target_posthog.delivery.fates import Fates
    from target_posthog.delivery.requests import InFlight
    from target_posthog.delivery.settings import DeliverySettings
    from target_posthog.delivery.time_policy import TimePolicy
    from target_posthog.posthog.events import OutgoingEvent

#: PostHog says this of a body that is too large.
_TOO_LARGE = 413


def _ignore() -> None:
    """Do nothing."""


class Dispatcher:
    """Sends events in the order of their lanes.

    One class, as what comes back of a request decides what its lane sends next.

    Attributes:
        lanes: the events that are not settled.
        on_settled: called after the end of each request.
        stalls: how long PostHog accepted nothing.
        waited: how many seconds were spent on nothing but waiting for it.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        wire: Wire,
        in_flight: InFlight,
        fates: Fates,
        clock: Callable[[], float],
    ) -> None:
        self.on_settled: Callable[[], object] = _ignore
        self.stalls = Stalls()
        self.waited = 0.0
        self._in_flight = in_flight
        self._fates = fates
        self._clock = clock
        limits = settings.limits
        limits = replace(limits, max_bytes=min(limits.max_bytes, wire.max_bytes))
        self.lanes = Lanes(1, limits, wire)
        self._concurrency = AdaptiveConcurrency(settings.max_lanes)
        self._feed = LaneFeed(fates)
        #: The largest request, as sent, that the server has accepted.
        self._largest_accepted = 0

    @property
    def has_room(self) -> bool:
        """Whether all that was put is in the lanes."""
        return self._feed.is_empty

    @property
    def oldest(self) -> int | None:
        """The lowest epoch of what is not settled, None when all is."""
        oldest = (self.lanes.oldest, self._feed.oldest)
        return min((epoch for epoch in oldest if epoch is not None), default=None)

    def put(
        self,
        items: Sequence[OutgoingEvent],
        joined: Sequence[tuple[str, str]],
        epoch: int,
        policy: TimePolicy,
    ) -> None:
        """Take events, in order, once there is room.

        `joined` has the pairs of keys of which the second's events go behind the first's; for
        `epoch` see `state_gate`.

        Raises:
            TargetPosthogError: nothing after the last accepted batch was delivered.
        """
        while self._concurrency.count > self.lanes.count:
            self.lanes.double()
        self.lanes.keys.forget_moved()
        for first, second in joined:
            self.lanes.join(first, second)
        self._feed.put(items, epoch)
        self.fill(policy)

    def fill(self, policy: TimePolicy) -> None:
        """Put into the lanes what there is room for, and begin what is full."""
        self._feed.fill(self.lanes, policy, self._begin)
        self._concurrency.note_full(self._clock(), is_full=not self._feed.is_empty)

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
        if (done := self._in_flight.next_done()) is None:
            raise RuntimeError("no request is under way")
        waited = self._clock() - began
        self.stalls.waited(waited)
        self.waited += waited
        is_loss = self.lanes.is_held_up or not self._feed.is_empty
        seconds = self._settle(*done)
        if is_loss:
            self._concurrency.waited(waited, response_took=seconds)

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

    def _begin(self) -> None:
        for number, batch in self.lanes.ready():
            self._in_flight.begin(number, batch)

    def _settle(self, number: int, result: SendResult | Exception) -> float:
        """Write down what became of a batch; return how long the response was on its way."""
        batch = self.lanes.done(number)
        if isinstance(result, Exception):
            self.lanes.put_back(number, [batch])
            raise result
        self._concurrency.responded(self._clock(), response_took=result.seconds)
        try:
            self._write_down(number, batch, result)
        except TargetPosthogError:
            # What is not written down holds the states behind it.
            self.lanes.put_back(number, [batch])
            raise
        self._fates.limit.check()
        self.on_settled()
        return result.seconds

    def _write_down(self, number: int, batch: Batch, result: SendResult) -> None:
        """Write down what PostHog took and refused of a batch; what it is to be asked anew waits.

        Raises:
            TargetPosthogError: a reject cannot be written.
        """
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

    def _bound(self, max_bytes: int) -> None:
        """Make no larger batch in this run: the server has shown that it does not take one."""
        limits = self.lanes.limits
        smaller = min(limits.max_bytes, max(max_bytes, MAX_EVENT_BYTES))
        self.lanes.limits = replace(limits, max_bytes=smaller)
