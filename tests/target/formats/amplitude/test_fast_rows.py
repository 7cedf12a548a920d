"""The fast way for usual rows makes the same events as `convert`, or leaves the row to it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_posthog.capture.protocols import wire_of
from target_posthog.common.amplitude_columns import INTEGER_FIELDS, OBJECT_FIELDS
from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.amplitude.fast import convert as fast_convert
from target_posthog.formats.amplitude.fast import devices as senders
from target_posthog.formats.amplitude.fast.convert import FastRows
from target_posthog.formats.amplitude.times import TIME_FIELDS
from target_posthog.formats.names import EventNames, PropertyNames
from target_posthog.formats.options import Options
from target_posthog.identity.newest_rows import demoted
from target_posthog.json_codec import loads
from target_posthog.model import Converted, Json
from target_posthog.posthog.events import OutgoingEvent, prepare
from tests.support.any_amplitude_rows import ANY_OBJECT, GOOD_ROWS, ROWS
from tests.support.examples import examples
from tests.support.golden_pairs import as_json, load_all
from tests.support.rows import typical_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
GOLDEN = [pair.row for pair in load_all()]
TIMES = TIME_FIELDS - {"user_creation_time"}
USUAL = [row for row in GOLDEN if row.get("event_type") not in {"$identify", "$groupidentify"}]
BATCH = wire_of("batch", "phc_x", "tests/1")
FAR_AHEAD = "9999-12-31T23:59:59.999999Z"
#: Usual rows in which some fields have other values, are gone, or are new.
CHANGED = st.builds(
    lambda row, changes, gone: {k: v for k, v in {**row, **changes}.items() if k not in gone},
    st.sampled_from(USUAL),
    st.one_of(st.just({}), ANY_OBJECT, ROWS),
    st.sets(st.sampled_from(sorted(USUAL[0])), max_size=3),
)
OPTIONS = st.builds(
    Options,
    names=st.sampled_from([EventNames(), EventNames({}, standard_events=True)]),
    user_properties=st.sampled_from(["set", "set_once"]),
)


def each_name_once(pairs: list[tuple[str, Any]]) -> None:
    """Fail when a name stands in an object twice: readers differ in which of the two counts."""
    assert len(dict(pairs)) == len(pairs)


class BothWays:
    """The fast way and `convert`, with what they remember of the rows that came."""

    def __init__(self, options: Options | None = None) -> None:
        self._amplitude = Amplitude(options or Options())
        self.fast = FastRows(self._amplitude)

    def events_of(self, rows: Sequence[Json]) -> list[OutgoingEvent | None]:
        """Return the events that the fast way makes of rows in one go, if both ways agree."""
        lines = [json.dumps(row).encode() for row in rows]
        events = self.fast.events_of(lines)
        for event, line in zip(events, lines, strict=True):
            self.compare(event, line)
        return events

    def taken(self, rows: Iterable[Json]) -> list[bool]:
        """Return which of some rows take the fast way, each by itself, if both ways agree."""
        return [event is not None for row in rows for event in self.events_of([row])]

    def compare(self, fast: OutgoingEvent | None, line: bytes) -> None:
        """Fail unless an event is the one that `convert` makes of its line."""
        if fast is None:
            return
        outcome = self._amplitude.convert(loads(line))
        assert isinstance(outcome, Converted)
        json.loads(fast.body, object_pairs_hook=each_name_once)
        assert as_json(loads(fast.body)) == as_json(outcome.event)
        expected = prepare(outcome, line, BATCH.fitted, FAR_AHEAD)
        assert isinstance(expected, OutgoingEvent)
        assert bool(fast.sets) == bool(expected.sets)
        if fast.sets:
            assert as_json(loads(demoted(fast).body)) == as_json(loads(demoted(expected).body))
        fast.body, fast.sets = expected.body, expected.sets
        assert fast == expected


@examples(300)
@given(st.lists(st.one_of(CHANGED, GOOD_ROWS, ROWS), min_size=1, max_size=4), OPTIONS)
@example(
    [{**USUAL[0], "user_properties": {"plan": 1}}, {**USUAL[0], "user_properties": {"plan": True}}],
    Options(),
)
@example([{**USUAL[0], "groups": {"org": [2**70]}}], Options())
@example([{**USUAL[0], "event_properties": {"$session_id": "x", "city": "y"}}], Options())
def test_both_ways_make_the_same_event_of_any_row(rows: list[Json], options: Options) -> None:
    """Twice, because what was worked out for a row is remembered for the next."""
    BothWays(options).taken(rows * 2)


@examples(150)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(USUAL).map(json.dumps),
            st.one_of(CHANGED, GOOD_ROWS).map(json.dumps),
            st.sampled_from(["", "{", "[1]", "null"]),
        ),
        max_size=40,
    ),
    OPTIONS,
)
def test_lines_together_are_the_events_that_they_are_alone(
    texts: list[str], options: Options
) -> None:
    """One that is not fast, or not even JSON, keeps none of its neighbours from being taken."""
    lines = [text.encode() for text in texts]
    ways, alone = BothWays(options), FastRows(Amplitude(options))
    together = ways.fast.events_of(lines)
    assert together == [event for line in lines for event in alone.events_of([line])]
    for event, line in zip(together, lines, strict=True):
        ways.compare(event, line)


SHORT, LONG = "2023-12-31 12:34:56", "2023-12-31 12:34:56.5+05:00"


@pytest.mark.parametrize(
    "changes",
    [
        # 7 bytes shorter, 5 longer: together these rows are as long as usual ones.
        [*[{"processed_time": SHORT}] * 5, *[{"processed_time": LONG}] * 7],
        [*[{"event_time": LONG}] * 7, *[{"event_time": SHORT}] * 5],
        [{"event_time": SHORT, "client_event_time": LONG}, {"event_time": None}, {}],
        # As long as a usual row by itself.
        [{**dict.fromkeys(TIMES, LONG), "processed_time": None}, {}],
    ],
)
def test_times_that_are_as_long_together_as_usual_ones_are_told_apart(changes: list[Json]) -> None:
    """All rows' times are written in one go and cut by their length."""
    rows = [{**typical_row(START, 1), **change} for change in changes]
    for order in (rows, rows[::-1]):
        events = BothWays().events_of(order)
        assert [event is None for event in events] == [row["event_time"] is None for row in order]


