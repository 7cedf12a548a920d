"""All that comes in, on its one way to the delivery: records, files and states, in their order.

The way is the same for RECORD lines, BATCH files and previews: blocks of lines are converted, by
workers or here, and taken back in order (`workers.ordered_intake`). What has to pass through the
SDK is taken between them, at its place.
"""

from __future__ import annotations

import copy
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from target_posthog.delivery.state_writer import StateWriter
from target_posthog.errors import TargetPosthogError
from target_posthog.input.tap_end import tap_end_of, tells_of_an_earlier_run
from target_posthog.progress.counts import Hours
from target_posthog.progress.waiting import CONVERSION, POSTHOG, TAP
from target_posthog.workers.block_taker import BlockTaker
from target_posthog.workers.messages import BlockStream
from target_posthog.workers.ordered_intake import OrderedIntake
from target_posthog.workers.staffing import Staffing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_posthog.input.batch_files import BatchFile
    from target_posthog.input.record_blocks import RecordBlock
    from target_posthog.input.tap_end import TapEnd
    from target_posthog.model import Json
    from target_posthog.monitor import Monitor
    from target_posthog.runtime import Runtime
    from target_posthog.settings import Settings
    from target_posthog.sinks import PosthogSink


class Inflow:
    """Takes what a tap sends. One class, as the order of all that comes is kept here.

    Args:
        plain_sink: returns the sink of a stream whose records need nothing of the SDK, else None.
        take_line: takes a RECORD line with its number, as the SDK does.
        write_state: writes a state.
        say: logs what streams have to say, a level and a text, once.

    Attributes:
        has_begun: a record or a state came.
        has_schema: a schema came; a state before it is the one that the tap goes on from.
        has_states: a STATE came.
        is_closed: a STATE stands behind all that came.
    """

    def __init__(
        self,
        settings: Settings,
        runtime: Runtime,
        monitor: Monitor,
        *,
        plain_sink: Callable[[str], PosthogSink | None],
        take_line: Callable[[bytes, int], None],
        write_state: Callable[[Json], None],
        say: Callable[[int, str], None],
    ) -> None:
        self.has_begun = self.has_schema = self.has_states = False
        self.is_closed = self.are_shared = False
        self._runtime = runtime
        self._delivery = runtime.delivery
        self._monitor = monitor
        self._plain_sink = plain_sink
        self._states = StateWriter(self._delivery, write_state, monitor.reached)
        self._delivery.dispatcher.on_settled = self._states.write_safe
        self._staffing = Staffing(settings, runtime.wire, is_preview=runtime.preview is not None)
        self._taker = BlockTaker(self._delivery, take_line, say)
        self._ordered = OrderedIntake(
            self._staffing.start,
            self._staffing.inline(),
            self._delivery,
            self._taker,
            lambda stream: self._sink_of(stream).intake,
        )
        self._streams: dict[tuple[str, bool], BlockStream] = {}
        self._bytes = 0

    @property
    def met(self) -> set[tuple[str, str]]:
        """The entries of settings that rows met something for; see `entries_met`."""
        return self._taker.met

    def takes(self, stream: str) -> bool:
        """Return True if records of the stream need nothing of the SDK."""
        return self._plain_sink(stream) is not None

    def take_records(self, block: RecordBlock) -> None:
        """Take a block of records of such a stream."""
        self.open()
        self._bytes += block.size
        came = block.number + len(block.lines) - 1
        if not self.are_shared and self._staffing.pays_for_records(came, self._bytes):
            self.are_shared = True
            # At once: the first request has a thread.
            self._ordered.start()
        self._wait_until(lambda: self._ordered.has_room_for_records)
        stream = self._stream_of(block.stream, of_records=True)
        self._ordered.add_records(stream, block, are_shared=self.are_shared)
        if not self.are_shared:
            self.catch_up()

    def take_files(self, stream: str, files: Sequence[BatchFile]) -> None:
        """Take the files of a BATCH message of such a stream.

        Raises:
            TargetPosthogError: one of them is not there.
        """
        self.open()
        self._ordered.add(self._stream_of(stream, of_records=False), files)

    def open(self) -> None:
        """Begin with a record."""
        self.begin(goes_on=False)
        self.is_closed = False

    def take_state(self, state: Any) -> None:
        """Take a state behind all that came before."""
        self.begin(goes_on=not self.has_begun and tells_of_an_earlier_run(state))
        self.has_states = self.is_closed = True
        if not self.has_schema:
            book = self._delivery.fates.book
            book.go_on_from(state)
            self._runtime.free_order.go_on_from(book.read)
        self._ordered.note(copy.deepcopy(state or {}))
        self.attend()

    def catch_up(self) -> None:
        """Wait until the delivery has all lines that are on the way."""
        self._wait_until(lambda: self._ordered.is_idle)

    def deliver_all(self) -> None:
        """Wait until everything that came so far is delivered, and on the disk."""
        self.catch_up()
        self._delivery.flush()
        self._states.pass_marks()

    def deliver_and_write(self, state: Json) -> None:
        """Write a state behind everything that came so far."""
        self.deliver_all()
        self._states.write_now(state)

    def save_what_is_safe(self) -> None:
        """Deliver what came before input that cannot be read, and write the state behind it."""
        self.catch_up()
        self._delivery.flush()
        self._states.keep_what_is_safe()

    def attend(self) -> tuple[list[int], float | None]:
        """Let the delivery go on, and write the state that is safe by now.

        Returns:
            See `stdin.OnIdle`.
        """
        try:
            descriptors, seconds = self._ordered.attend()
            self._delivery.attend()
            due = self._states.attend()
        except TargetPosthogError:
            self._states.keep_what_is_safe()
            raise
        self.show_progress()
        times = [moment for moment in (seconds, due) if moment is not None]
        return [*descriptors, *self._runtime.in_flight.descriptors()], min(times, default=None)

    def tap_end(self, state: Json) -> TapEnd:
        """Return how the tap ended, whose last STATE this is."""
        return tap_end_of(
            is_closed=self.is_closed,
            has_states=self.has_states,
            has_records=self._delivery.counts.exported > 0,
            hours=Hours.of_state(state),
        )

    def show_progress(self) -> None:
        """Show how far the run is, if it is time."""
        now, stalls = time.monotonic(), self._delivery.dispatcher.stalls
        is_waiting = not self._ordered.is_idle
        stalls.watch(now, self._delivery.counts.accepted, is_waiting=is_waiting)
        self._monitor.look(now, stalled=stalls.seconds(now))

    def note_wait(self, seconds: float) -> None:
        """Note whom a wait was for."""
        whom = TAP
        if not self._delivery.dispatcher.has_room:
            whom = POSTHOG
        elif not self._ordered.is_idle:
            whom = CONVERSION
        self._monitor.waits.add(whom, seconds)

    def close(self) -> None:
        """End the workers; what is under way is not waited for."""
        self._ordered.close()

    def begin(self, *, goes_on: bool) -> None:
        """See at the first message whether the ledger knows what the state says was sent."""
        if not self.has_begun:
            self.has_begun = True
            self._runtime.begin(goes_on=goes_on)

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            descriptors, seconds = self.attend()
            # Else nothing may be left that would wake this up.
            if not is_so():
                began = time.monotonic()
                wait(descriptors, seconds)
                self.note_wait(time.monotonic() - began)

    def _sink_of(self, stream: str) -> PosthogSink:
        sink = self._plain_sink(stream)
        assert sink is not None  # noqa: S101 - who gives lines has asked
        return sink

    def _stream_of(self, name: str, *, of_records: bool) -> BlockStream:
        """Return what workers must know of a stream."""
        sink = self._sink_of(name)
        known = self._streams.get((name, of_records))
        if known is None or known.schema is not sink.schema:
            keys = tuple(sink.key_properties)
            known = BlockStream(name, sink.schema, keys, of_records=of_records)
            self._streams[name, of_records] = known
        return known
