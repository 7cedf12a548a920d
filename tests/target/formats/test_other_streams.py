"""The real process with mapped streams of other taps: what is sent, said, rejected and replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.posthog.library import OWN_LIB
from tests.support.field_cases import batches_of
from tests.support.rows import row, uuid_of
from tests.support.singer import counts_in, record, records, schema, state
from tests.support.target import started

if TYPE_CHECKING:
    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json
    from tests.support.target import Target

#: What each event says of us.
OURS = {"$geoip_disable": True, **OWN_LIB}
NAMES = ("number", "buyer", "visitor", "ordered_at", "total", "company", "email")
ORDERS = schema("shop-orders", key="number", **{name: {"type": "string"} for name in NAMES})
STREAMS: Json = {
    "shop-*": {
        "event": {"value": "Order placed"},
        "distinct_id": ["buyer", "visitor"],
        "timestamp": "ordered_at",
        "properties": ["number", "total"],
        "set": ["email"],
        "groups": {"company": {"key": "company", "properties": {"name": "company"}}},
        "alias": "visitor",
    }
}


def order(number: int, **changes: Any) -> Json:
    """Return an order of one buyer, who was one visitor."""
    made = {
        "number": number,
        "buyer": "ann",
        "visitor": "v1",
        "ordered_at": f"2024-01-{number:02}",
        "total": 5.5,
        "company": "Acme",
        "email": "ann@shop.example",
    }
    return {**made, **changes}


def closed(message: Json) -> Json:
    """Return a SCHEMA whose records have no other fields."""
    return {**message, "schema": {**message["schema"], "additionalProperties": False}}


def events_named(capture: PosthogCapture, name: str) -> list[Json]:
    """Return what was stored under a name, in order."""
    return [event for event in capture.events if event["event"] == name]


@pytest.mark.parametrize("source_format", ["auto", "fields"])
def test_a_mapped_stream_becomes_events_links_and_groups(
    target: Target, source_format: str
) -> None:
    """The link and the group are told once, before the record, and nothing says Amplitude."""
    orders = [order(1), order(2), order(3, buyer=None)]
    messages = [ORDERS, *records(orders, "shop-orders"), state({"at": 3})]
    for _ in range(2):
        ended = target.run(messages, source_format=source_format, streams=STREAMS).checked()
        assert ended.messages == [{"at": 3}]
        assert "WARNING" not in ended.stderr
    assert ended.stderr.count("by default uuid is made of the whole record.") == 1
    assert len(target.capture.held()) == 5

    (alias,) = events_named(target.capture, "$create_alias")
    assert alias["properties"] == {"distinct_id": "ann", "alias": "v1", **OURS}
    (group,) = events_named(target.capture, "$groupidentify")
    assert group["properties"]["$group_set"] == {"name": "Acme"}
    assert "analytics_source" not in group["properties"]
    first, _, third = events_named(target.capture, "Order placed")[:3]
    assert target.capture.events.index(alias) < target.capture.events.index(first)
    assert (first["distinct_id"], third["distinct_id"]) == ("ann", "v1")
    assert first["timestamp"] == "2024-01-01T00:00:00.000000Z"
    assert first["properties"] == {
        "number": 1,
        "total": 5.5,
        "$set": {"email": "ann@shop.example"},
        "$groups": {"company": "Acme"},
        **OURS,
    }


def test_what_the_schema_lacks_stops_the_run_before_anything_is_sent(target: Target) -> None:
    """With every part that lacks a field, and the fields that there are."""
    streams = {"shop-orders": {"event": "Order placed", "distinct_id": ["customer", "client"]}}
    messages = [closed(ORDERS), record(order(1), "shop-orders")]
    ended = target.run(messages, streams=streams)
    assert ended.exit_code == 2
    assert (
        "`streams`, shop-orders: the stream shop-orders has no field for event (Order placed); "
        "distinct_id (customer, client). It has buyer, company, email"
    ) in ended.stderr
    assert "A constant is written {value: …}." in ended.stderr
    assert target.capture.requests == []


def test_a_mistake_in_a_mapping_is_told_before_the_tap_is_read(target: Target) -> None:
    """All mistakes at once."""
    streams = {"a": {"who": "x"}, "b": {"uuid": {"value": "y"}}}
    ended = target.run([], streams=streams)
    assert ended.exit_code == 2
    assert "`streams`, a, who: there is no such part" in ended.stderr
    assert "`streams`, b, uuid must be a field" in ended.stderr
    assert target.capture.requests == []


def test_the_defaults_of_a_stream_are_said_once(target: Target) -> None:
    """Not again after a new schema; a part that no record has is a warning."""
    sound = schema("visits", key="id", id={}, user_id={}, date={})
    bad = schema("pages", key=None, title={})
    visit = record({"id": 1, "user_id": "u", "date": "2024-01-01"}, "visits")
    wider = schema("visits", key="id", id={}, user_id={}, date={}, more={})
    messages = [sound, visit, visit, wider, visit, bad, *[record({"title": "x"}, "pages")] * 2]
    log = target.run(messages, preview_path="out").checked().stderr
    assert log.count("Stream visits:") == 1
    assert (
        "Stream visits: by default event is the stream's name, distinct_id is user_id, "
        "timestamp is date, uuid is made of the whole record. "
        "The setting `streams` can say otherwise."
    ) in log
    assert log.count("no field of a usual name for distinct_id and timestamp") == 1


def test_an_amplitude_stream_is_not_mapped_by_a_glob(target: Target) -> None:
    """With `auto`, it is known by its schema."""
    fields: Json = {name: {} for name in ("uuid", "event_type", "amplitude_id")}
    streams = {"*": {"distinct_id": "buyer"}}
    messages = [schema(**fields), record(row(1))]
    target.run(messages, streams=streams).checked()
    assert [event["event"] for event in target.capture.events] == ["viewed"]


def test_a_mapping_sees_what_maps_and_flattening_made_of_a_record(target: Target) -> None:
    """Fields have their last names; `__alias__` names the stream."""
    customer = {"type": "object", "properties": {"id": {"type": "string"}}}
    fields = {"id": {"type": "integer"}, "customer": customer, "at": {"type": "string"}}
    content = {"id": 1, "customer": {"id": "c1"}, "at": "2024-01-01T00:00:00Z"}
    messages = [schema("orders", key="id", **fields), record(content, "orders"), state({"at": 1})]
    ended = target.run(
        messages,
        flattening_enabled=True,
        flattening_max_depth=3,
        stream_maps={"orders": {"__alias__": "sales", "when": "at"}},
        streams={"sales": {"distinct_id": "customer__id", "timestamp": "when"}},
    ).checked()
    (event,) = target.capture.events
    assert (event["event"], event["distinct_id"]) == ("sales", "c1")
    assert ended.messages == [{"at": 1}]


def test_a_closed_schema_that_loses_a_mapped_field_stops_the_run_there(target: Target) -> None:
    """A wider or an open one does not; what came before the last state is delivered."""
    fields = {name: {"type": "string"} for name in NAMES}
    wider = schema("shop-orders", key="number", **fields, note={})
    narrow = closed(schema("shop-orders", key="number", number={}, ordered_at={}))
    with started(target, streams=STREAMS, max_batch_events=1) as running:
        running.write([ORDERS, record(order(1), "shop-orders")])
        running.write([wider, record(order(2, note="x"), "shop-orders"), state({"at": 2})])
        running.wait_for(lambda: running.stdout)
        running.write([narrow, record(order(3), "shop-orders"), state({"at": 3})])
        ended = running.finish()
    assert ended.exit_code == 2
    assert "`streams`, shop-*: the stream shop-orders has no field for distinct_id" in ended.stderr
    assert ended.messages == [{"at": 2}]
    assert len(events_named(target.capture, "Order placed")) == 2


def test_a_version_of_a_mapped_stream_is_passed_over(target: Target) -> None:
    """Full-table taps send one before and after the records."""
    version = {"type": "ACTIVATE_VERSION", "stream": "shop-orders", "version": 1}
    messages = [ORDERS, version, record(order(1), "shop-orders"), version, state({"at": 1})]
    ended = target.run(messages, streams=STREAMS).checked()
    assert ended.messages == [{"at": 1}]
    assert len(events_named(target.capture, "Order placed")) == 1


def test_a_rejected_record_goes_again_as_the_same_event(target: Target) -> None:
    """The line holds stream and key: no option is needed, and the uuid is that of a good run."""
    good, bad = order(1), order(2, ordered_at="soon")
    target.config.update(streams=STREAMS, source_format="fields")
    ended = target.run([ORDERS, *records([good, bad], "shop-orders")]).checked()
    counts = counts_in(ended.stderr)
    assert (counts["accepted"], counts["rejected"]) == (1, 1)
    (line,) = target.rejects
    assert line.pop("counted").keys() == {"run", "number", "part", "stream"}
    assert line == {
        "code": "bad_time",
        "stage": "convert",
        "reason": "`ordered_at` is not a time that can be read, or lies before 1900.",
        "record": bad,
        "stream": "shop-orders",
        "key_properties": ["number"],
    }

    mended = STREAMS["shop-*"] | {"timestamp": {"value": "2024-01-02"}}
    target.config["streams"] = {"shop-*": mended}
    replayed = target.command("replay").checked()
    assert counts_in(replayed.stderr)["accepted"] == 1
    sent = events_named(target.capture, "Order placed")[-1]
    target.run([ORDERS, record(bad, "shop-orders")]).checked()
    assert events_named(target.capture, "Order placed")[-1]["uuid"] == sent["uuid"]
    assert list((target.folder / "rejects").glob("*.jsonl.replayed"))


def test_a_record_that_is_refused_later_names_its_stream_too(target: Target) -> None:
    """By the check before sending; rows of Amplitude and PostHog events need no stream."""
    messages = [ORDERS, record(order(1, total="x" * 10**6), "shop-orders")]
    messages.append(schema(event_type={}, amplitude_id={}))
    messages.append(record(row(1, event_properties={"x": "x" * 10**6})))
    target.run(messages, streams=STREAMS).checked()
    ours, theirs = target.rejects
    assert (ours["stage"], ours["stream"]) == ("check", "shop-orders")
    assert theirs.keys() == {"code", "stage", "reason", "record", "counted"}
    assert target.capture.events == []


def test_the_uuid_of_a_record_is_its_streams_and_its_own(target: Target) -> None:
    """The same in every run; one record in two streams is two events."""
    content = {"id": 1, "user_id": "u", "date": "2024-01-01"}
    messages = []
    for stream in ("a", "b"):
        messages += [schema(stream, key="id", id={}, user_id={}, date={}), record(content, stream)]
    for _ in range(2):
        target.run(messages).checked()
    assert len(target.capture.events) == 4
    assert len({event["uuid"] for event in target.capture.events}) == 2
    assert uuid_of(1) not in {event["uuid"] for event in target.capture.events}


@pytest.mark.parametrize("way", ["records", "batch"])
def test_columns_that_the_sdk_takes_out_are_no_properties(target: Target, way: str) -> None:
    """By files as by records; the tap's own columns of Singer stay."""
    more = {"_sdc_batched_at": "2024-01-02", "_sdc_deleted_at": None, "_sdc_source_row": 7}
    messages = [ORDERS, *records([order(1, **more)], "shop-orders")]
    if way == "batch":
        messages = batches_of(messages, target.folder)
    streams: Json = {"shop-*": {"distinct_id": "buyer", "timestamp": "ordered_at"}}
    target.run([*messages, state({"at": 1})], streams=streams).checked()
    (event,) = events_named(target.capture, "shop-orders")
    assert event["properties"] == order(1) | {"_sdc_source_row": 7} | OURS
