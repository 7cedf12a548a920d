"""What holds for every row there could be, not only for the ones that somebody thought of."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from tap_amplitude.records import Row
from target_posthog.common.amplitude_columns import INTEGER_FIELDS, fields_of
from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.amplitude.foreign_rows import exported_row
from target_posthog.formats.amplitude.groups import first_groups
from target_posthog.formats.amplitude.times import TIME_FIELDS
from target_posthog.formats.names import PropertyNames
from target_posthog.formats.options import Options
from target_posthog.json_codec import dumps, loads
from target_posthog.model import Conversion, Converted, Json, Rejected, Skipped
from target_posthog.posthog.names import ACTING_NAMES, IDENTITY_NAMES
from target_posthog.posthog.times import any_time, to_rfc3339
from target_posthog.posthog.uuids import canonical_uuid
from target_posthog.rejects.codes import CODES
from tests.support.any_amplitude_rows import ANY_OBJECT, GOOD_ROWS, OPTIONS, PROPERTIES, ROWS
from tests.support.examples import examples
from tests.support.golden_pairs import as_json, load_all, outcome_of
from tests.support.reading import read_row

if TYPE_CHECKING:
    from collections.abc import Callable

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_EMPTY: tuple[Any, ...] = (None, "", {}, [])
_MARKS = {"$geoip_disable": True, "analytics_source": "amplitude", "historical_migration": True}
GOLDEN_ROWS = st.sampled_from([pair.row for pair in load_all()]).map(copy.deepcopy)
SOUND: Json = {"event_type": "a", "user_id": "u-1", "event_time": "2024-01-01 00:00:00"}
#: Anything at all, rows with everything in them, and rows as they really are.
RECORDS = ANY_OBJECT | ROWS | GOOD_ROWS | GOLDEN_ROWS

# The rows are large, and how long one takes says nothing: the machine is shared.
thorough = examples(100)


def _event(row: Json, options: Options) -> Json:
    conversion = Amplitude(options).convert(row)
    assume(isinstance(conversion, Converted))
    assert isinstance(conversion, Converted)
    return conversion.event


# All of it of the same rows: to make one takes ten times as long as what is done with it.
@examples(200)
@given(RECORDS, OPTIONS)
@example(SOUND, Options())
def test_every_object_is_a_skip_a_rejection_or_a_sound_event(row: Json, options: Options) -> None:
    """Exported = accepted + skipped + rejected can be added up; nothing raises.

    The row stays as it came, which is how it goes to the rejects file; what is sent is what was
    converted.
    """
    before = copy.deepcopy(row)
    conversion: Conversion = Amplitude(options).convert(row)
    assert as_json(row) == as_json(before)
    assert list(row) == list(before)
    if isinstance(conversion, Skipped):
        assert conversion.rule == "skip_events"
    elif isinstance(conversion, Rejected):
        assert conversion.code in CODES
        assert conversion.reason
    else:
        assert isinstance(conversion, Converted)
        _has_the_form_that_posthog_takes(conversion.event)
        _acting_names_are_ours(conversion.event, row, options)
        assert as_json(loads(dumps(conversion.event))) == as_json(conversion.event)


def _has_the_form_that_posthog_takes(event: Json) -> None:
    """See that it has: PostHog refuses a whole request for one event that has not."""
    assert event.keys() == {"uuid", "event", "distinct_id", "timestamp", "properties"}
    assert str(uuid.UUID(event["uuid"])) == event["uuid"]
    assert _RFC3339.fullmatch(event["timestamp"])
    assert to_rfc3339(event["timestamp"]) == event["timestamp"]
    assert event["event"].strip()
    assert 0 < len(event["distinct_id"]) <= 200
    assert event["distinct_id"].strip()
    assert "\0" not in event["distinct_id"]
    assert as_json(_MARKS) == as_json({name: event["properties"][name] for name in _MARKS})


def _acting_names_are_ours(event: Json, row: Json, options: Options) -> None:
    """See that they are: a customer's would merge people, hide them, or move the event."""
    properties = event["properties"]
    acting = {name: properties[name] for name in ACTING_NAMES & properties.keys()}
    row = _exported(row)
    user = row.get("user_properties")
    of_user = user if isinstance(user, dict) else {}
    if row["event_type"] == "$identify":  # its operations are done, whatever the row
        done = {name: value for name, value in of_user.items() if isinstance(value, dict)}
        of_user = {**of_user, **done.get("$setOnce", {}), **done.get("$set", {})}
        unset = sorted(done.get("$unset", [])) if options.user_properties == "set" else []
        assert acting.pop("$unset", []) in (unset, [])
        assert acting.pop("$set", {}).keys() <= of_user.keys()
    allowed: dict[str, list[Any]] = {
        **{name: [value] for name, value in _MARKS.items()},
        "$groups": list(first_groups(row).values()),
        "$set": [user],
        "$process_person_profile": [False],
        "$amplitude_user_id": [row.get("user_id")],
        "$amplitude_device_id": [row.get("device_id")],
    }
    first = acting.pop("$set_once", {})
    own = {f"$initial_{name.removeprefix('initial_')}" for name in of_user}
    assert first.keys() <= own | of_user.keys()
    for name, value in acting.items():
        assert as_json(value) in [as_json(one) for one in allowed.get(name, [])], name


