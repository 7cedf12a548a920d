"""Blocks of lines → what became of them: all that a worker does. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.books.samples import check_of
from target_posthog.delivery.kept_events import fingerprint_of
from target_posthog.delivery.measures import measures_of
from target_posthog.formats.converter import Conversions, Converter
from target_posthog.identity.observations import note_what_is_shown
from target_posthog.input.intake import Intake
from target_posthog.json_codec import loads
from target_posthog.model import Skipped, lines_of
from target_posthog.posthog.events import OutgoingEvent
from target_posthog.workers.messages import ConvertedBlock, LeftOut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.capture.protocols import Wire
    from target_posthog.input.intake import Outcome
    from target_posthog.settings import Settings
    from target_posthog.workers.messages import BlockStream, Task


class BlockConversion:
    """Converts blocks of lines, of any stream."""

    def __init__(self, settings: Settings, wire: Wire) -> None:
        self._conversions = Conversions(settings)
        self._wire = wire
        # The first user of a device is then that of the oldest row, not of the first in its block.
        self._collects = settings.free_order == "collect"
        self._intakes: dict[int, Intake] = {}
        self._said: list[tuple[int, str]] = []
        self._met: frozenset[tuple[str, str]] = frozenset()

    def converted(self, task: Task, raw: bytes) -> ConvertedBlock:
        """Return what became of each line of a block.

        Raises:
            FixConfiguration: the mapping of the stream cannot act.
        """
        if task.introduces is not None:
            self._intakes[task.stream] = self._intake_of(task.introduces)
        intake = self._intakes[task.stream]
        # A few bytes of a gzip file make millions of blank lines.
        lines = [] if raw.isspace() and not intake.of_records else lines_of(raw)
        block = ConvertedBlock(len(lines) or raw.count(b"\n"), [])
        outcomes = intake.outcomes_of(lines, task.latest_time)
        self._sort(outcomes, lines, intake.converter, block)
        if not intake.of_records:
            # Blank lines of files are nothing, wherever they stand.
            block.unread = [index for index in block.unread if not lines[index].isspace()]
        if not self._collects:
            note_what_is_shown(block.items)
        block.measures = measures_of(block.items)
        self._tell(block)
        return block

    def _intake_of(self, stream: BlockStream) -> Intake:
        converter = Converter(
            self._conversions,
            stream.name,
            stream.schema,
            stream.key_properties,
            lambda level, text: self._said.append((level, text)),
        )
        return Intake(converter, self._wire, of_records=stream.of_records)

    def _sort(
        self,
        outcomes: Sequence[Outcome | None],
        lines: Sequence[bytes],
        converter: Converter,
        block: ConvertedBlock,
    ) -> None:
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, OutgoingEvent):
                outcome.index = index
                outcome.record = None
                outcome.fingerprint = fingerprint_of(outcome)
                outcome.size = len(outcome.body)
                block.items.append(outcome)
            elif outcome is None:
                block.unread.append(index)
            else:
                line = lines[index]
                of = converter.origin_of(loads(line)), check_of(line)
                left_out = (
                    LeftOut(index, "", outcome.rule, "", *of)
                    if isinstance(outcome, Skipped)
                    else LeftOut(index, outcome.stage, outcome.code, outcome.reason, *of)
                )
                block.left_out.append(left_out)

    def _tell(self, block: ConvertedBlock) -> None:
        block.said, self._said = self._said, []
        met = self._conversions.entries.met()
        if met != self._met:
            self._met = met
            block.met = sorted(met)
