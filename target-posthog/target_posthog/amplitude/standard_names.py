"""The table of `fields.py`, put to work: an event's properties under PostHog's own names.

Most of the table tells only about the device, and a device sends many events: that part is
computed once for each combination of values, and remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from target_posthog.amplitude import values
from target_posthog.amplitude.fields import (
    EVENT_PREFIX,
    FIELDS,
    MOBILE,
    SERVER,
    WEB,
    Platform,
    platform_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_posthog.amplitude.fields import Field
    from target_posthog.conversion import Json

#: Coordinates differ from event to event: remembering them would help nobody.
_PER_EVENT_SOURCES = frozenset({"location_lat", "location_lng"})
_REMEMBERED_DEVICES = 8192


def standard_names(row: Mapping[str, Any], customer: Mapping[str, Any]) -> Json:
    """Return what the event has under PostHog's names.

    Args:
        row: the Amplitude row.
        customer: its event properties.
    """
    device = tuple(map(row.get, _DEVICE_SOURCES))
    try:
        names = dict(_of_device(device))
    except TypeError:  # an object where a text belongs cannot be remembered
        names = _of_device.__wrapped__(device)
    for source, name in _COPIED:
        value = row.get(source)
        if not values.is_empty(value):
            names[name] = value
    _apply(_OF_ROW, row, names)
    if not _EVENT_SOURCES.isdisjoint(customer):
        _apply(_OF_EVENT, customer, names)
    return names


_Compiled = tuple[tuple[tuple[str, ...], str, "Callable[[Any], Any]"], ...]


def _apply(table: _Compiled, found: Mapping[str, Any], names: Json) -> None:
    for sources, name, convert in table:
        for source in sources:
            value = found.get(source)
            if values.is_empty(value):
                continue
            converted = convert(value)
            if converted is not None:
                names[name] = converted
                break


@lru_cache(maxsize=_REMEMBERED_DEVICES)
def _of_device(device: tuple[Any, ...]) -> Json:
    """Return the names that follow from what the device is. The result is not to be changed."""
    row = dict(zip(_DEVICE_SOURCES, device, strict=True))
    names: Json = {}
    _apply(_OF_DEVICE[platform_of(row)], row, names)
    return names


def _compiled(fields: list[Field]) -> _Compiled:
    return tuple(
        (tuple(source.removeprefix(EVENT_PREFIX) for source in one.sources), one.name, one.convert)
        for one in fields
    )


def _is_copied(field: Field) -> bool:
    """Tell whether a value goes over as it is, on every platform."""
    return field.convert is values.as_is and len(field.sources) == 1 and field.when is Platform.ANY


_ON_EVENT = [one for one in FIELDS if one.sources[0].startswith(EVENT_PREFIX)]
_ON_ROW = [one for one in FIELDS if one not in _ON_EVENT]
_PER_EVENT = [one for one in _ON_ROW if _PER_EVENT_SOURCES.issuperset(one.sources)]
_BY_DEVICE = [one for one in _ON_ROW if not _is_copied(one) and one not in _PER_EVENT]

_COPIED = tuple((one.sources[0], one.name) for one in _ON_ROW if _is_copied(one))
_OF_ROW = _compiled(_PER_EVENT)
_OF_EVENT = _compiled(_ON_EVENT)
_OF_DEVICE = {
    platform: _compiled([one for one in _BY_DEVICE if platform in one.when])
    for platform in (WEB, MOBILE, SERVER)
}
_EVENT_SOURCES = frozenset(source for sources, _, _ in _OF_EVENT for source in sources)
_DEVICE_SOURCES = tuple(
    dict.fromkeys(["platform", "library", *(name for one in _BY_DEVICE for name in one.sources)])
)
