"""Strategies: any JSON, and rows that look enough like Amplitude's to reach every rule."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from target_posthog.formats.amplitude.fields import ELSEWHERE, FIELDS
from target_posthog.formats.amplitude.person_properties import OPERATIONS
from target_posthog.formats.amplitude.times import TIME_FIELDS
from target_posthog.formats.names import EventNames
from target_posthog.formats.options import Options
from target_posthog.posthog.names import ACTING_NAMES

#: Text that has a UTF-8 form; `codec.loads` makes no other.
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = (
    st.integers()
    | st.integers(min_value=-(2**80), max_value=2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
)
_SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
_INNER = _SCALARS | st.lists(_SCALARS, max_size=3) | st.dictionaries(TEXT, _SCALARS, max_size=3)
#: Written out to three levels, as `st.recursive` takes twice the time for every value it makes.
JSON: st.SearchStrategy[Any] = (
    _SCALARS | st.lists(_INNER, max_size=3) | st.dictionaries(TEXT, _INNER, max_size=3)
)
ANY_OBJECT = st.dictionaries(TEXT, JSON, max_size=6)

_PLAIN_FIELDS = sorted(
    {source for field in FIELDS for source in field.sources if "." not in source}
    | {"amplitude_id", "app", "$insert_id", "data", "dma", "paying", "plan", "groups", "platform"}
)
_COLLIDING = sorted(
    {field.name for field in FIELDS}
    | {f"$amplitude_{name}" for name in ("country", "uuid", "event_type", "user_id", "$set")}
    | set(_PLAIN_FIELDS)
    | TIME_FIELDS
    | ELSEWHERE.keys()
    | {"$session_id", "title", "[Amplitude] Page URL", "token", "distinct_id"}
)
#: Names of event properties: the customer's own, and every name that means something here.
PROPERTY_NAMES = TEXT | st.sampled_from(_COLLIDING) | st.sampled_from(sorted(ACTING_NAMES))
#: Properties of an event, at least one.
PROPERTIES = st.dictionaries(PROPERTY_NAMES, JSON, min_size=1, max_size=5)
_TIMES = st.sampled_from(
    [
        "2024-01-31 12:34:56.789012",
        "2024-01-31 12:34:56",
        "2024-01-31T12:34:56.789Z",
        "2024-02-01 01:04:56.7+12:30",
        "1969-12-31 23:59:59.999999",
        "2024-02-30 00:00:00.000000",
        "",
        None,
        "soon",
    ]
) | st.datetimes().map(lambda moment: moment.isoformat(" ", "microseconds"))
_IDS = st.sampled_from(
    ["user-1", "device-1", "null", "", " ", "0", "a\0b", "u" * 200, "u" * 201, 7]
)
_SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "event_type": st.sampled_from(
        [
            "Play",
            "[Amplitude] Page Viewed",
            "$create_alias",
            "$identify",
            "$groupidentify",
            " ",
            None,
        ]
    )
    | TEXT,
    "uuid": st.uuids().map(str)
    | st.sampled_from([None, "", "x", "E6FE6A708A0611ED9AC0AB8BD3FC3D15"]),
    "user_id": _IDS | JSON,
    "device_id": _IDS | JSON,
    "session_id": st.sampled_from([-1, 0, 1706704496789, 1706704496788, 1706618096790]) | JSON,
    "platform": st.sampled_from(["Web", "iOS", "Android", "", None]) | JSON,
    "library": st.sampled_from(["amplitude-ts/2.1", "amplitude-ios/8", "http/2.0"]) | JSON,
    "event_properties": st.dictionaries(PROPERTY_NAMES, JSON, max_size=5) | JSON,
    "user_properties": st.dictionaries(
        st.sampled_from(
            ["plan", "initial_referrer", "initial_utm_source", "utm_source", "$initial_x"]
        )
        | st.sampled_from(sorted(OPERATIONS))
        | TEXT,
        st.just("EMPTY") | JSON,
        max_size=4,
    )
    | JSON,
    "groups": st.dictionaries(TEXT, st.lists(TEXT | NUMBERS, max_size=2) | JSON, max_size=2) | JSON,
    "group_properties": st.dictionaries(
        TEXT | st.sampled_from(sorted(OPERATIONS)),
        st.dictionaries(TEXT, ANY_OBJECT | JSON, max_size=2) | JSON,
        max_size=2,
    )
    | JSON,
} | dict.fromkeys(TIME_FIELDS, _TIMES | JSON)

_ROW_FIELDS = {name: _SPECIAL.get(name, JSON) for name in sorted({*_PLAIN_FIELDS, *_SPECIAL})}

#: Rows of fields that Amplitude has or may have one day, all filled with anything.
ROWS: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda known, unknown: {**unknown, **known},
    st.fixed_dictionaries({}, optional=_ROW_FIELDS),
    st.dictionaries(TEXT | st.sampled_from(_COLLIDING), JSON, max_size=2),
)
#: Rows that are sure to become events, so that a test of events is not spent on rejections.
GOOD_ROWS: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda row, name, person: {
        **row,
        "event_type": name,
        "user_id": person,
        "event_time": "2024-01-31 12:34:56.789012",
    },
    ROWS,
    st.sampled_from(["Play", "購入", "[Amplitude] Page Viewed", "$identify", "$groupidentify"]),
    st.sampled_from(["user-1", "a\0b", 7]),
)
OPTIONS: st.SearchStrategy[Options] = st.builds(
    Options,
    names=st.sampled_from(
        [
            EventNames(),
            EventNames({"Play": "play"}, standard_events=True),
            EventNames({}, ["P*"]),
        ]
    ),
    person_profiles=st.sampled_from(["always", "identified_only", "never"]),
    user_properties=st.sampled_from(["set", "set_once", "ignore"]),
)
