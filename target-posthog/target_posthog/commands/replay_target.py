"""The target as a replay has it: without a tap, and each event once."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from target_posthog.commands.mapped_records import MappedRecords
from target_posthog.commands.replayed_records import ReplayedRecords
from target_posthog.errors import FixConfiguration
from target_posthog.formats.converter import AMPLITUDE_FIELDS
from target_posthog.model import Json, Rejected, Skipped
from target_posthog.posthog.events import OutgoingEvent
from target_posthog.rejects.writer import Rejects
from target_posthog.runtime import Runtime
from target_posthog.sinks import PosthogSink
from target_posthog.target import TargetPosthog

if TYPE_CHECKING:
    from datetime import datetime

    from target_posthog.books.moves import Move
    from target_posthog.input.intake import Outcome
    from target_posthog.rejects.book_places import BookPlace
    from target_posthog.rejects.lines import RecordLine

_REPEATED = Skipped("duplicate")
#: A rejected Amplitude row may lack either of the two; its stream's schema has both.
_AMPLITUDE_SCHEMA: Json = {"properties": {name: {} for name in sorted(AMPLITUDE_FIELDS)}}
_OPEN_SCHEMA: Json = {"properties": {}}


class Remaining(Rejects):
    """The rejects of a replay: the lines that stay in the file, and which events they are."""

    lines = 0

    def begin(self, path: Path) -> None:
        """Write what remains of the next file to `path`."""
        self.write_to(path)
        self.lines, self.uuids = 0, set[Any]()

    @override
    def write(self, rejected: Rejected, record: Json | str, place: BookPlace | None = None) -> None:
        super().write(rejected, record, place)
        if rejected.stage == "send" and isinstance(record, dict):
            self.uuids.add(record.get("uuid"))

    @override
    def keep(self, line: bytes) -> None:
        super().keep(line)
        self.lines += 1


class _ReplaySink(PosthogSink):
    """Sends what several runs rejected once."""

    def __init__(self, target: ReplayTarget, **stream: Any) -> None:
        super().__init__(target, **stream)
        self._is_new = target.is_new
        self._records = target.records

    @override
    def outcome_of(self, record: Json) -> Outcome:
        outcome = super().outcome_of(record)
        if not isinstance(outcome, OutgoingEvent):
            return outcome
        outcome.origin = self._records.origin
        return outcome if self._is_new(outcome) else _REPEATED


class ReplayTarget(TargetPosthog):
    """The target without a tap: its settings, its conversion and its delivery.

    Attributes:
        remaining: the lines that stay in the file.
        records: what becomes of the records.
    """

    default_sink_class = _ReplaySink

    @override
    def open_runtime(self) -> Runtime:
        if self.settings.free_order == "collect":
            raise FixConfiguration(
                "`free_order: collect` sends nothing, and a replay only sends.",
                "Set `free_order` as the runs that sent have it, and run this again.",
            )
        self.sinks: dict[tuple[Any, ...], PosthogSink] = {}
        self._sent: dict[bytes, Move | None] = {}
        self._mapped = MappedRecords(self)
        self.records = ReplayedRecords()
        # A replay writes no more than it reads, so it cannot fill the disk.
        settings = replace(self.settings, max_reject_ratio=1.0)
        runtime = Runtime(settings, self.program, open_rejects=self.open_rejects)
        runtime.delivery.fates.book = self.records
        return runtime

    @override
    def open_rejects(self, started: datetime) -> Rejects:
        # The first file to be replayed says where.
        self.remaining = Remaining(Path(), started)
        return self.remaining

    def begin(self) -> None:
        """Begin without a tap: what was sent before is in the ledger."""
        self.inflow.begin(goes_on=True)

    def show_progress(self) -> None:
        """Show it, if it is time."""
        self.inflow.show_progress()

    def is_new(self, event: OutgoingEvent) -> bool:
        """Return True if this very event was not met before: two runs may have rejected it."""
        # It is not lost for a twin: a digest of 128 bits has none.
        digest = blake2b(event.body, digest_size=16).digest()
        current = self.records.current
        if digest not in self._sent:
            self._sent[digest] = current
            return True
        if current is not None:
            current.twin = self._sent[digest]
        return False

    def take_message(self, message: Json) -> None:
        """Take a message as of a tap."""
        if message["type"] == "SCHEMA":
            self.take_schema(message)
        else:
            self.take_record(message)

    def send(self, line: RecordLine, stream: str | None) -> bool:
        """Send a record; return False when its stream would have to be guessed.

        `stream` is that of records that are no Amplitude rows, where their line does not say.
        """
        name, schema = self._stream_of(line, stream)
        if name is None:
            return False
        self.records.begin(line)
        if self.settings.changes_records:
            self._mapped.send(
                name,
                line.record,
                schema=schema,
                key_properties=line.key_properties,
                mapped_to=line.mapped_to,
            )
        else:
            self._sink(name, line.key_properties, schema).process_record(line.record, {})
        return True

    def write_down(self) -> None:
        """Have the book say what became of the records so far."""
        self.delivery.flush()
        moves = self.records.take_off()
        if moves and self.runtime.preview is None:
            self.runtime.book.amend(moves)

    def _stream_of(self, line: RecordLine, stream: str | None) -> tuple[str | None, Json]:
        """Return the stream of a record, and what is known of its schema."""
        source_format = self.settings.source_format
        may_be_row = line.needs_no_key and source_format != "fields"
        if may_be_row and line.record.keys() & AMPLITUDE_FIELDS:
            return line.stream or "events", _AMPLITUDE_SCHEMA
        if line.stream is None and source_format in {"amplitude", "posthog"}:
            return "events", _OPEN_SCHEMA
        return line.stream or stream, _OPEN_SCHEMA

    def _sink(self, stream: str, key: tuple[str, ...], schema: Json) -> PosthogSink:
        known = (stream, key, *schema["properties"])
        if known not in self.sinks:
            self.sinks[known] = _ReplaySink(
                self,
                stream_name=stream,
                schema={"type": "object", **schema},
                key_properties=key,
            )
        return self.sinks[known]
