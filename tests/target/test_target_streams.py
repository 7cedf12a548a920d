"""The whole target with other streams, other formats, and the SDK's own features."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.posthog.library import OWN_LIB
from tests.support.rows import row, rows, uuid_of
from tests.support.singer import counts_in, record, records, schema, state
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json
    from tests.support.target import Target


def minutes_ago(minutes: float) -> str:
    """Return a time as Amplitude writes it."""
    moment = datetime.now(timezone.utc) - timedelta(minutes=minutes)
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"


def test_auto_sends_old_events_as_history_and_recent_ones_live(target: Target) -> None:
    """Right for a schedule that follows a migration; nothing to warn of."""
    recent = [row(n, event_time=minutes_ago(n)) for n in (1, 2)]
    messages = [schema(), *records([row(10), recent[0], row(11), recent[1]])]
    ended = target.run(messages, historical_migration="auto").checked()
    assert [
        (request.historical_migration, [event["uuid"] for event in request.body["batch"]])
        for request in target.capture.requests
    ] == [(True, [uuid_of(10), uuid_of(11)]), (False, [uuid_of(1), uuid_of(2)])]
    assert "WARNING" not in ended.stderr


def test_recent_events_in_a_migration_are_warned_of_once(target: Target) -> None:
    """PostHog may bill them; they go out all the same."""
    recent = [row(n, event_time=minutes_ago(n)) for n in range(1, 9)]
    ended = target.run([schema(), *records(recent)], max_batch_events=2).checked()
    assert ended.stderr.count("newer than 48 hours") == 1
    assert {request.historical_migration for request in target.capture.requests} == {True}
    assert len(target.capture.events) == 8


@pytest.mark.parametrize("source_format", ["auto", "amplitude", "posthog", "fields"])
def test_meltanos_test_stream_is_never_posted(target: Target, source_format: str) -> None:
    """`meltano config test` would put it into somebody's analysis."""
    stream = "meltano_test_stream"
    head, content = schema(stream, key="id", id={"type": "integer"}), {"id": 1, "name": "x"}
    messages = [head, record(content, stream), state({"done": True})]
    ended = target.run(messages, source_format=source_format).checked()
    assert target.capture.requests == []
    assert ended.messages == [{"done": True}]
    assert counts_in(ended.stderr)["skipped"] == 1


def test_posthog_events_pass_as_they_are(target: Target) -> None:
    """From another project, say."""
    event: dict[str, Any] = {
        "uuid": uuid_of(1),
        "event": "$pageview",
        "distinct_id": "u1",
        "timestamp": "2024-01-01T10:00:00.000000Z",
        "properties": {"$current_url": "https://x.y", "$set": {"plan": "a"}},
    }
    bad = {**event, "distinct_id": None}
    short = {**event, "timestamp": "2024-01-01T10:00:00Z"}
    messages = [schema(key=None), record(short), record(bad)]
    ended = target.run(messages, source_format="posthog").checked()
    (stored,) = target.capture.events
    ours = {"$geoip_disable": True, **OWN_LIB}
    whole = {**event, "properties": {**event["properties"], **ours}}
    assert {name: stored[name] for name in event} == whole
    assert [line["code"] for line in target.rejects] == ["no_distinct_id"]
    assert counts_in(ended.stderr)["rejected"] == 1


@pytest.mark.parametrize("declared", [True, False])
def test_rows_of_a_warehouse_are_amplitudes_in_any_spelling(
    target: Target, *, declared: bool
) -> None:
    """Snowflake's columns are in capitals, and a tap need not declare them."""
    rows_of_snowflake = [
        {name.upper(): value for name, value in row(n, event_properties=text).items()}
        for n, text in ((1, '{"page": "/"}'), (2, "{'page': '/'}"))
    ]
    columns: Json = {name: {} for name in rows_of_snowflake[0]} if declared else {"UUID": {}}
    messages = [schema("t", key="UUID", **columns), *records(rows_of_snowflake, "t")]
    ended = target.run(messages).checked()
    (stored,) = target.capture.events
    assert (stored["uuid"], stored["event"]) == (uuid_of(1), "viewed")
    assert stored["distinct_id"] == "user-1"
    assert stored["properties"]["page"] == "/"
    assert [line["code"] for line in target.rejects] == ["bad_object"]
    assert counts_in(ended.stderr)["exported"] == 2


def test_streams_of_other_taps_become_events_by_their_usual_names(target: Target) -> None:
    """What has no person goes to the rejects."""
    orders = [
        {"id": 1, "customer_id": "c1", "created_at": "2024-01-01T10:00:00Z", "total": 9.5},
        {"id": 2, "created_at": "2024-01-01T10:00:00Z"},
    ]
    messages = [schema("orders", key="id", id={}), *records(orders, "orders")]
    ended = target.run(messages).checked()
    (stored,) = target.capture.events
    assert (stored["event"], stored["distinct_id"]) == ("orders", "c1")
    assert stored["properties"]["total"] == 9.5
    assert [line["code"] for line in target.rejects] == ["no_distinct_id"]
    assert counts_in(ended.stderr)["exported"] == 2


