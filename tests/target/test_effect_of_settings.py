"""Every setting has an effect, or the run says that it has none: nothing is ignored in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.field_cases import batches_of, run_case
from tests.support.rows import row
from tests.support.singer import counts_in, record, records, schema, state
from tests.support.target_in_process import preview

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.singer import Json
    from tests.support.target import Target

WAYS = ["records", "batch"]
ORDER = {"id": 1, "user_id": "ann", "created_at": "2024-01-01", "email": "ann@x.example"}
ORDERS = schema("orders", key="id", id={}, user_id={}, created_at={}, email={})
VISITS = schema("visits", key="id", id={}, user_id={}, created_at={})


@pytest.mark.parametrize("way", WAYS)
def test_skipped_properties_are_not_sent_whatever_the_format(target: Target, way: str) -> None:
    """An e-mail and an ssn of a stream without a mapping."""
    run_case(target, "f04-skip-properties-ignored", way).checked()
    (event,) = target.capture.events
    assert (event["event"], event["distinct_id"]) == ("orders", "ann")
    assert not {"email", "ssn"} & event["properties"].keys()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("case", "accepted", "rejected"),
    [("f09-draft4-tap-postgres", 3, 1), ("f10-open-schema-tap-mongodb", 3, 0)],
)
def test_schemas_of_other_taps_are_used_and_not_validated(
    target: Target, way: str, case: str, accepted: int, rejected: int
) -> None:
    """Of draft 4, and of fields that the schema does not name, even when it grows in mid-run."""
    ended = run_case(target, case, way).checked()
    counts = counts_in(ended.stderr)
    assert (counts["accepted"], counts["rejected"]) == (accepted, rejected)
    assert "did not act" not in ended.stderr


def test_a_stream_map_that_fails_is_the_users_mistake(target: Target) -> None:
    """Told with stream, property and reason; the STATE after it is not written."""
    ended = run_case(target, "f11-stream-map-mistake")
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert "stream orders, total: a value cannot be converted" in ended.stderr
    for word in ("bug", "Traceback", "could not convert", "ann@"):
        assert word not in ended.stderr


def test_a_person_that_is_nobody_is_no_entry_in_vain(tmp_path: Path) -> None:
    """`distinct_id: false` names no field that could come."""
    streams = {"orders": {"event": {"value": "e"}, "distinct_id": False}}
    ended = preview([ORDERS, record(ORDER, "orders")], tmp_path, streams=streams)
    assert (len(ended.events), "did not act" in ended.stderr) == (1, False)


def test_a_schema_of_nothing_and_nothing_more_is_no_good_end(tmp_path: Path) -> None:
    """With records, a schema without properties is as good as any."""
    bare = {"type": "SCHEMA", "stream": "orders", "schema": {"type": "object"}}
    ended = preview([bare], tmp_path / "a")
    assert ended.exit_code == 1
    assert "schema of orders without properties" in ended.stderr
    assert len(preview([bare, record(ORDER, "orders")], tmp_path / "b").events) == 1


def test_a_stream_without_an_entry_stops_at_its_schema(target: Target) -> None:
    """With the entries that there are; the first of them is misspelt."""
    ended = run_case(target, "f13-mapping-of-no-stream")
    assert ended.exit_code == 2
    assert "stream orders has no entry in `streams`. Did you mean `order`?" in ended.stderr
    assert target.capture.events == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("unmapped", "skipped"), [("skip", 1), ("guess", 0)])
def test_a_stream_without_an_entry_is_skipped_or_guessed_when_the_user_says_so(
    target: Target, way: str, unmapped: Any, skipped: int
) -> None:
    """And the entry that met no stream is named, with the streams that came."""
    case = "f13-mapping-of-no-stream"
    ended = run_case(target, case, way, unmapped_streams=unmapped).checked()
    assert counts_in(ended.stderr)["skipped"] == skipped
    assert ("unmapped_streams 1" in ended.stderr) == bool(skipped)
    assert [event["distinct_id"] for event in target.capture.events] == ["clerk7"] * (1 - skipped)
    assert "no stream came for order. There were: orders." in ended.stderr


def test_the_default_for_a_stream_without_an_entry_follows_from_the_entries(tmp_path: Path) -> None:
    """Amplitude rows and Meltano's test stream need none."""
    test = "meltano_test_stream"
    messages = [ORDERS, record(ORDER, "orders")]
    messages += [schema(event_type={}, amplitude_id={}), record(row(1))]
    messages += [schema(test, key="id", id={}), record({"id": 1}, test)]
    assert len(preview(messages, tmp_path / "a").events) == 2
    mapped = preview(messages, tmp_path / "b", streams={"ord*": {}})
    assert [event["event"] for event in mapped.events] == ["orders", "viewed"]
    strict = preview(messages, tmp_path / "c", unmapped_streams="fail")
    assert strict.exit_code == 2
    assert "There are entries for no stream" in strict.stderr