@pytest.mark.parametrize("field", ["user_properties", "event_properties", "data", "groups"])
def test_a_row_that_nests_as_deep_as_can_be_read_breaks_nothing(field: str) -> None:
    """What reads it can go one level deeper than what writes it."""
    row = json.dumps({**typical_row(START, 1), field: "<deep>"})
    fast = FastRows(Amplitude(Options()))
    taken = []
    for levels in range(1, 1010):
        deep = '{"a":' * levels + "1" + "}" * levels
        taken += fast.events_of([row.replace('"<deep>"', deep).encode()])
    assert taken[0] is not None
    assert taken[-1] is None


UUID = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"


@pytest.mark.parametrize(
    ("uuids", "taken"),
    [
        ([UUID, UUID.upper(), UUID.replace("-", "")], [True, True, True]),
        ([UUID * 2, "", UUID], [False, False, True]),
        ([UUID[:8], UUID[8:] + UUID], [False, False]),
        (["g" + UUID[1:], UUID, "\u00e4" * 36], [False, True, False]),
        ([None, UUID], [False, True]),
    ],
)
def test_uuids_are_not_mistaken_for_each_others_ends(uuids: list[Any], taken: list[bool]) -> None:
    """All rows' uuids are looked at in one go."""
    events = BothWays().events_of([{**typical_row(START, 1), "uuid": uuid} for uuid in uuids])
    assert [event is not None for event in events] == taken
    assert {event.uuid for event in events if event is not None} <= {UUID}


def test_events_of_one_name_have_properties_of_their_own() -> None:
    """What follows from the names that were met last is not another event's."""
    properties: list[Json] = [
        {"a": 1, "b": 2},
        {"a": 1, "$os": "ours"},
        {"b": 2, "a": 1},
        {},
        {"utm_source": "x", "b": 2},
        {"a": 1, "b": 2},
        {"a": 1, "city": "a name that Amplitude has, too"},
        {str(number): number for number in range(300)},
    ]
    rows = [{**typical_row(START, 1), "event_properties": one} for one in properties * 2]
    events = BothWays().events_of(rows)
    assert [event is None for event in events] == ["city" in one for one in properties * 2]


