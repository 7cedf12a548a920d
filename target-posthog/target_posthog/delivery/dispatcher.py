"""Events into lanes, batches out to PostHog, and what became of them back.

Never waits unless asked to: what cannot go into the lanes stays with who wanted to put it there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from target_posthog.capture.batches import FED_TOGETHER, Limits
from target_posthog.capture.silence import Stalls
from target_posthog.delivery.lanes import AdaptiveConcurrency, Lanes
from target_posthog.posthog.events import MAX_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_posthog.capture.batches import Batch
    from target_posthog.capture.protocols import Wire
    from target_posthog.capture.results import SendResult
    from target_posthog.delivery.fates import Fates
    from target_posthog.delivery.interfaces import DeliverySettings
    from target_posthog.delivery.requests import InFlight
    from target_posthog.delivery.time_policy import TimePolicy
    from target_posthog.identity.resolver import IdentityResolver
    from target_posthog.model import GroupState, Link
    from target_posthog.posthog.events import OutgoingEvent

#: PostHog says this of a body that is too large.
_TOO_LARGE = 413


class Dispatcher:
    """Sends events in the order of their lanes.

    Args:
        settings: the user's decisions.
        wire: the protocol.
        in_flight: carries the requests.
        links: remembers what PostHog was told.
        fates: counts what became of events.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        wire: Wire,
        in_flight: InFlight,
        links: IdentityResolver,
        fates: Fates,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stalls = Stalls()
        self._wire = wire
        self._in_flight = in_flight
        self._links = links
        self._fates = fates
        self._clock = clock
        given = settings.limits
        self._limits = Limits(given.max_events, min(given.max_bytes, wire.max_bytes))
        self._lanes = Lanes(1, self._limits, wire)
        self._concurrency = AdaptiveConcurrency(settings.max_lanes)
        #: What came last and is not all in the lanes, and where in it that begins which is not.
        self._waiting: list[OutgoingEvent] = []
        self._next = 0
        self._epoch = 0
        #: The most that the server took in one request, as sent.
        self._most_taken = 0
        #: Since when no event could go into a lane, and how long answers took meanwhile.
        self._full_since: float | None = None

    @property
    def has_room(self) -> bool:
        """Whether all that was put is in the lanes."""
        return not self._waiting

    @property
    def is_idle(self) -> bool:
        """Whether everything is settled."""
        return not self._waiting and self._lanes.oldest is None

    @property
    def oldest(self) -> int | None:
        """The lowest epoch of what is not settled, None when all is."""
        oldest = self._lanes.oldest
        if self._waiting:
            return self._epoch if oldest is None else min(oldest, self._epoch)
        return oldest

    @property
    def lanes(self) -> int:
        """How many requests may be under way at once by now."""
        return self._lanes.count

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
        self._adapt_lanes()
        self._lanes.forget_moved()
        for first, second in joined:
            if not self._lanes.join(first, second):
                self.drain()
        self._waiting = [*self._waiting[self._next :], *items]
        self._next = 0
        self._epoch = epoch
        self.fill(policy)

    def fill(self, policy: TimePolicy) -> None:
        """Put into the lanes what there is room for, and begin what is full."""
        while self._waiting and not self._lanes.must_wait:
            run = self._waiting[self._next : self._next + FED_TOGETHER]
            if self._add_together(run, policy):
                self._next += len(run)
            else:
                self._add_singly(run, policy)
            if self._next == len(self._waiting):
                self._waiting, self._next = [], 0
        self._begin()
        self._note_wait()

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
        is_loss = self._lanes.is_held_up or bool(self._waiting)
        result = self._settle(*done)
        if is_loss:
            self._concurrency.waited(waited, answer_took=result.seconds)

    def hurry(self) -> None:
        """Let everything in the lanes go out, full or not."""
        self._lanes.build_all()
        self._begin()

    def drain(self) -> None:
        """Send everything in the lanes, and wait for the end of it.

        Raises:
            TargetPosthogError: some of it was not accepted.
        """
        self.hurry()
        while self._lanes.under_way:
            self.settle_next()
            self._begin()

    def descriptors(self) -> Sequence[int]:
        """Return what can be read from once a request has ended."""
        return self._in_flight.descriptors()

    def close(self) -> None:
        """Begin nothing more; what is under way is not waited for."""
        self._in_flight.close()

    def _add_together(self, run: Sequence[OutgoingEvent], policy: TimePolicy) -> bool:
        """Put events into the lanes if that is all there is to do; tell whether they went."""
        historical = policy.is_historical(run[0].timestamp)
        if not policy.is_uniform and any(
            policy.is_historical(item.timestamp) != historical for item in run
        ):
            return False
        return self._lanes.add_all(
            run, historical=historical, created_at=policy.now, epoch=self._epoch
        )

    def _add_singly(self, run: Sequence[OutgoingEvent], policy: TimePolicy) -> None:
        """Put events into the lanes one by one, as long as there is room."""
        counts = self._fates.counts
        for item in run:
            if self._lanes.must_wait:
                return
            self._next += 1
            put = self._lanes.add(
                item,
                historical=policy.is_historical(item.timestamp),
                created_at=policy.now,
                epoch=self._epoch,
            )
            if put == "repeats" and not item.is_derived:
                counts.skipped["duplicate"] += 1
            elif put == "replaces":
                counts.superseded += 1
            if self._lanes.has_full_batch:
                self._begin()

    def _begin(self) -> None:
        for number, batch in self._lanes.ready(everything=False):
            self._in_flight.begin(number, batch)

    def _note_wait(self) -> None:
        """Note since when events wait for answers: more lanes would save that."""
        if not self._waiting:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = self._clock()

    def _adapt_lanes(self) -> None:
        """Have as many lanes as are worth it by now."""
        count = self._concurrency.count
        if count != self._lanes.count:
            # What is in the old lanes goes first: no person may change lanes under way.
            self.drain()
            self._lanes = Lanes(count, self._limits, self._wire)

    def _settle(self, number: int, result: SendResult | Exception) -> SendResult:
        batch = self._lanes.done(number)
        if isinstance(result, Exception):
            self._lanes.put_back(number, [batch])
            raise result
        if self._full_since is not None:
            now = self._clock()
            self._concurrency.waited(now - self._full_since, answer_took=result.seconds)
            self._full_since = now
        self._accept(batch, result)
        if result.refused is not None:
            left = batch.of(result.left)
            refused = result.refused
            if len(left.items) > 1:
                # Else one of its events is what is too large.
                if refused.status == _TOO_LARGE and len(left.packed) > self._most_taken:
                    self._bound(left.size // 2)
                self._lanes.put_back(number, left.split())
            else:
                self._refuse(left.items[0], f"{refused.status}: {refused.reason}")
        else:
            self._most_taken = max(self._most_taken, len(batch.packed))
        self._fates.stop_at_too_many_rejects()
        return result

    def _bound(self, max_bytes: int) -> None:
        """Make no larger batch in this run: the server has shown that it does not take one."""
        self._limits = Limits(
            self._limits.max_events, min(self._limits.max_bytes, max(max_bytes, MAX_EVENT_BYTES))
        )
        self._lanes.bound(self._limits.max_bytes)

    def _accept(self, batch: Batch, result: SendResult) -> None:
        """Write down what PostHog took of a batch, and what it dropped."""
        dropped = result.accepted.dropped
        items = batch.items
        if dropped or result.left:
            left = {item.uuid for item in result.left}
            for item in items:
                if item.uuid in dropped:
                    self._refuse(item, dropped[item.uuid])
            items = [one for one in items if one.uuid not in dropped and one.uuid not in left]
        telling = [item for item in items if item.is_derived or item.joins]
        if telling:
            links: list[Link] = [item.link for item in telling if item.link is not None]
            groups: list[GroupState] = [
                group for item in telling if item.is_derived for group in item.groups
            ]
            if links or groups:
                self._links.accept(links, groups)
        self._fates.accept(items, result)

    def _refuse(self, item: OutgoingEvent, reason: str) -> None:
        if item.is_derived and item.link is not None:
            self._links.refuse([item.link])
        self._fates.refuse(item, reason)
