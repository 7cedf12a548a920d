"""From conversions to what PostHog took: collect, add links, pack, send, write down.

The order of the steps is what keeps the first promise: claims in the ledger → accepted by PostHog
or in the rejects → written to the disk → only then may the state move on. A crash between any two
steps leads to the same uuids being sent again, never to a gap.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from target_posthog.books.counts import unit_of
from target_posthog.delivery.dispatcher import Dispatcher
from target_posthog.delivery.fates import Fates
from target_posthog.delivery.identity_stage import IdentityStage, joined_by
from target_posthog.delivery.measures import Measures, measures_of
from target_posthog.delivery.state_gate import StateGate
from target_posthog.delivery.time_policy import TimePolicy
from target_posthog.posthog.events import OutgoingEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from target_posthog.books.lines import Line, Unit
    from target_posthog.capture.batches import Limits
    from target_posthog.capture.protocols import Wire
    from target_posthog.delivery.requests import InFlight
    from target_posthog.delivery.settings import DeliverySettings
    from target_posthog.identity.resolver import IdentityResolver
    from target_posthog.input.intake import Outcome
    from target_posthog.progress.counts import Counts
    from target_posthog.rejects.writer import Rejects

logger = logging.getLogger("target-posthog")

#: How much is looked up in the ledger at once: enough that its commits, each of which waits for
#: the disk, cost little.
_STRETCH_EVENTS, _STRETCH_BYTES = 3000, 6 * 1024 * 1024
_RECENT_EVENTS = (
    "Some events are newer than 48 hours: PostHog may bill them although `historical_migration` "
    "is on. `historical_migration: auto` sends them as live events; an earlier `end_date` leaves "
    "them out."
)


class Stage(Protocol):
    """Completes stretches of events, in order; see `IdentityStage`."""

    def completed(self, items: list[OutgoingEvent]) -> list[OutgoingEvent]:
        """Return a stretch of events as they go out."""


class _Stretch:
    """The events that came last, to be looked up in the ledger at once."""

    def __init__(self, limits: Limits) -> None:
        self.items: list[OutgoingEvent] = []
        self.latest = ""
        self.epoch = 0
        self._size = 0
        self._max_events = min(_STRETCH_EVENTS, limits.max_events)
        self._max_bytes = min(_STRETCH_BYTES, 2 * limits.max_bytes)

    def add(self, items: Sequence[OutgoingEvent], measures: Measures, epoch: int) -> None:
        if not self.items:
            self.epoch = epoch
        self.items += items
        self.latest = max(self.latest, measures.latest)
        self._size += measures.size

    @property
    def is_full(self) -> bool:
        return self._size >= self._max_bytes or len(self.items) >= self._max_events

    def clear(self) -> None:
        self.items, self.latest, self._size = [], "", 0


def _ignore(*_: object) -> None:
    """Do nothing."""


class Delivery:
    """Takes what became of records, in order, and delivers the events.

    One class, as the order of its steps keeps the first promise.

    Args:
        write_book: writes lines of the book, before the state behind them may be written.
        run: what names this run in the book; empty when it is not written.
        stage_of: makes what completes stretches of events.

    Attributes:
        counts: one number per fate of a record.
        gate: holds marks, such as states, until everything before them is settled.
        on_completed: called with events as they go out, in their order, with those that are added.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        wire: Wire,
        in_flight: InFlight,
        links: IdentityResolver,
        rejects: Rejects,
        utc_now: Callable[[], datetime],
        write_book: Callable[[list[tuple[Unit, Line]]], object] | None = None,
        run: str = "",
        stage_of: Callable[[IdentityResolver, Wire, Counts], Stage] = IdentityStage,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fates = Fates(rejects, links, settings.max_reject_ratio, run=run)
        self.counts = self.fates.counts
        self.gate: StateGate[Any] = StateGate()
        self.on_completed: Callable[[Sequence[OutgoingEvent]], object] = _ignore
        self._historical = settings.historical_migration
        self._utc_now = utc_now
        self._write_book = write_book or _ignore
        #: Lines of the book that are not written yet.
        self._lines: list[tuple[Unit, Line]] = []
        self._identity = stage_of(links, wire, self.counts)
        self.dispatcher = Dispatcher(
            settings, wire=wire, in_flight=in_flight, fates=self.fates, clock=clock
        )
        self._stretch = _Stretch(settings.limits)
        self._warned_of_recent = False
        self._policy = TimePolicy(self._historical, utc_now())

    @property
    def latest_time(self) -> str:
        """The last time that PostHog takes as it is, RFC 3339."""
        return self._policy.latest

    @property
    def oldest(self) -> int | None:
        """The lowest epoch of what is not settled, None when all is."""
        oldest = self.dispatcher.oldest
        if self._stretch.items:
            return self._stretch.epoch if oldest is None else min(oldest, self._stretch.epoch)
        return oldest

    def take(self, outcome: Outcome, record: Any, *, stream: str = "", origin: bytes = b"") -> None:
        """Take what became of one record; send when a batch is full.

        The record may be its JSON. For the `origin` of one that became no event see
        `OutgoingEvent`.

        Raises:
            TargetPosthogError: nothing after the last accepted batch was delivered.
        """
        if isinstance(outcome, OutgoingEvent):
            outcome.record = record
            outcome.stream = stream
            self.take_events([outcome], stream)
        else:
            self.fates.take(outcome, record, 0, unit_of(stream, origin))

    def take_events(
        self, items: Sequence[OutgoingEvent], stream: str, measures: Measures | None = None
    ) -> None:
        """Take the events of a stream's records; their `measures`, if they are known.

        Raises:
            TargetPosthogError: see `take`.
        """
        if measures is None:
            measures = measures_of(items)
        self.counts.exported += len(items)
        self.fates.book.take(stream, measures.counts, measures.samples)
        self._stretch.add(items, measures, self.gate.epoch)
        if self._stretch.is_full:
            self._pass_on()

    def note(self, mark: Any) -> None:
        """Take a mark behind all that came so far; see `passed`."""
        self.gate.note(mark)
        if isinstance(mark, dict):
            self.fates.book.note(mark)

    def passed(self) -> Iterator[Any]:
        """Take off, in order, the marks that everything before is settled of, and on the disk."""
        if not self.gate.is_open and (marks := list(self.gate.passed(self.oldest))):
            self.fates.save()
            states = [mark for mark in marks if isinstance(mark, dict)]
            self._lines += [line for _ in states for line in self.fates.book.close()]
            # Lines that could not be written hold every later state.
            self._write_book(self._lines)
            self._lines = []
            yield from marks

    def attend(self) -> None:
        """Do what can be done without waiting.

        Raises:
            TargetPosthogError: a batch was not accepted.
        """
        self.dispatcher.settle_what_ended()
        self.dispatcher.fill(self._policy)

    def hurry(self) -> None:
        """Begin to send everything that was taken, without waiting for the end of it."""
        self._pass_on()
        self.dispatcher.hurry()

    def flush(self) -> None:
        """Deliver everything that was taken, and bring it all to the disk.

        Raises:
            TargetPosthogError: some of it is not delivered; the state must not move.
        """
        self._pass_on()
        self._make_room()
        self.dispatcher.drain()
        self.fates.save()

    def finish_book(self) -> None:
        """Write down what no state stands behind, at the end of the input; all is delivered."""
        self._write_book([*self._lines, *self.fates.book.finish()])

    def _pass_on(self) -> None:
        """Complete the stretch, and put it into the lanes."""
        self._make_room()
        self.dispatcher.settle_what_ended()
        self._policy = TimePolicy(self._historical, self._utc_now())
        if self._stretch.items:
            if not self._warned_of_recent and self._policy.may_be_billed(self._stretch.latest):
                self._warned_of_recent = True
                logger.warning(_RECENT_EVENTS)
            items = self._identity.completed(self._stretch.items)
            self.on_completed(items)
            self.dispatcher.put(items, joined_by(items), self._stretch.epoch, self._policy)
            # Not before: what cannot be passed on holds the states behind it.
            self._stretch.clear()

    def _make_room(self) -> None:
        """Wait until all that was passed on is in the lanes."""
        while not self.dispatcher.has_room:
            self.dispatcher.settle_next()
            self.dispatcher.fill(self._policy)