@pytest.mark.parametrize("user_properties", ["set", "set_once"])
def test_the_usual_row_takes_the_fast_way(user_properties: Any) -> None:
    """Else the way would be fast for nobody."""
    rows = [typical_row(START + timedelta(hours=number), number) for number in range(200)]
    taken = BothWays(Options(user_properties=user_properties)).taken(rows)
    assert sum(taken) > 0.9 * len(rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": 0, "$insert_id": ""},
        {"event_id": None, "$insert_id": None},
        {"client_event_time": None, "processed_time": None},
        {"client_event_time": "2024-01-31 12:34:56"},
        {"client_event_time": "2024-01-31T12:34:56.5+05:30"},
        {"client_event_time": "2024-12-31 23:59:59.99999951"},
        {"event_time": "2023-12-31 23:59:59.123456501Z"},
        {"event_time": "2023-12-31t12:34:56z"},
        dict.fromkeys(TIMES, "2024-01-31T12:34:56.000000Z"),
        {**dict.fromkeys(TIMES, "2024-01-31T12:34:56.5-05:30"), "processed_time": None},
        dict.fromkeys(sorted(TIMES - {"event_time"})),
        {"$insert_key": "0079c7b9fdf93924939db5e63b9a828b79#422"},
        {"user_creation_time": "2023-01-31 12:34:56.789000"},
        {"event_properties": {}},
        {"event_properties": None},
        {
            "event_properties": {
                "utm_source": "b",
                "referrer": "https://b.example/",
                "[Amplitude] X": 1,
            }
        },
        {"event_properties": {"$os": "a name of our own", "$geoip_city_name": 1}},
        {"event_properties": {"[Amplitude] Page Path": "/a", "$pathname": "our own"}},
        {"event_properties": {"$session_id": "our own", "$amplitude_event_id": "our own"}},
        {"user_properties": None},
        {"user_properties": {"note": "ä" * 5000}},
        {"location_lat": 5, "location_lng": 5.0, "paying": True, "$schema": 13},
        {"groups": {"org": ["a", "b"]}, "group_properties": {}},
    ],
)
def test_gaps_and_names_that_meet_take_the_fast_way_too(changes: Json) -> None:
    """Twice, because the second time the device is known."""
    usual = {"platform": "Web", "os_name": "Chrome", "user_properties": {"utm_source": "a"}}
    assert all(BothWays().taken([{**typical_row(START, 1), **usual, **changes}] * 2))


ZONES = st.sampled_from(["", "Z", "z", "+00:00", "-0530", "+14:00", " UTC"])
TIME_TEXTS = st.one_of(
    st.builds(
        "{:%Y-%m-%d}{}{:%H:%M:%S}{}{}".format,
        *(st.dates(), st.sampled_from(" Tt"), st.times()),
        *(st.from_regex(r"([.,][0-9]{0,9})?", fullmatch=True), ZONES),
    ),
    st.none(),
    st.sampled_from(
        ["", "2024-01-31", "0001-01-01 00:00:00.1+01:00", "9999-12-31 23:59:59.9999999"]
    ),
)


@examples(200)
@given(st.fixed_dictionaries(dict.fromkeys(sorted(TIMES), TIME_TEXTS)))
def test_both_ways_read_the_same_times(times: Json) -> None:
    """Two readers of times are at work; an event must not depend on which one it met."""
    row = typical_row(START, 1)
    BothWays().taken([row, {**row, **times}])


