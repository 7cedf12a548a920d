"""Records of other taps, from their JSON straight to the event's JSON.

There is one way to convert them, `Converter.convert`. What stands here gives it a record that is
decoded once, and holds the record to what the SDK would hold it to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.capture.protocols import BatchWire
from target_posthog.common.lenient_json import strict_object
from target_posthog.model import Converted
from target_posthog.posthog.events import OutgoingEvent, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.formats.converter import Converter

#: Events are written as `/batch/` takes them, which has no need of the key here.
_WIRE = BatchWire("")
#: Whether a time lies too far ahead is still to be looked for.
_LATEST = "9999-12-31T23:59:59.999999Z"


class FastFields:
    """Converts lines of one stream.

    Args:
        converter: of the stream.
        key_properties: its key.
    """

    def __init__(self, converter: Converter, key_properties: Sequence[str]) -> None:
        self._convert = converter.convert
        self._known = converter.known_line
        self._key = frozenset(key_properties)

    def events_of(self, lines: Sequence[bytes]) -> list[OutgoingEvent | None]:
        """Return the event of each line, as `/batch/` takes it, or None when it is not usual.

        Not usual are lines that are not JSON by the letter, records without their key, and those
        that are no event. What lies in the future is still to be looked for.
        """
        return list(map(self._event_of, lines))

    def _event_of(self, line: bytes) -> OutgoingEvent | None:
        record = strict_object(line)
        if record is None or not self._key <= record.keys():
            return None
        conversion = self._convert(record)
        if not isinstance(conversion, Converted):
            return None
        item = prepare(conversion, self._known(line, record), _WIRE.fitted, _LATEST)
        return item if isinstance(item, OutgoingEvent) else None