@thorough
@given(
    st.text(max_size=3),
    st.sampled_from(["event_type", "user_id", "device_id", "$insert_id", "platform", "uuid"]),
)
@example("\ud83d", "device_id")
def test_half_a_character_anywhere_never_raises(text: str, name: str) -> None:
    """Python's JSON readers pass lone surrogates on, which have no UTF-8."""
    row = {
        "event_type": "Play",
        "user_id": "u-1",
        "device_id": "d-1",
        "event_time": "2024-01-31 12:34:56.789012",
        "session_id": 1706704496789,
        name: text,
        "event_properties": {text: text},
        "groups": {text: [text]},
        "group_properties": {text: {text: {text: text}}},
    }
    assert isinstance(Amplitude(Options()).convert(row), (Converted, Rejected))


@thorough
@given(GOOD_ROWS | GOLDEN_ROWS, PROPERTIES, OPTIONS)
def test_every_property_of_the_customer_arrives_unchanged(
    row: Json, more: Json, options: Options
) -> None:
    """Under its own name; under `$amplitude_<name>` when PostHog would act upon the name."""
    own = row.get("event_properties")
    # Added to every row: most have none, and a test must not throw most of its rows away.
    customer = {**more, **own} if isinstance(own, dict) else more
    row["event_properties"] = customer
    properties = _event(row, options)["properties"]
    for name, value in customer.items():
        if name in ACTING_NAMES:
            assert _stands_somewhere(value, name, properties)
        else:
            assert as_json(properties[name]) == as_json(value)


@thorough
@given(GOOD_ROWS | GOLDEN_ROWS, OPTIONS)
@example(SOUND | {"device_id": "d-1", "$amplitude_device_id": "x"}, Options())
@example(SOUND | {"device_id": "d-1", "event_properties": {"$amplitude_device_id": 1}}, Options())
@example(SOUND | {"uuid": "malformed", "$amplitude_uuid": "x"}, Options())
def test_every_field_that_holds_something_arrives(row: Json, options: Options) -> None:
    """Under its own name, as `$amplitude_<name>`, or where docs/mapping.md says."""
    conversion = Amplitude(options).convert(row)
    assume(isinstance(conversion, Converted))
    assert isinstance(conversion, Converted)
    lost = [
        name
        for name, value in _exported(row).items()
        if value not in _EMPTY and not _arrives(name, value, conversion)
    ]
    assert lost == []


def _exported(row: Json) -> Json:
    """Return a row in the form that Amplitude's exports have."""
    return exported_row(row, fields_of(row))[0]


def _arrives(name: str, value: Any, conversion: Converted) -> bool:
    timestamp = conversion.event["timestamp"]
    if name in TIME_FIELDS:
        value = any_time(value) or value
        if name == "event_time" and value == timestamp:
            return True
    properties = conversion.event["properties"]
    return _stands_somewhere(value, name, properties) or _has_its_own_place(name, value, conversion)


