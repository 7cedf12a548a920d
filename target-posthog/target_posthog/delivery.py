"""From conversions to what PostHog took: collect, add links, pack, send, write down.

The order of the steps is what keeps the first promise: claims in the ledger → accepted by PostHog
or in the rejects → written to the disk → only then may the state move on. A crash between any two
steps leads to the same uuids being sent again, never to a gap.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from target_posthog.batches import FED_TOGETHER, MAX_EVENT_BYTES, Item, Limits, item_of
from target_posthog.conversion import Conversion, Json, Rejected, Skipped, whole_record
from target_posthog.errors import RejectsAtTheEnd, TooManyRejects
from target_posthog.kept import Kept, fingerprints_of
from target_posthog.lanes import Lanes, Patience
from target_posthog.progress import Counts
from target_posthog.sightings import sightings_of, told_beside
from target_posthog.silence import Stalls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_posthog.answers import Answer
    from target_posthog.batches import Batch
    from target_posthog.conversion import StreamLine
    from target_posthog.delivery_needs import (
        DeliverySettings,
        KeptEvents,
        RejectsFile,
        ToldLinks,
    )
    from target_posthog.in_flight import InFlight
    from target_posthog.protocols import Wire

logger = logging.getLogger("target-posthog")

#: PostHog bills events that are newer than this as live ones, whatever the flag says
#: (posthog.com, docs/migrate: "dated at least 48 hours before the time of import").
RECENT = timedelta(hours=48)
#: PostHog replaces times that lie further ahead by its own clock.
FUTURE = timedelta(hours=23)
#: The share of rejects says nothing about the first few records.
_RATIO_COUNTS_FROM = 10_000
#: How much is looked up in the ledger at once: enough that its commits, each of which waits for
#: the disk, and the messages of workers cost little. Two stretches are in memory at a time, so
#: they are not larger than two batches may be.
_STRETCH_EVENTS, _STRETCH_BYTES = 4000, 8 * 1024 * 1024


class Delivery:
    """Takes conversions one by one and delivers them in order.

    Args:
        settings: the user's decisions.
        wire: the protocol.
        in_flight: carries the requests.
        links: which events to add.
        rejects: where refused events go.
        utc_now: the clock.
        patience: says how many requests go side by side; several deliveries may share one.
        kept: knows of which accepted events PostHog had an older version.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        wire: Wire,
        in_flight: InFlight,
        links: ToldLinks,
        rejects: RejectsFile,
        utc_now: Callable[[], datetime],
        patience: Patience | None = None,
        kept: KeptEvents | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = Counts()
        self.stalls = Stalls()
        self._settings = settings
        self._wire = wire
        self._in_flight = in_flight
        self._links = links
        self._rejects = rejects
        self._kept = kept or Kept()
        self._utc_now = utc_now
        self._clock = clock
        limits = settings.limits
        self._limits = Limits(limits.max_events, min(limits.max_bytes, wire.max_bytes))
        self._lanes = Lanes(1, self._limits, wire)
        self._patience = patience or Patience(settings.max_lanes)
        self._stretch: list[Item] = []
        self._stretch_size = 0
        self._asked: list[Item] = []
        self._passing_on: deque[Item] = deque()
        self._stretch_events = min(_STRETCH_EVENTS, limits.max_events)
        self._stretch_bytes = min(_STRETCH_BYTES, 2 * limits.max_bytes)
        self._warned_of_recent = False
        self._set_clock()

    def take(self, record: Json | bytes, conversion: Conversion) -> None:
        """Take what became of one record; send when a batch is full.

        Args:
            record: the record, or its JSON.
            conversion: what became of it.

        Raises:
            TargetPosthogError: nothing after the last accepted batch was delivered.
        """
        self.counts.exported += 1
        if isinstance(conversion, Skipped):
            self.counts.skipped[conversion.rule] += 1
            return
        if isinstance(conversion, Rejected):
            self._reject(conversion, "convert", record)
            self.stop_at_too_many_rejects()
            return
        item = item_of(conversion, record, self._wire, self._latest_time)
        if isinstance(item, Rejected):
            self._reject(item, "check", record)
            self.stop_at_too_many_rejects()
            return
        self._add([item], len(item.body) + 1)

    def take_usual(self, items: Sequence[Item]) -> bool:
        """Take the events of usual rows, if each can be taken as it is; tell whether they were.

        Raises:
            TargetPosthogError: see `take`.
        """
        sizes = [len(item.body) for item in items]
        if max(sizes) > MAX_EVENT_BYTES:
            return False
        if max([item.timestamp for item in items]) > self._latest_time:
            return False
        self.counts.exported += len(items)
        self._add(items, sum(sizes) + len(items))
        return True

    def _add(self, items: Sequence[Item], size: int) -> None:
        self._stretch += items
        self._stretch_size += size
        if self._stretch_size >= self._stretch_bytes or len(self._stretch) >= self._stretch_events:
            self._pass_on()

    def take_unreadable(self, line: bytes, reason: str) -> None:
        """Take a line that is no record, or a record too deep to be read; as it is."""
        self.counts.exported += 1
        self.counts.rejected["bad_line"] += 1
        text = line.decode("utf-8", "backslashreplace")
        self._rejects.write(Rejected("bad_line", reason), "read", text)
        self.stop_at_too_many_rejects()

    def flush(self) -> None:
        """Deliver everything that was taken, and bring it all to the disk.

        Raises:
            TargetPosthogError: some of it is not delivered; the state must not move.
        """
        self._pass_on(everything=True)
        self._drain()
        self._rejects.save()

    def begin(self) -> None:
        """Begin to deliver everything that was taken, without waiting for the end of it."""
        self._pass_on(everything=True)
        self._begin_ready(everything=True)

    def settle(self) -> bool:
        """Write down, without waiting, what ended since `begin`; tell whether that is all.

        Raises:
            TargetPosthogError: some of it is not delivered.
        """
        self._settle_what_ended()
        self._begin_ready(everything=True)
        return not self._lanes.under_way

    @property
    def lanes(self) -> int:
        """How many requests may be under way at once by now."""
        return self._lanes.count

    def close(self) -> None:
        """Begin nothing more; what is under way is not waited for."""
        self._in_flight.close()

    def _pass_on(self, *, everything: bool = False) -> None:
        """Put what was asked about into the lanes, and ask about the stretch.

        While the answer is under way the next stretch is read.

        Args:
            everything: wait for that answer, too.
        """
        self._take_answer(wait=True)
        if self._stretch:
            self._asked, self._stretch, self._stretch_size = self._stretch, [], 0
            self._links.ask(sightings_of(self._asked))
            self._take_answer(wait=everything)
        self._into_lanes()
        self._settle_what_ended()
        self._set_clock()

    def _take_answer(self, *, wait: bool) -> None:
        """Let the stretch go on that was asked about, with what PostHog must be told beside it."""
        news = self._links.answer(wait=wait) if self._asked else None
        if news is not None:
            self.counts.shared_devices += news.newly_shared
            self._warn_of_recent(self._asked)
            self._passing_on.extend(told_beside(self._asked, news, self._wire))
            self._asked = []

    def _into_lanes(self) -> None:
        """Put everything that may go on into the lanes."""
        self._adapt_lanes()
        while self._passing_on:
            run = list(islice(self._passing_on, FED_TOGETHER))
            if self._take_together(run):
                for _ in run:
                    self._passing_on.popleft()
            else:
                for _ in run:
                    self._take_next()

    def _take_together(self, run: Sequence[Item]) -> bool:
        """Put events into the lanes if they go there without any ado; tell whether they did."""
        old = self._is_old(run[0])
        if self._settings.historical_migration == "auto" and any(
            self._is_old(item) != old for item in run
        ):
            return False
        return self._lanes.add_all(run, historical=old, created_at=self._now)

    def _take_next(self) -> None:
        item = self._passing_on.popleft()
        put = self._lanes.add(item, historical=self._is_old(item), created_at=self._now)
        if put == "repeats" and not item.told:
            self.counts.skipped["duplicate"] += 1
        elif put == "replaces":
            self.counts.superseded += 1
        if self._lanes.are_pressed:
            self._begin_what_is_full()

    def _is_old(self, item: Item) -> bool:
        """Tell whether an event goes as a historical migration."""
        wanted = self._settings.historical_migration
        return item.timestamp < self._oldest_recent if wanted == "auto" else wanted == "true"

    def _begin_what_is_full(self) -> None:
        """Begin full batches; go on when there is room for more."""
        self._begin_ready(everything=False)
        while self._lanes.must_wait:
            self._settle_next(is_loss=True)
            self._begin_ready(everything=False)
        self._adapt_lanes()

    def _adapt_lanes(self) -> None:
        """Have as many lanes as are worth it by now."""
        count = self._patience.count
        if count != self._lanes.count:
            # What is in the old lanes goes first: no device may change lanes under way.
            self._drain()
            self._lanes = Lanes(count, self._limits, self._wire)

    def _drain(self) -> None:
        """Begin everything, and wait for the end of it."""
        self._begin_ready(everything=True)
        while self._lanes.under_way:
            self._settle_next(is_loss=self._lanes.is_held_up)
            self._begin_ready(everything=True)

    def _begin_ready(self, *, everything: bool) -> None:
        for number, batch in self._lanes.ready(everything=everything):
            self._in_flight.begin(number, batch)

    def _settle_what_ended(self) -> None:
        """Write down, without waiting, what became of requests that have ended."""
        while (done := self._in_flight.next_done(timeout=0)) is not None:
            self._settle(*done)

    def _settle_next(self, *, is_loss: bool) -> None:
        """Wait for the end of a request, and write down what became of its events.

        Args:
            is_loss: more lanes would have saved the wait.
        """
        began = self._clock()
        done = self._in_flight.next_done()
        if done is None:
            raise RuntimeError("no request is under way")
        waited = self._clock() - began
        self.stalls.waited(waited)
        answer = self._settle(*done)
        if is_loss:
            self._patience.waited(waited, answer_took=answer.seconds)

    def _settle(self, number: int, answer: Answer | Exception) -> Answer:
        batch = self._lanes.done(number)
        if isinstance(answer, Exception):
            self._lanes.put_back(number, [batch])
            raise answer
        self._accept(batch, answer)
        if answer.refused is not None:
            left = batch.of(answer.left, self._wire)
            if len(left.items) > 1:
                self._lanes.put_back(number, left.halves(self._wire))
            else:
                refused = answer.refused
                self._refuse(left.items[0], f"{refused.status}: {refused.answer}")
        self.stop_at_too_many_rejects()
        return answer

    def _accept(self, batch: Batch, answer: Answer) -> None:
        """Write down what PostHog took of a batch, and what it dropped."""
        dropped = answer.taken.dropped
        items = batch.items
        if dropped or answer.left:
            left = {item.uuid for item in answer.left}
            for item in items:
                if item.uuid in dropped:
                    self._refuse(item, dropped[item.uuid])
            items = [one for one in items if one.uuid not in dropped and one.uuid not in left]
        told = [item for item in items if item.told or item.joins]
        if told:
            links = [item.link for item in told if item.link is not None]
            told = [item for item in told if item.told]
            self._links.accept(links, [group for item in told for group in item.groups])
            items = [item for item in items if not item.told]
        self.count_accepted(len(items), fingerprints_of(items))
        links_told = sum(item.link is not None for item in told)
        self.counts.links += links_told
        self.counts.groups += len(told) - links_told
        self.counts.warned.update(answer.taken.warned.values())

    def count_accepted(self, events: int, fingerprints: Sequence[int]) -> None:
        """Count accepted events, and the older versions that they supersede.

        PostHog keeps one of both, the one that came last, so that is not one event more.

        Args:
            events: how many there are that are not counted yet.
            fingerprints: of all of them, or of events that are counted as accepted already.
        """
        superseded = self._kept.repeats(fingerprints)
        self.counts.accepted += events - superseded
        self.counts.superseded += superseded

    def _refuse(self, item: Item, answer: str) -> None:
        reason = Rejected("refused_by_posthog", f"PostHog answered {answer}")
        if not item.told:
            self._reject(reason, "send", item.record)
            return
        # The record itself is delivered on its own; only the added event is lost.
        self.counts.added_rejected[reason.code] += 1
        if item.link is not None:
            self._links.refuse([item.link])
        self._write(reason, "send", item.record)

    def _reject(self, rejected: Rejected, stage: str, record: Json | bytes | StreamLine) -> None:
        self._write(rejected, stage, record)
        self.counts.rejected[rejected.code] += 1

    def _write(self, rejected: Rejected, stage: str, record: Json | bytes | StreamLine) -> None:
        self._rejects.write(rejected, stage, whole_record(record))

    def stop_at_too_many_rejects(self) -> None:
        """Stop the run when the share of rejects is above the limit.

        Raises:
            TooManyRejects: it is.
        """
        if self.counts.exported > _RATIO_COUNTS_FROM and self._has_too_many_rejects():
            self._rejects.save()
            raise TooManyRejects(
                self._too_many_rejects(),
                f"Look at {self._rejects.place}; a wrong mapping is the usual cause.",
            )

    def stop_at_the_end(self, *, is_preview: bool) -> None:
        """Do it when the run has come to its end, however short it was; its state is written.

        Raises:
            TooManyRejects: the share of rejects is above the limit.
        """
        if self._has_too_many_rejects():
            next_step = (
                "correct the cause, and preview again. Nothing was sent."
                if is_preview
                else self._after_rejects()
            )
            raise RejectsAtTheEnd(
                self._too_many_rejects(), f"Look at {self._rejects.place}, {next_step}"
            )

    def _after_rejects(self) -> str:
        """Return what to do about the rejects: a line that is no record cannot be sent again."""
        lines = self.counts.rejected["bad_line"]
        if lines == self.counts.rejected.total():
            next_step = "fix these lines where they came from, and have the tap read them again"
        else:
            next_step = (
                "correct the cause, and send the records with `target-posthog-replay`: no run "
                "reads them again"
            )
            if lines:
                next_step += (
                    f". {lines:,} of them are lines that are not records (`bad_line`): fix them "
                    "where they came from, and have the tap read those again"
                )
        return f"{next_step}. All others are delivered."

    def _has_too_many_rejects(self) -> bool:
        total = self.counts.rejected.total()
        return total > self.counts.exported * self._settings.max_reject_ratio

    def _too_many_rejects(self) -> str:
        return (
            f"{self.counts.rejected.total():,} of {self.counts.exported:,} records were rejected, "
            f"more than `max_reject_ratio` ({self._settings.max_reject_ratio:g}) allows."
        )

    def _warn_of_recent(self, items: Sequence[Item]) -> None:
        if self._warned_of_recent or self._settings.historical_migration != "true":
            return
        if max([item.timestamp for item in items]) >= self._oldest_recent:
            self._warned_of_recent = True
            logger.warning(
                "Some events are newer than 48 hours: PostHog may bill them although "
                "`historical_migration` is on. `historical_migration: auto` sends them as live "
                "events; an earlier `end_date` leaves them out."
            )

    def _set_clock(self) -> None:
        now = self._utc_now()
        self._now = f"{now:%Y-%m-%dT%H:%M:%S.%f}Z"
        self._oldest_recent = f"{now - RECENT:%Y-%m-%dT%H:%M:%S.%f}Z"
        self._latest_time = f"{now + FUTURE:%Y-%m-%dT%H:%M:%S.%f}Z"