def test_an_entry_for_a_stream_of_amplitude_rows_is_refused(tmp_path: Path) -> None:
    """Amplitude's rows have a mapping of their own; a glob passes them by."""
    messages = [schema(event_type={}, amplitude_id={}), record(row(1))]
    ended = preview(messages, tmp_path / "a", streams={"events": {"distinct_id": "x"}})
    assert ended.exit_code == 2
    assert "the stream has Amplitude rows" in ended.stderr
    assert preview(messages, tmp_path / "b", streams={"*": {}}).exit_code == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sent", [[row(1)], [row(1), {"id": 1, **ORDER}]], ids=["alone", "mixed"])
@pytest.mark.parametrize(
    ("entry", "named"), [("events", {}), ("events", {"plan": {}}), ("*", {}), ("*", {"plan": {}})]
)
def test_an_entry_for_rows_that_only_their_content_tells_is_said_not_to_act_on_them(
    tmp_path: Path, way: str, sent: list[Json], entry: str, named: Json
) -> None:
    """Whatever the schema names. A field that other records of the stream lack is told beside."""
    messages: list[Json] = [schema(key=None, x={}, **named), *records(sent)]
    if way == "batch":
        messages = batches_of(messages, tmp_path)
    ended = preview(messages, tmp_path, streams={entry: {"set": ["plan"]}})
    assert len(ended.events) == len(sent)
    own = "what is set for events does nothing for its Amplitude rows" in ended.stderr
    assert own is (entry == "events")
    lacks = "no record had a field for events: set (plan)." in ended.stderr
    assert lacks is (len(sent) == 2 and not named)


@pytest.mark.parametrize("way", WAYS)
def test_entries_that_met_nothing_are_told_at_the_end(target: Target, way: str) -> None:
    """Of each list, only those in vain; workers tell what they met."""
    vain: Json = {
        "event_names": [{"from": "order", "to": "a"}, {"from": "orders", "to": "b"}],
        "skip_events": ["nothing*"],
        "property_names": [{"from": "emial", "to": "mail"}, {"from": "id", "to": "number"}],
        "skip_properties": ["ssn", "phone"],
        "streams": {"orders": {"set": ["plan"], "set_once": ["email"]}},
        "stream_maps": {"visit*": {"x": "y"}} if way == "records" else {},
    }
    ended = run_case(target, "f04-skip-properties-ignored", way, **vain).checked()
    told = [line.partition("did not act everywhere: ")[2] for line in ended.stderr.splitlines()]
    maps = ["no stream came for visit*. There were: orders."] if way == "records" else []
    assert [one for one in told if one] == [
        *maps,
        "no event had the name order.",
        "no event had a name like nothing*.",
        "no property had the name emial.",
        "no property had a name like phone.",
        "no record had a field for orders: set (plan).",
    ]


WIDER = {**ORDERS, "schema": {"properties": {**ORDERS["schema"]["properties"], "plan": {}}}}


