"""The target's story: a Singer record is converted, and handed to the delivery."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from target_posthog.formats.converter import Converter
from target_posthog.input.intake import Intake
from target_posthog.sdk import RecordWithoutKey, SingerSink, SingerTarget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_posthog.capture.protocols import Wire
    from target_posthog.delivery.delivery import Delivery
    from target_posthog.formats.converter import Conversions
    from target_posthog.input.intake import Outcome
    from target_posthog.model import Json


class SinkTarget(SingerTarget):
    """A target, as its sinks know it."""

    delivery: Delivery
    conversions: Conversions
    wire: Wire

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._said: set[str] = set()

    def say_once(self, level: int, text: str) -> None:
        """Log what a stream has to say, unless it was said in this run."""
        if text not in self._said:
            self._said.add(text)
            self.logger.log(level, text)

    @abstractmethod
    def as_came(self, known: Json, stream: str) -> Json:
        """Return what the rejects hold of a record: as it came, to pass through maps once more.

        `known` is what they hold of a record that nothing changed.
        """


class PosthogSink(SingerSink):
    """Converts the records of one stream and hands them over; all streams share one delivery.

    Args:
        schema: its JSON schema, after stream maps and flattening.

    Raises:
        FixConfiguration: the setting `streams` does not fit the stream.
    """

    def __init__(
        self,
        target: SinkTarget,
        stream_name: str,
        schema: Json,
        key_properties: Sequence[str] | None,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._delivery = target.delivery
        self._as_came = target.as_came
        self.converter = Converter(
            target.conversions, stream_name, schema, key_properties or (), target.say_once
        )
        self.intake = Intake(self.converter, target.wire)
        for warning in self.converter.warnings:
            target.say_once(logging.WARNING, warning)

    @override
    def process_record(self, record: Json, context: Mapping[str, Any]) -> None:
        self._delivery.take(
            self.outcome_of(record),
            self._as_came(self.converter.known(record), self.stream_name),
            stream=self.stream_name,
            origin=self.converter.origin_of(record),
        )

    def outcome_of(self, record: Json) -> Outcome:
        """Return what becomes of a record."""
        return self.intake.outcome_of(record, self._delivery.latest_time)

    @override
    def check_key(self, record: Json) -> None:
        lacking = self.converter.lacking_key(record)
        if lacking:
            raise RecordWithoutKey(self.stream_name, lacking)
