"""Records of other taps, from their JSON straight to the event's JSON.

There is one way to convert them, `Converter.convert`. What stands here gives it a record that is
decoded once, and holds the record to what the SDK would hold it to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.common.lenient_json import strict_object
from target_posthog.common.object_cutter import as_it_is
from target_posthog.model import Converted
from target_posthog.posthog.events import OutgoingEvent, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from target_posthog.model import Conversion, Json, StreamLine

#: Whether a time lies too far ahead is still to be looked for.
_LATEST = "9999-12-31T23:59:59.999999Z"


class FastFields:
    """Converts lines of one stream.

    Args:
        known: returns the JSON of a record as the rejects want it.
    """

    def __init__(
        self,
        convert: Callable[[Json], Conversion],
        known: Callable[[bytes, Json], bytes | StreamLine],
        key_properties: Collection[str],
    ) -> None:
        self._convert = convert
        self._known = known
        self._key = frozenset(key_properties)

    def events_of(self, lines: Sequence[bytes]) -> list[OutgoingEvent | None]:
        """Return the event of each line, as `/batch/` takes it, or None where another way must.

        That is for lines that are not JSON by the letter, records without their key, and those
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
        event = prepare(conversion, self._known(line, record), as_it_is, _LATEST)
        return event if isinstance(event, OutgoingEvent) else None
