"""Any mapping and any record: a sound event, a skip or a rejection, the same each time."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.protocols import BatchWire
from target_posthog.formats.fields import StreamFields
from target_posthog.formats.mapping_reader import read_mappings
from target_posthog.formats.mappings import StreamMapping
from target_posthog.formats.options import Options
from target_posthog.formats.posthog_columns import COLUMNS
from target_posthog.formats.posthog_events import convert as convert_posthog
from target_posthog.json_codec import loads
from target_posthog.model import Conversion, Converted, Json, Rejected
from target_posthog.posthog.events import prepare
from target_posthog.posthog.times import any_time, storable_time
from target_posthog.rejects.codes import CODES
from tests.support.examples import examples
from tests.target.test_any_input import VALUES

NAMES = ("id", "uuid", "event_id", "user_id", "device_id", "time", "a", "a.b", "$set", "$groups")
WIRE = BatchWire("phc_test")
LATEST = "2300-01-01T00:00:00.000000Z"
FIELD = st.sampled_from([*NAMES, "a.c", "gone"])
CANDIDATE = st.one_of(FIELD, st.builds(lambda value: {"value": value}, VALUES))
SOURCE = st.one_of(CANDIDATE, st.lists(CANDIDATE, min_size=1, max_size=3))
FIELDS = st.one_of(FIELD, st.lists(FIELD, min_size=1, max_size=3))
PICKS = st.one_of(
    st.lists(st.sampled_from(["id", "a.b", "*", "a.*", "u*"]), max_size=3, unique=True),
    st.dictionaries(st.text(max_size=4), SOURCE, max_size=3),
)
GROUP = st.one_of(
    SOURCE, st.builds(lambda key, picks: {"key": key, "properties": picks}, SOURCE, PICKS)
)
MAPPINGS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("event", "timestamp"), SOURCE),
        "distinct_id": st.one_of(SOURCE, st.just(False)),  # noqa: FBT003 - nobody
        "uuid": st.one_of(FIELDS, st.builds(lambda names: {"fields": names}, FIELDS)),
        "alias": FIELDS,
        **dict.fromkeys(("properties", "set", "set_once"), PICKS),
        "groups": st.dictionaries(st.text(max_size=4), GROUP, max_size=2),
    },
)
USUAL: Json = {"id": 1, "user_id": "u1", "time": "2024-01-01", "a": {"b": 1, "c": "x"}}
RECORDS = st.one_of(
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3).map(lambda some: USUAL | some),
).map(lambda record: loads(json.dumps(record)))
KEYS = st.sampled_from([(), ("id",), ("uuid",), ("event_id",), ("uuid", "id"), ("gone",)])


def check(conversion: Conversion) -> None:
    """Fail unless PostHog takes it as it is, or it has a code."""
    if isinstance(conversion, Rejected):
        assert conversion.code in CODES
        assert conversion.reason
        return
    assert isinstance(conversion, Converted)
    event = conversion.event
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["timestamp"])
    item = prepare(conversion, {}, WIRE.fitted, LATEST)
    assert not isinstance(item, Rejected) or item.code in CODES
    assert event["properties"]["$geoip_disable"] is not None
    if conversion.link is not None:
        assert conversion.link.user_id == event["distinct_id"] != conversion.link.device_id


@examples(250)
@given(parts=MAPPINGS, record=RECORDS, key=KEYS)
def test_a_mapped_record_has_one_fate(parts: Any, record: Json, key: tuple[str, ...]) -> None:
    """Its fate is the same twice, and the record is as it was."""
    mappings, problems = read_mappings({"s": parts})
    expected = ("two values", "group", "the constant is not")
    assert all(any(words in problem for words in expected) for problem in problems), problems
    _, mapping = mappings.entry_of("s") or ("s", StreamMapping())
    fields = StreamFields("s", key, mapping)
    before = deepcopy(record)
    conversion = fields.convert(record)
    check(conversion)
    assert fields.convert(record) == conversion
    assert record == before


@examples(100)
@given(streams=VALUES, parts=st.dictionaries(st.sampled_from(["event", "set", "groups"]), VALUES))
def test_any_setting_is_read_or_its_mistakes_are_told(streams: Any, parts: Any) -> None:
    """Whatever stands there, nobody sees a traceback."""
    for setting in (streams, {"s": parts}, [parts]):
        mappings, problems = read_mappings(setting)
        assert all(problem.startswith("`streams`") for problem in problems)
        _, mapping = mappings.entry_of("s") or ("s", StreamMapping())
        check(StreamFields("s", (), mapping).convert(dict(USUAL)))


@examples(150)
@given(some=st.dictionaries(st.sampled_from(sorted(COLUMNS)), VALUES))
def test_any_posthog_event_has_one_fate(some: Json) -> None:
    """Also with parts of any type."""
    sound = {"event": "e", "distinct_id": "u", "timestamp": "2024-01-01", "properties": {"a": 1}}
    record = loads(json.dumps(sound | some))
    before = deepcopy(record)
    check(convert_posthog(record, Options()))
    assert record == before


@given(value=VALUES)
def test_any_value_is_a_time_or_none(value: Any) -> None:
    """In one form, which reads as itself."""
    time = storable_time(loads(json.dumps(value)))
    assert time is None or storable_time(time) == time


@examples(200)
@given(
    moment=st.datetimes(min_value=datetime(1900, 1, 1)),  # noqa: DTZ001 - the zone is below
    between=st.sampled_from("T t"),
    digits=st.sampled_from(["", ".000000", ".", ".5", ".789", ".789012", ".7890129", ",5", ".७"]),
    zone=st.sampled_from(
        [
            *("", "Z", "z", "+00:00", "+00:00Z", "Z+00:00", "+0000", "-00:30", " ", "+02:00"),
            "+02:00:01",
        ]
    ),
    length=st.sampled_from([10, 16, 19, 19, 19]),
)
def test_a_usual_time_is_what_it_is_read_as_one_by_one(
    moment: datetime, between: str, digits: str, zone: str, length: int
) -> None:
    """The short way reads no text otherwise."""
    text = f"{moment:%Y-%m-%d}{between}{moment:%H:%M:%S}"[:length] + digits + zone
    assert storable_time(text) in {any_time(text), None}
    assert (storable_time(text) is None) == ((any_time(text) or "") < "1900")