@pytest.mark.parametrize(
    ("schemas", "told"),
    [
        ([{**ORDERS, "schema": {"properties": {}}}], True),
        ([{**ORDERS, "schema": {"properties": {"user_id": {}, "created_at": {}}}}], True),
        ([{**ORDERS, "schema": {"properties": {"plan": {}}}}], False),
        # A stream may get a column in mid-run, or lose it.
        ([ORDERS, WIDER], False),
        ([WIDER, ORDERS], False),
    ],
)
def test_a_field_that_no_record_had_is_told_unless_a_schema_names_it(
    tmp_path: Path, schemas: list[Json], told: object
) -> None:
    """A misspelt part of a mapping; a column that is null this time is no mistake."""
    messages = [one for message in schemas for one in (message, record(ORDER, "orders"))]
    ended = preview(messages, tmp_path, streams={"orders": {"set": ["plan"]}})
    assert ("no record had a field for orders: set (plan)." in ended.stderr) is told
    assert ("did not act" in ended.stderr) is told


def test_a_stream_whose_name_is_written_in_capitals_is_proposed(tmp_path: Path) -> None:
    """Warehouses write names so."""
    ended = preview([ORDERS], tmp_path, streams={"ORDERS": {}})
    told = "The stream orders has no entry in `streams`. Did you mean `ORDERS`?"
    assert told in ended.stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [({}, True), ({"event": {"value": "x"}}, False), ({"event": "event"}, False)],
)
def test_events_of_posthog_that_are_guessed_are_told(
    tmp_path: Path, changes: Json, *, told: bool
) -> None:
    """A PostHog export without `source_format` would be one event name; in capitals, too."""
    event = {"UUID": None, "Event": "x", "event": "x", "distinct_id": "d", "Properties": "{}"}
    rows = record({**event, "timestamp": "2024-01-01"}, "export")
    streams = {"export": changes} if changes else {}
    ended = preview([schema("export", key=None), rows], tmp_path, streams=streams)
    assert ("set `source_format` to `posthog`" in ended.stderr) is told


def test_a_run_without_records_tells_of_no_entry_in_vain(tmp_path: Path) -> None:
    """A schedule often finds nothing new."""
    ended = preview([state({"a": 1})], tmp_path, skip_events=["x"], streams={"orders": {}})
    assert ended.exit_code == 0
    assert "did not act" not in ended.stderr


@pytest.mark.parametrize("way", WAYS)
def test_a_short_run_of_rejects_ends_with_exit_code_3(target: Target, way: str) -> None:
    """Everything else is delivered and the state is written: nothing is read again."""
    ended = run_case(target, "f09-draft4-tap-postgres", way, max_reject_ratio=0.1)
    assert ended.exit_code == 3
    assert "1 of 4 records were rejected, more than `max_reject_ratio` (0.1)" in ended.stderr
    assert "target-posthog-replay" in ended.stderr
    assert len(target.capture.events) == 3
    assert ended.messages[-1]["currently_syncing"] is None


def test_a_preview_of_rejects_ends_with_exit_code_3_too(tmp_path: Path) -> None:
    """It shows what the run would come to."""
    ended = preview([ORDERS, record({"id": 1}, "orders")], tmp_path, max_reject_ratio=0.5)
    assert ended.exit_code == 3
    assert "Nothing was sent." in ended.stderr


def test_a_first_run_whose_tap_writes_a_state_first_warns_of_no_lost_ledger(target: Target) -> None:
    """It says which stream is on, and nothing of an earlier run."""
    ended = run_case(target, "f16-first-run-state-first").checked()
    assert "WARNING" not in ended.stderr
    assert "Done in" in ended.stderr


def test_records_that_a_stream_map_leaves_out_are_counted(target: Target) -> None:
    """As skipped, by that name; a copy of them is still one record."""
    maps: Json = {"orders": {"__filter__": "id != 2"}, "visits": None}
    maps["copies"] = {"__source__": "visits"}
    messages = [ORDERS, *records([ORDER, {**ORDER, "id": 2}], "orders"), VISITS]
    messages.append(record({"id": 3, "user_id": "u", "created_at": "2024-01-01"}, "visits"))
    ended = target.run(messages, stream_maps=maps).checked()
    counts = counts_in(ended.stderr)
    assert (counts["exported"], counts["accepted"], counts["skipped"]) == (3, 2, 1)
    assert "stream_maps 1" in ended.stderr


