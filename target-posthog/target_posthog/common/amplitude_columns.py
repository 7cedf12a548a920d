"""Columns of Amplitude's rows as a warehouse or another tap writes them, as Amplitude has them.

Objects come as JSON text (BigQuery's and Redshift's columns, `VARIANT` in Snowflake's taps),
integers as `5.0` or `"5"`, column names in capitals (Snowflake) or without `$` (Fivetran). Here
each gets back the form that it had, so that a row is the same event whichever way it came. Only
Amplitude's own columns are touched: what a customer's property holds is the customer's. Pure.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from target_posthog.common.lenient_json import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: The times that Amplitude writes for each row. Times inside `event_properties` and
#: `user_properties` are the customer's own values and stay as they are.
TIME_FIELDS = (
    "event_time",
    "client_event_time",
    "client_upload_time",
    "server_received_time",
    "server_upload_time",
    "processed_time",
    "user_creation_time",
)
#: What Amplitude has in a field, where it matters in which form it comes (Amplitude docs, "Export
#: API" and "Amazon S3 export").
OBJECT_FIELDS = frozenset(
    {
        *("data", "event_properties", "global_user_properties", "group_properties", "groups"),
        *("plan", "user_properties"),
    }
)
INTEGER_FIELDS = frozenset({"$schema", "amplitude_id", "app", "event_id", "session_id"})
#: Not `paying`, which is text in real exports, too.
BOOLEAN_FIELDS = frozenset({"is_attribution_event"})
#: Here a text is documented, too; only a list's text is one.
LIST_FIELDS = frozenset({"amplitude_attribution_ids"})
_TEXT_FIELDS = frozenset(
    {
        *("$insert_id", "$insert_key", "adid", "amplitude_event_type", "city", "country"),
        *("data_type", "device_brand", "device_carrier", "device_family", "device_id"),
        *("device_manufacturer", "device_model", "device_type", "dma", "event_type", "idfa"),
        *("ip_address", "language", "library", "location_lat", "location_lng", "os_name"),
        *("os_version", "partner_id", "paying", "platform", "region", "sample_rate", "source_id"),
        *("start_version", "user_id", "uuid", "version_name"),
    }
)
#: The fields in which the form matters, and all.
FORMED_FIELDS = OBJECT_FIELDS | INTEGER_FIELDS | BOOLEAN_FIELDS | LIST_FIELDS
FIELD_NAMES = FORMED_FIELDS | _TEXT_FIELDS | {*TIME_FIELDS}


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


_BY_PLAIN_NAME = {
    **{_plain(name): name for name in FIELD_NAMES},
    **{_plain(name).removeprefix("$"): name for name in FIELD_NAMES},
}


def field_name(column: str) -> str:
    """Return the field of a column: `$insert_id` of `INSERT_ID`; else the column's own name.

    Case and underscores do not count, and many databases have no `$` in a name: no two of
    Amplitude's fields differ in these. A `$` that Amplitude has not is another name.
    """
    return column if column in FIELD_NAMES else _BY_PLAIN_NAME.get(_plain(column), column)


def fields_of(columns: Iterable[str]) -> dict[str, str]:
    """Return the columns that have a field's name in another spelling, and the field of each.

    A field that has a column of its own name, or an earlier one by the alphabet, keeps it.
    """
    there = set(columns)
    fields: dict[str, str] = {}
    for column in sorted(there):
        field = field_name(column)
        if field not in there:
            there.add(field)
            fields[column] = field
    return fields


#: The types of values that must be read; an export has none of them in these fields.
FOREIGN_TYPES: Final = frozenset({str, float})


def as_exported(
    row: Mapping[str, Any], fields: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Return a row as Amplitude exports it, and the fields whose text cannot be read.

    `fields` is what `fields_of` tells of its keys. The row is never changed.
    """
    exported: dict[str, Any] = {}
    unreadable: list[str] = []
    for column, value in row.items():
        field = fields.get(column, column)
        read = _READERS.get(field) if type(value) in FOREIGN_TYPES else None
        try:
            exported[field] = value if read is None else read(value)
        except ValueError:
            exported[field] = value
            unreadable.append(field)
    return exported, unreadable


#: What databases and their drivers write for null.
_NULLS = frozenset({"", "null", "NULL", "None", "NaN", "nan", "\\N"})
#: JSON text in JSON text: each program on the way may add one layer.
_MOST_LAYERS = 3


def _object(value: Any) -> Any:
    """Return the object of a text; None for one that says null.

    Raises:
        ValueError: the text is not JSON, or not that of an object.
    """
    if not isinstance(value, str):
        return value
    found = _json(value)
    if found == []:  # PHP's empty object
        return None
    if found is not None and not isinstance(found, dict):
        raise ValueError(value)
    return found


def _object_or_word(value: Any) -> Any:
    """Return the object of a text as `_object` does; one that does not begin as an object stays.

    Raises:
        ValueError: the text begins as an object or a list and is none.
    """
    try:
        return _object(value)
    except ValueError:
        if value.lstrip().startswith(("{", "[")):
            raise
        return value


def _list(value: Any) -> Any:
    """Return the list of a text that begins as one; another text as it is.

    Raises:
        ValueError: it is not JSON.
    """
    return loads(value) if isinstance(value, str) and value.startswith("[") else value


def _json(value: Any) -> Any:
    for _ in range(_MOST_LAYERS):
        if not isinstance(value, str):
            break
        value = None if value.strip() in _NULLS else loads(value)
    return value


#: Of an integer of 64 bits.
_MOST_DIGITS = 19
_INTEGER = re.compile(r"[+-]?\d{1,19}(?:\.\d{0,19})?(?:[Ee]\+?\d\d?)?", re.ASCII)


def _integer(value: Any) -> Any:
    """Return 5 of 5.0, `"5"`, `"5.0"`; what is no integer as it is."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    text = value.strip()
    if text in _NULLS:
        return None
    number = Decimal(text) if _INTEGER.fullmatch(text) else None
    if number is None or number.adjusted() >= _MOST_DIGITS or number % 1:
        return value
    return int(number)


_BOOLEANS = {"true": True, "t": True, "false": False, "f": False}


def _boolean(value: Any) -> Any:
    """Return true of `"True"` or `"t"`; what is no boolean as it is."""
    if isinstance(value, float):
        return value
    word = value.strip()
    return None if word in _NULLS else _BOOLEANS.get(word.lower(), value)


_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(sorted(OBJECT_FIELDS), _object),
    # They have no place of their own, and a stream map may well add a word of such a name.
    **dict.fromkeys(("data", "global_user_properties", "plan"), _object_or_word),
    **dict.fromkeys(sorted(INTEGER_FIELDS), _integer),
    **dict.fromkeys(sorted(BOOLEAN_FIELDS), _boolean),
    **dict.fromkeys(sorted(LIST_FIELDS), _list),
}
