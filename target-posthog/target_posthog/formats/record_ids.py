"""Which uuid an event of another tap has: its record's own, or one that is made of it.

Made of the whole record: the same record gives the same uuid in every run, and two different ones
never share one, whatever the tap says its key is.
"""

from __future__ import annotations

import json
import re
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import orjson

from target_posthog.common.derived_uuids import NAMESPACE
from target_posthog.formats.selectors import Source
from target_posthog.posthog.uuids import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: How the columns begin that Singer's programs add.
_SINGERS = "_sdc_"
#: Where orjson may have written a whole number as a float: `5.0` and `1e+16`. Each expression
#: begins with what is rare, which is looked for quickest.
_MAY_BE_WHOLE, _MAY_BE_LARGE = re.compile(rb"\.0(?!\d)"), re.compile(rb"\+(?<=\de\+)")
_NO_FIELD = Source(())
#: The digit of a UUID that holds its variant, by what stood there (RFC 9562, section 4.1).
_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}


class RecordIds:
    """Gives the records of one stream their uuids.

    Args:
        mapped: where the user says that the id is, if they do.
    """

    def __init__(
        self, stream: str, key_properties: tuple[str, ...], mapped: Source | None = None
    ) -> None:
        self._stream = stream
        self._key = key_properties
        self._is_mapped = mapped is not None
        # Nothing but `uuid` is one: the `event_id` of a ticket may be that of the concert. And a
        # `uuid` that is a part of the key is not alone in being the record's.
        is_shared = len(key_properties) > 1 and "uuid" in key_properties
        self._source = mapped or Source(() if is_shared else ("uuid",))
        self._own = self._source.first

    def uuid_of(self, record: Mapping[str, Any]) -> str:
        """Return the record's own uuid, or a UUIDv5 of its own id, or of all of it."""
        own = self._own(record)
        found = None if own is None else canonical_uuid(own)
        if found is None and self._is_mapped and own is not None:
            found = uuid_of_value(f"id {self._stream}", own)
        return found or uuid_of_record(f"record {self._stream}", record, self._key)

    def source_in(self, record: Mapping[str, Any]) -> Source:
        """Return where the id of a record comes from: of no field when it is made of them all."""
        if not self._is_mapped and canonical_uuid(self._own(record)) is None:
            return _NO_FIELD
        return self._source

    def usual_in(self, schema: Mapping[str, Any]) -> str:
        """Return in words what is the id of a schema's records, when nothing else is said."""
        return " or ".join([*self._source.found_in(schema), "made of the whole record"])


def uuid_of_record(kind: str, record: Mapping[str, Any], key: Collection[str] = ()) -> str:
    """Return the UUIDv5 of a record.

    Singer's own columns differ from run to run, so they do not count, unless they are what the tap
    tells its records apart by, such as a file and a line. `kind` tells these records from those of
    other kinds and streams.
    """
    if _SINGERS in " ".join(record):
        record = {
            name: value
            for name, value in record.items()
            if not name.startswith(_SINGERS) or name in key
        }
    return uuid_of_value(kind, record)


def uuid_of_value(kind: str, value: Any) -> str:
    """Return the UUIDv5 of a JSON value."""
    # As `uuid.uuid5` does it, which takes three times as long.
    digits = sha1(NAMESPACE.bytes + canonical([kind, value]), usedforsecurity=False).hexdigest()
    return (
        f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-"
        f"{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"
    )


def canonical(value: Any) -> bytes:
    """Return JSON that is the same for equal values, and for no others.

    The order of keys does not count, nor how a number is written: 1, 1.0 and 1e0 are one, as they
    are for PostHog. Numbers, texts and booleans are never equal to each other.
    """
    try:
        written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        if _MAY_BE_WHOLE.search(written) or _MAY_BE_LARGE.search(written):
            written = orjson.dumps(_with_whole_numbers(value), option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits, or deeper than orjson goes
        return json.dumps(_with_whole_numbers(value), sort_keys=True).encode()
    return written


def _with_whole_numbers(value: Any) -> Any:
    """Return a value with integers for the floats that are whole."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {name: _with_whole_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(inner) for inner in value]
    return value