@pytest.mark.parametrize("alias", [{}, {"stream_maps": {"*": {"__alias__": "mine"}}}])
def test_no_mapping_and_no_stream_map_lets_meltanos_test_stream_out(
    tmp_path: Path, alias: Json
) -> None:
    """It is nobody's event."""
    stream = "meltano_test_stream"
    messages = [schema(stream, key="id", id={}), record({"id": 1, **ORDER}, stream), ORDERS]
    settings = {"streams": {"*": {"distinct_id": "user_id"}}, **alias}
    ended = preview(messages, tmp_path, **settings)
    assert ended.exit_code == 0
    assert ended.events == []
    assert "meltano_test_stream 1" in ended.stderr


def test_a_run_that_delivered_nothing_does_not_say_sent(target: Target) -> None:
    """All was left out, as the user said."""
    messages = [ORDERS, record(ORDER, "orders"), state({"at": 1})]
    ended = target.run(messages, skip_events=["*"]).checked()
    assert ": nothing was delivered." in ended.stderr
    assert "sent to" not in ended.stderr


def test_blank_lines_and_a_byte_order_mark_are_no_messages(tmp_path: Path) -> None:
    """Some shells and editors put them there; lines are counted all the same."""
    content = record(ORDER, "orders")
    sound: list[Json | str | bytes] = [b"\xef\xbb\xbf", ORDERS, "", " \t", content, "\r"]
    assert len(preview(sound, tmp_path / "a").events) == 1
    broken = preview([*sound, "no message"], tmp_path / "b")
    assert "Line 6 of the input is not a Singer message" in broken.stderr


GLOB = {"shop-*": {"distinct_id": "buyer", "timestamp": "at", "set": ["email"]}}
EACH_SHOP = dict.fromkeys(("shop-a", "shop-b"), GLOB["shop-*"])


@pytest.mark.parametrize(
    ("lacks", "streams", "exit_code", "told"),
    [
        ("email", GLOB, 0, "`streams`, shop-*: the stream shop-b has no field for set (email)."),
        ("buyer", GLOB, 2, "`streams`, shop-*: the stream shop-b has no field for distinct_id"),
        ("email", EACH_SHOP, 2, "no field for set (email)"),
    ],
)
def test_a_glob_over_unlike_streams_needs_only_what_makes_an_event(
    tmp_path: Path, lacks: str, streams: Json, exit_code: int, told: str
) -> None:
    """Of closed schemas: an open one may have any field."""
    fields: Json = {"buyer": {}, "at": {}, "email": {}}
    messages = []
    for stream, without in (("shop-a", ""), ("shop-b", lacks)):
        message = schema(stream, key=None, **{one: {} for one in fields if one != without})
        message["schema"]["additionalProperties"] = False
        content = {"buyer": "ann", "at": "2024-01-01", "email": "e", "stream": stream}
        messages += [message, record(content, stream)]
    ended = preview(messages, tmp_path / "a", streams=streams)
    assert ended.exit_code == exit_code
    assert told in ended.stderr
    for message in messages[::2]:
        del message["schema"]["additionalProperties"]
    ended = preview(messages, tmp_path / "b", streams=streams)
    assert ended.exit_code == 0
    assert len(ended.events) == 2


UNTIL_THE_3RD = {
    "next_export_hour": "2024-01-01T05:00:00Z",
    "export_until": "2024-01-03T00:00:00Z",
}


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([], "The tap sent no record and no STATE"),
        ([ORDERS, record(ORDER, "orders")], "The tap wrote no STATE after its last records"),
        (
            [state({"a": 1}), ORDERS, record(ORDER, "orders")],
            "The tap wrote no STATE after its last records",
        ),
        (
            [ORDERS, record(ORDER, "orders"), state({"bookmarks": {"events": UNTIL_THE_3RD}})],
            "The tap ended early: the hours from 2024-01-01T05Z to 2024-01-02T23Z are missing.",
        ),
    ],
)
def test_an_early_end_of_the_tap_is_not_called_done(
    tmp_path: Path, messages: list[Json], told: str
) -> None:
    """Whether it is one, the target may not know; then it says so."""
    ended = preview(messages, tmp_path)
    assert ended.exit_code == 0
    assert told in ended.stderr
    assert "Done" not in ended.stderr