@pytest.mark.parametrize(
    ("event_time", "uploaded", "taken"),
    [
        ("2024-01-01 00:01:00.266000", "2024-01-01 00:01:00.266000", True),
        ("2024-01-01 00:01:59.266000", "2024-01-01 00:01:00.266000", True),
        ("2024-01-02 00:01:00.266000", "2024-01-01 00:01:00.266000", True),
        ("2024-01-02 00:01:00.266001", "2024-01-01 00:01:00.266000", False),
        ("2038-01-19 03:14:07.000000", "2024-01-01 00:01:00.266000", False),
        ("2038-01-19 03:14:07", "2024-01-01T02:01:00+02:00", False),
        ("2038-01-19 03:14:07.000000", "9999-12-31 00:00:00.000000", True),
        ("9999-12-31 23:59:59.999999", "9999-12-31 00:00:00.000000", True),
        ("2038-01-19 03:14:07.000000", None, True),
        ("2038-01-19 03:14:07.000000", "soon", False),
    ],
)
def test_a_time_that_cannot_be_meant_is_left_to_the_other_way(
    event_time: str, uploaded: str | None, *, taken: bool
) -> None:
    """Up to a day after its upload an event is as fast as any."""
    row = {**typical_row(START, 1), "event_time": event_time, "server_upload_time": uploaded}
    for order in ([row, typical_row(START, 2)], [row] * 3):
        assert (BothWays().events_of(order)[0] is not None) == taken


@pytest.mark.parametrize("times", [5, 6])
def test_an_event_of_each_insert_key_has_the_same_device(times: int) -> None:
    """Exports of 2022 have one for each event; what is known of the device must still serve."""
    ways = BothWays()
    ways.taken({**typical_row(START, 1), "$insert_key": f"0079#{n}"} for n in range(times))
    assert len(ways.fast._contexts) == 1


def test_equal_numbers_of_other_types_are_other_contexts() -> None:
    """To Python 1, 1.0 and True are one key."""
    ways = BothWays()
    rows = [{**typical_row(START, 1), "location_lat": one} for one in (1, 1.0, True, "1")]
    ways.taken(rows * 2)
    assert all(ways.taken(rows))


@pytest.mark.parametrize("others", [{}, {"user_properties": {"plan": "b"}}])
def test_each_session_of_a_known_device_is_its_own(others: Json) -> None:
    """What is known of the device is taken over, but not its session."""
    ways = BothWays()
    starts = (1704067200000, 1704067200001, 0, -1, None, True, False, 1.0, "1704067200000", "")
    rows = [{**typical_row(START, 1), **others, "session_id": start} for start in starts]
    ways.taken([*rows, *reversed(rows)])
    # Of another form than an export's is what a warehouse wrote; that is left to the other way.
    assert ways.taken(rows) == [start is None or type(start) is int for start in starts]


@pytest.mark.parametrize(
    "changes",
    [
        *({name: "{}"} for name in sorted(OBJECT_FIELDS)),
        *({name: form} for name in sorted(INTEGER_FIELDS) for form in ("5", 5.0)),
        {"is_attribution_event": "true"},
        {"amplitude_attribution_ids": '["a"]'},
        {"PLATFORM": "Web"},
    ],
)
def test_what_a_warehouse_wrote_is_left_to_the_other_way(changes: Json) -> None:
    """The fast way knows only an export's own forms, so it never reads one for another."""
    row = {**typical_row(START, 1), **changes}
    assert BothWays().events_of([row, typical_row(START, 2)])[0] is None


def test_what_is_remembered_of_devices_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory that is full starts anew, and goes on right."""
    monkeypatch.setattr(fast_convert, "_MOST", 3)
    monkeypatch.setattr(senders, "_MOST", 2)
    ways = BothWays()
    rows = [{**typical_row(START, 1), "device_id": f"d-{number}"} for number in range(10)]
    for row in rows * 2:
        ways.taken([row])
        assert len(ways.fast._contexts) <= 3
        assert len(ways.fast._build.__self__._devices) <= 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "options",
    [
        Options(person_profiles="identified_only"),
        Options(user_properties="ignore"),
        Options(properties=PropertyNames({"a": "b"})),
        Options(properties=PropertyNames({}, ["secret_*"])),
    ],
)
def test_decisions_about_single_properties_take_the_other_way(options: Options) -> None:
    """They are `convert`'s alone."""
    assert not FastRows.fits(options)
    assert FastRows.fits(Options())
