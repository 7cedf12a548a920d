"""What a preview says of a row comes from the rules that converted it, and leaves nothing open."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from target_posthog.common.amplitude_columns import fields_of
from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.amplitude.fields import FIELDS
from target_posthog.formats.amplitude.foreign_rows import exported_row
from target_posthog.formats.amplitude.times import TIME_FIELDS
from target_posthog.formats.names import EventNames, PropertyNames
from target_posthog.formats.options import Options
from target_posthog.formats.trace import OWN_NAME, Trace
from target_posthog.model import Conversion, Converted, Json, is_empty
from target_posthog.posthog.times import any_time
from tests.support.any_amplitude_rows import GOOD_ROWS, OPTIONS, PROPERTIES, ROWS
from tests.support.examples import examples
from tests.support.golden_pairs import as_json, load_all
from tests.support.rows import row

if TYPE_CHECKING:
    from target_posthog.formats.trace import Reason

#: Objects of a row whose parts each have a reason of their own.
_OPENED = ("event_properties", "user_properties")
#: Fields of which the user may leave out a part, or of which only a part is told.
_TOGETHER = ("user_properties", "group_properties", "groups")
WANTED = st.sampled_from(
    [
        PropertyNames(),
        PropertyNames({"country": "land", "plan": "tier", "os_name": "$browser"}),
        PropertyNames({"device_id": "x", "referrer": "$set"}, ["c*", "$geoip*", "user_properties"]),
        PropertyNames({}, ["session_id", "groups", "initial_*", "*utm*"]),
    ]
)
ANY_OPTIONS = st.builds(
    lambda options, names: Options(
        options.names, options.person_profiles, options.user_properties, names
    ),
    OPTIONS,
    WANTED,
)
GOLDEN = st.sampled_from([pair.row for pair in load_all()]).map(copy.deepcopy)
COLLIDING = st.builds(
    lambda one, properties: {**one, "event_properties": properties}, GOOD_ROWS, PROPERTIES
)


def traced(one: Json, options: Options) -> tuple[Conversion, Trace]:
    """Return the event of a row, and the notes on it."""
    trace = Trace()
    return Amplitude(options).convert(one, trace), trace


def value_at(one: Json, path: str) -> Any:
    """Return what a row holds at a path."""
    if path in one:
        return one[path]
    head, _, rest = path.partition(".")
    return one[head][rest]


@examples(150)
@given(GOOD_ROWS | ROWS | GOLDEN | COLLIDING, ANY_OPTIONS)
@example({**row(1), "country": "x", "event_properties": {"country": "y", "$set": 1}}, Options())
def test_notes_change_nothing_and_explain_everything(one: Json, options: Options) -> None:
    """Of each part and property there is one reason, and of each field what became of it."""
    converted, trace = traced(one, options)
    assert converted == Amplitude(options).convert(one)
    if not isinstance(converted, Converted):
        return
    event = converted.event
    assert trace.parts.keys() == event.keys() - {"properties"}
    properties = event["properties"]
    assert trace.properties.keys() == properties.keys()
    held = {
        (name, key)
        for name in ("$set", "$set_once", "$groups", "$unset")
        for key in properties.get(name, ())
    }
    assert trace.inside.keys() == held
    assert not _unexplained(one, trace)


def _unexplained(one: Json, trace: Trace) -> list[str]:
    """Return the fields that hold something of which nothing is said."""
    reasons = (*trace.parts.values(), *trace.properties.values(), *trace.inside.values())
    # A uuid of the whole row tells of no field in particular.
    single = [reason for reason in reasons if "whole" not in reason.rule]
    told = {trace.path_of(source) for reason in single for source in reason.sources}
    told |= {trace.path_of(path) for path in (*trace.left_out, *trace.beside)}
    return [
        path for path in _paths(one, trace) if path not in told and _head(path, one) not in told
    ]


def _head(path: str, one: Json) -> str:
    return path if path in one else path.partition(".")[0]


def _paths(one: Json, trace: Trace) -> list[str]:
    """Return the paths of all that holds something."""
    paths = []
    exported, _ = exported_row(one, fields_of(one))
    for field, value in exported.items():
        column = trace.columns.get(field, field)
        if field in _OPENED and isinstance(value, dict):
            paths += [f"{column}.{name}" for name in value]
        elif not is_empty(value):
            paths.append(column)
    return paths


@examples(150)
@given(GOOD_ROWS | GOLDEN | COLLIDING, ANY_OPTIONS)
@example({**row(1), "$amplitude_event_type": None}, Options(EventNames({"viewed": "seen"})))
def test_a_reason_applied_to_its_field_gives_the_property(one: Json, options: Options) -> None:
    """No reason is invented: by the row of the table, or as it is, the field makes the value."""
    converted, trace = traced(one, options)
    if not isinstance(converted, Converted):
        return
    for name, reason in trace.properties.items():
        if len(reason.sources) == 1 and reason.sources[0] not in _TOGETHER:
            wanted = as_json(converted.event["properties"][name])
            assert wanted in map(as_json, _made(one, name, reason)), (name, reason)


def _made(one: Json, name: str, reason: Reason) -> list[Any]:
    """Return what a property may be by its reason."""
    (source,) = reason.sources
    exported, _ = exported_row(one, fields_of(one))
    value = value_at(exported, source)
    if reason.rule == OWN_NAME or name not in {field.name for field in FIELDS}:
        time = any_time(value) if source in TIME_FIELDS else None
        return [value, *([time] if time else [])]
    rows = [field for field in FIELDS if field.name == name and source in field.sources]
    return [value, *(field.convert(value) for field in rows)]