def test_several_streams_keep_the_taps_order_among_each_other(target: Target) -> None:
    """They share batches, so that one state can stand behind all of them."""
    day = "2024-01-01T10:00:00Z"
    messages = [
        schema(),
        schema("visits", key="id", id={}),
        record(row(1)),
        record({"id": 1, "user_id": "u1", "time": day}, "visits"),
        record(row(2)),
        record({"id": 2, "user_id": "u1", "time": day}, "visits"),
        state({"at": 4}),
    ]
    ended = target.run(messages).checked()
    assert ended.messages == [{"at": 4}]
    assert [event["event"] for event in target.capture.events] == ["viewed", "visits"] * 2


def test_a_schema_that_changes_loses_nothing(target: Target) -> None:
    """Not what was taken before it, and not what comes after."""
    messages = [
        schema(),
        record(row(1)),
        schema(uuid={"type": "string"}, more={"type": "integer"}),
        record(row(2)),
        schema(key=None),
        record(row(3)),
        state({"at": 3}),
    ]
    ended = target.run(messages).checked()
    assert [event["uuid"] for event in target.capture.events] == [uuid_of(n) for n in (1, 2, 3)]
    assert ended.messages == [{"at": 3}]


@pytest.mark.parametrize("stream", ["events", "unknown"])
def test_an_activate_version_is_passed_over(target: Target, stream: str) -> None:
    """PostHog keeps every event; there is no older version to remove."""
    version = {"type": "ACTIVATE_VERSION", "stream": stream, "version": 1}
    messages = [schema(), version, record(row(1)), version, state({"at": 1})]
    ended = target.run(messages).checked()
    assert len(target.capture.events) == 1
    assert "WARNING" not in ended.stderr


@pytest.mark.parametrize("source_format", ["amplitude", "posthog", "fields"])
def test_singers_columns_are_added_when_asked_for_and_change_no_uuid(
    target: Target, source_format: str
) -> None:
    """They are new in each run; an event must not be."""
    content: dict[str, Any] = {
        "amplitude": row(1, uuid=None),
        "posthog": {"event": "e", "distinct_id": "u", "timestamp": "2024-01-01T00:00:00Z"},
        "fields": {"user_id": "u", "time": "2024-01-01T00:00:00Z"},
    }
    target.config["source_format"] = source_format
    messages = [schema(key=None), record(content[source_format])]
    for metadata in (True, False):
        target.run(messages, add_record_metadata=metadata).checked()
    with_columns, without = (event["properties"] for event in target.capture.events)
    assert with_columns["_sdc_received_at"]
    assert "_sdc_received_at" not in without
    assert len(target.capture.held()) == 1


def test_stream_maps_work_on_the_way(target: Target) -> None:
    """The SDK's own way of changing and filtering records."""
    maps = {"events": {"event_type": "event_type.upper()", "__filter__": "amplitude_id != 1002"}}
    ended = target.run(
        [
            schema(uuid={"type": "string"}, event_type={"type": "string"}, amplitude_id={}),
            *records(rows(range(1, 4))),
            state({"at": 3}),
        ],
        stream_maps=maps,
    ).checked()
    assert [(event["event"], event["uuid"]) for event in target.capture.events] == [
        ("VIEWED", uuid_of(1)),
        ("VIEWED", uuid_of(3)),
    ]
    assert ended.messages == [{"at": 3}]


def test_values_arrive_unbent(target: Target) -> None:
    """Large integers, floats, and letters of every kind, byte by byte in the body."""
    values = '{"big":1180591620717411303424,"small":1e-07,"one":1.0,"text":"\\u0000é😀"}'
    line = json.dumps(record(row(1))).replace('{"number": 1}', values)
    assert values in line
    target.run([schema(), line], preview_path="preview").checked()
    (path,) = (target.folder / "preview").glob("*.jsonl")
    text = path.read_text()
    for part in ('"big":1180591620717411303424', '"small":1e-', '"one":1.0', '"\\u0000é😀"'):
        assert part in text


def test_the_input_may_be_a_file(tmp_path: Path, config: Json, capture: PosthogCapture) -> None:
    """The SDK's `--input`."""
    path = tmp_path / "input.jsonl"
    path.write_text("\n".join(map(json.dumps, [schema(), record(row(1)), state({"at": 1})])))
    ended = run_here(config, [], tmp_path, "--input", str(path)).checked()
    assert ended.messages == [{"at": 1}]
    assert len(capture.events) == 1
