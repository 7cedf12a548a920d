"""Which uuid an event of another tap has, when its record has none of its own.

Made of the whole record: the same record gives the same uuid in every run, and two different ones
never share one, whatever the tap says its key is.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import orjson

from target_posthog.amplitude.event_ids import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: Where orjson may have written a whole number as a float.
_MAY_BE_WHOLE = re.compile(rb"\.0(?!\d)|\de\+")


def uuid_of_record(kind: str, record: Mapping[str, Any], key: Collection[str] = ()) -> str:
    """Return the UUIDv5 of a record.

    Singer's own columns differ from run to run, so they do not count, unless they are what the tap
    tells its records apart by, such as a file and a line.

    Args:
        kind: tells these records from those of other kinds and streams.
        record: any JSON object.
        key: the names of the fields that are its key.
    """
    row = {
        name: value for name, value in record.items() if not name.startswith("_sdc_") or name in key
    }
    return uuid_of_value(kind, row)


def uuid_of_value(kind: str, value: Any) -> str:
    """Return the UUIDv5 of a JSON value."""
    return str(uuid.uuid5(NAMESPACE, canonical([kind, value])))


def canonical(value: Any) -> str:
    """Return JSON that is the same for equal values, and for no others.

    The order of keys does not count, nor how a number is written: 1, 1.0 and 1e0 are one, as they
    are for PostHog. Numbers, texts and booleans are never equal to each other.
    """
    try:
        written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        if _MAY_BE_WHOLE.search(written) is not None:
            written = orjson.dumps(_with_whole_numbers(value), option=orjson.OPT_SORT_KEYS)
        return written.decode()
    except TypeError:  # an integer beyond 64 bits, or deeper than orjson goes
        return json.dumps(_with_whole_numbers(value), sort_keys=True)


def _with_whole_numbers(value: Any) -> Any:
    """Return a value with integers for the floats that are whole."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {name: _with_whole_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(inner) for inner in value]
    return value