def _has_its_own_place(name: str, value: Any, conversion: Converted) -> bool:
    event, properties = conversion.event, conversion.event["properties"]
    person = {**properties.get("$set_once", {}), **properties.get("$set", {})}
    places: dict[str, Callable[[], bool]] = {
        "event_type": lambda: bool(event["event"] == value),
        "uuid": lambda: bool(event["uuid"] == canonical_uuid(value)),
        "user_id": lambda: bool(event["distinct_id"] == str(value).replace("\0", "\ufffd")),
        "device_id": lambda: bool(event["distinct_id"] == str(value).replace("\0", "\ufffd")),
        # Each of them has the test before this one.
        "event_properties": lambda: isinstance(value, dict),
        "user_properties": lambda: (
            isinstance(value, dict)
            and as_json({key: person.get(key) for key in value}) == as_json(value)
        ),
        "group_properties": lambda: (
            isinstance(value, dict)
            and sum(len(groups) for groups in value.values() if isinstance(groups, dict))
            == len(conversion.groups)
        ),
    }
    return name in places and places[name]()


def _stands_somewhere(value: Any, name: str, properties: Json) -> bool:
    """Tell whether a value stands under its name, or under it with `$amplitude_` in front."""
    for _ in range(4):
        if name in properties and as_json(properties[name]) == as_json(value):
            return True
        name = f"$amplitude_{name}"
    return False


@thorough
@given(RECORDS, OPTIONS, st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_nothing(row: Json, options: Options, random: Any) -> None:
    """Two exports of the same hour write the same row in another order."""
    shuffled = _shuffled(row, random)
    assert _outcome(Amplitude(options).convert(shuffled)) == _outcome(
        Amplitude(options).convert(row)
    )


def _shuffled(value: Any, random: Any) -> Any:
    if isinstance(value, dict):
        items = [(name, _shuffled(item, random)) for name, item in value.items()]
        random.shuffle(items)
        return dict(items)
    return [_shuffled(item, random) for item in value] if isinstance(value, list) else value


def _outcome(conversion: Conversion) -> str:
    if not isinstance(conversion, Converted):
        return repr(conversion)
    groups = sorted(
        as_json([one.group_type, one.group_key, one.properties]) for one in conversion.groups
    )
    return as_json([conversion.event, groups]) + repr(conversion.link)


@thorough
@given(ROWS | GOOD_ROWS | GOLDEN_ROWS.map(_exported), OPTIONS)
@example(SOUND | {"session_id": 0.0, "data": "{}"}, Options())
@example(SOUND | {"app": "5", "$insert_id": "i-1", "server_upload_time": 1704067200000}, Options())
def test_a_row_from_a_file_and_its_record_are_the_same_event(row: Json, options: Options) -> None:
    """The main path hands over Amplitude's files, the other one the tap's RECORD messages."""
    line = dumps(row)
    read = read_row(line)
    assert isinstance(read, Row)
    assert _outcome(Amplitude(options).convert(read.record)) == _outcome(
        Amplitude(options).convert(loads(line))
    )


def _same(value: Any) -> Any:
    return value


def _seconds_first(text: str) -> Any:
    """Return a time of an export as microseconds since 1970, when it can be one."""
    time = to_rfc3339(text)
    if time is None or not "2001-09-09T01:46:40" < time < "2286":
        return text
    moment = datetime.fromisoformat(time[:-1]).replace(tzinfo=timezone.utc)
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


_EXPORTED_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"
#: How warehouses, their drivers and other taps write what Amplitude has.
_COLUMNS = st.sampled_from([str, str.upper, str.title, lambda name: name.removeprefix("$").upper()])
_OBJECT_TEXTS = st.sampled_from([_same, json.dumps, lambda value: json.dumps(json.dumps(value))])
_INTEGER_FORMS = st.sampled_from([_same, str, float, lambda value: f"{value}.0"])
_TIME_FORMS = st.sampled_from([_same, "{} UTC".format, "{}+00:00".format, _seconds_first])


@thorough
@given(GOLDEN_ROWS, OPTIONS, _COLUMNS, _OBJECT_TEXTS, _INTEGER_FORMS, _TIME_FORMS)
def test_a_row_from_a_warehouse_is_the_event_that_it_is_from_an_export(
    row: Json, options: Options, column: Any, as_text: Any, as_number: Any, as_time: Any
) -> None:
    """So a migration that began with one may go on with the other, and nothing is doubled."""
    # Of a row without a uuid one is made, of the row as it is when its columns are Amplitude's.
    made_alike = column is not str and bool(row.get("$insert_id"))
    assume(made_alike or canonical_uuid(_exported(row).get("uuid")))
    stored = {}
    for name, value in _exported(row).items():
        stored[column(name)] = value
        if isinstance(value, dict):
            stored[column(name)] = as_text(value)
        elif name in INTEGER_FIELDS and type(value) is int and abs(value) < 2**53:
            stored[column(name)] = as_number(value)
        elif name in TIME_FIELDS and re.fullmatch(_EXPORTED_TIME, str(value)):
            stored[column(name)] = as_time(value)
    assert _outcome(Amplitude(options).convert(stored)) == _outcome(Amplitude(options).convert(row))


_WISHES = st.builds(
    PropertyNames,
    st.dictionaries(
        st.sampled_from(["plan", "country", "initial_referrer", "version_name", "a", "user_id"]),
        st.sampled_from(["plan", "b", "$ip", "title", "$current_url", "city"]),
        max_size=3,
    ),
    st.lists(
        st.sampled_from(["plan", "*_id", "ip_address", "$ip", "initial_*", "*", "[Amplitude] *"]),
        max_size=2,
    ),
)


@thorough
@given(RECORDS, OPTIONS, _WISHES)
def test_no_wish_changes_name_person_time_or_id(
    row: Json, options: Options, wishes: PropertyNames
) -> None:
    """PostHog keeps repeats once by these four: a run with other wishes must not double events."""
    wanted = Amplitude(dataclasses.replace(options, properties=wishes)).convert(row)
    plain = Amplitude(options).convert(row)
    assert type(wanted) is type(plain)
    if isinstance(wanted, Converted) and isinstance(plain, Converted):
        for part in ("uuid", "event", "distinct_id", "timestamp"):
            assert wanted.event[part] == plain.event[part]
        assert wanted.link == plain.link
        properties = wanted.event["properties"]
        own = _exported(row).get("event_properties")
        # What the customer's own property of such a name says is theirs to leave out.
        for name in {*_MARKS, *IDENTITY_NAMES} - set(own if isinstance(own, dict) else ()):
            assert as_json(properties.get(name)) == as_json(plain.event["properties"].get(name))


@thorough
@given(GOOD_ROWS | GOLDEN_ROWS, OPTIONS)
def test_what_is_left_out_is_nowhere(row: Json, options: Options) -> None:
    """Personal data that the user leaves out must not arrive under any name."""
    secret = "nobody-may-see-this"
    row["event_properties"] = {"email": secret, "song": "x"}
    row["user_properties"] = {"email": secret, "initial_email": secret, "plan": "pro"}
    row["group_properties"] = {"company": {"acme": {"email": secret, "seats": 5}}}
    row["ip_address"], row["city"] = secret, secret
    names = PropertyNames({"email": "mail"}, ["*email", "ip_address", "city"])
    conversion = Amplitude(dataclasses.replace(options, properties=names)).convert(row)
    assume(isinstance(conversion, Converted))
    assert isinstance(conversion, Converted)
    assert secret not in as_json(outcome_of(conversion))


@thorough
@given(RECORDS, RECORDS, OPTIONS)
def test_what_came_before_changes_nothing(earlier: Json, row: Json, options: Options) -> None:
    """What the conversion remembers of other rows never shows in this one."""
    fresh, used = Amplitude(options).convert(row), Amplitude(options)
    used.convert(earlier)
    for name in earlier.keys() & row.keys():  # a twin: equal to Python, not the same in JSON
        if type(row[name]) in {bool, int, float}:
            earlier[name] = next((one for one in (True, 1, 1.0) if one == row[name]), earlier[name])
    used.convert({**row, **earlier})
    assert _outcome(used.convert(row)) == _outcome(fresh)
