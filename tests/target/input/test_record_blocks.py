"""Usual records of RECORD messages go a shorter way, with the same result and order."""

from __future__ import annotations

import gzip
import json
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.input.record_blocks import RecordBlocks
from tests.support.field_cases import batches_of
from tests.support.rows import row, typical_row
from tests.support.singer import counts_in, record, records, schema, state
from tests.support.target import run_apart
from tests.support.target_in_process import preview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from target_posthog.input.record_blocks import RecordBlock
    from tests.support.target import Target
from tests.support.singer import Json

#: A schema by which the target knows Amplitude's rows.
AMPLITUDE = schema(event_type={"type": "string"}, amplitude_id={"type": "integer"})


def test_usual_and_other_rows_keep_their_order_and_their_form(target: Target) -> None:
    """A field that is not Amplitude's makes a row go the long way; nothing else differs."""
    sent = [row(number, device_id=f"d-{number % 7}") for number in range(400)]
    mixed = [one | {"new_field": 1} if number % 3 == 0 else one for number, one in enumerate(sent)]
    messages = [AMPLITUDE, *map(record, mixed), state({"at": 1})]
    run = run_apart(target, messages).checked()

    assert counts_in(run.stderr)["accepted"] == 400
    own = [event for event in target.capture.events if event["event"] == "viewed"]
    assert [event["uuid"] for event in own] == [one["uuid"] for one in sent]
    new = [event["properties"].pop("new_field", None) for event in own]
    assert new == [one.get("new_field") for one in mixed]
    by_both_ways = target.texts
    target.begin_anew()

    run_apart(target, [AMPLITUDE, *map(record, sent), state({"at": 1})]).checked()
    assert target.texts == by_both_ways


def test_a_usual_row_that_posthog_refuses_is_in_the_rejects_as_it_came(target: Target) -> None:
    """The record stands there as the tap wrote it, to be sent again."""
    sent = [row(number) for number in range(20)]
    late = row(20, event_time="2999-01-01 00:00:00.000000")
    messages = [AMPLITUDE, *records([*sent, late]), state({"at": 1})]
    run = run_apart(target, messages).checked()

    assert counts_in(run.stderr)["rejected"] == 1
    (line,) = target.rejects
    assert (line["code"], line["record"]) == ("future_time", late)


def test_records_of_two_streams_in_turn_are_all_taken_in_their_order(target: Target) -> None:
    """What stands around a record is looked at again when it changes."""
    streams: list[Json] = [{} if number % 3 else {"stream": "other"} for number in range(40)]
    records = [record(row(number)) | stream for number, stream in enumerate(streams)]
    messages = [AMPLITUDE, {**AMPLITUDE, "stream": "other"}, *records]
    run = run_apart(target, [*messages, state({"at": 1})]).checked()

    assert counts_in(run.stderr)["accepted"] == 40
    own = [event["uuid"] for event in target.capture.events if event["event"] == "viewed"]
    assert own == [row(number)["uuid"] for number in range(40)]


#: A line around a usual row.
BEFORE, BEHIND = '{"type":"RECORD","stream":"events","record":', ',"time_extracted":"2024"}'


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (BEFORE, ""),
        (BEFORE, ',"time_extracted":"2024"}}'),
        (BEFORE, ',"type":"STATE"}'),
        (BEFORE[1:], BEHIND),
        ('{"type":"RECORD","stream":"events","other":', BEHIND),
    ],
)
def test_what_only_looks_like_a_record_is_left_to_the_sdk(before: str, behind: str) -> None:
    """Also right behind a sound one with the same beginning or end."""
    blocks = RecordBlocks(AnyTaker())
    line = json.dumps(typical_row(datetime(2024, 1, 1, tzinfo=timezone.utc), 1))
    sound = f"{BEFORE}{line}{BEHIND}".encode()
    other = f"{before}{line}{behind}".encode()
    assert list(blocks.others([sound, other, sound, other, other])) == [other] * 3
    assert blocks.taken == 2


def test_records_that_wait_for_each_other_come_before_what_follows_them() -> None:
    """However many they are, and also at the end of the input."""
    taker = AnyTaker()
    blocks = RecordBlocks(taker)
    lines: list[Any] = [f"{BEFORE}{json.dumps(order(number))}{BEHIND}" for number in range(140)]
    lines = [line.encode() for line in lines]
    lines.insert(5, b'{"type":"STATE","value":{}}')
    lines.insert(100, "not bytes")

    seen = []
    for other in blocks.others(lines):
        seen.append((other, len(taker.taken)))
        assert blocks.taken == len(taker.taken)
    assert seen == [(lines[5], 5), ("not bytes", 99)]
    assert taker.taken == list(range(140))
    assert taker.numbers == [1, 7, 71, 102]


def test_a_long_line_does_not_wait() -> None:
    """What waits for other lines stays small."""
    taker = AnyTaker()
    blocks = RecordBlocks(taker)
    row = typical_row(datetime(2024, 1, 1, tzinfo=timezone.utc), 1)
    long = f"{BEFORE}{json.dumps({**row, 'user_properties': {'a': 'x' * 70_000}})}{BEHIND}"

    def lines() -> Iterator[bytes]:
        yield long.encode()
        assert blocks.taken == 1

    assert list(blocks.others(lines())) == []
    assert blocks.taken == 1


def order(number: int, **more: Any) -> Json:
    """Return a record of another tap."""
    return {"id": number, "user_id": f"u-{number % 3}", "time": "2024-01-01", **more}


#: How taps write a message: the Meltano SDK's, singer-python's, PipelineWise's, and one in Go,
#: whose objects are in the order of their names.
WRITERS: dict[str, Callable[[Json], str]] = {
    "singer-sdk": lambda one: json.dumps(
        {"type": "RECORD", "stream": "orders", "record": one, "time_extracted": f"{one['id']}Z"},
        separators=(",", ":"),
    ),
    "singer-python": lambda one: json.dumps({"type": "RECORD", "stream": "orders", "record": one}),
    "pipelinewise": lambda one: json.dumps(
        {"type": "RECORD", "stream": "orders", "record": one, "version": 17, "time_extracted": "x"}
    ),
    "sorted": lambda one: json.dumps({"record": one, "stream": "orders", "type": "RECORD"}),
    "indented": lambda one: json.dumps({"stream": "orders", "type": "RECORD", "record": one}) + " ",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_records_of_other_taps_are_usual_however_their_messages_are_written(writer: str) -> None:
    """Also where two taps write into one pipe, and where the same text stands twice in a line."""
    taker = AnyTaker()
    blocks = RecordBlocks(taker)
    lines = [WRITERS[writer](order(number)).encode() + b"\n" for number in range(40)]
    lines += [WRITERS["singer-sdk"](order(number)).encode() + b"\n" for number in range(40, 60)]
    assert list(blocks.others(lines)) == []
    assert blocks.taken == 60
    assert taker.taken == list(range(60))


def test_a_record_that_is_not_usual_keeps_its_place_among_those_of_its_stream(
    tmp_path: Path,
) -> None:
    """Here one that is no event, one that JSON does not know, and one whose message has two."""
    odd = [order(7, time="soon"), order(8, total=float("nan"))]
    lines = [WRITERS["singer-sdk"](one) for one in [*map(order, range(5)), *odd, order(9)]]
    run = preview([ORDERS, *lines, state({"at": 1})], tmp_path, identity_events="none")
    assert [event["properties"]["id"] for event in run.events] == [0, 1, 2, 3, 4, 8, 9]
    assert re.search(r"rejected +1\b", run.stderr)

    twice = WRITERS["singer-python"](order(1)).replace("}}", '}, "record": 1}')
    stopped = preview([ORDERS, lines[0], twice, lines[1]], tmp_path / "other")
    assert "Line 3 of the input is not a valid RECORD message" in stopped.stderr


TEXT = {"type": "string"}
ORDERS = schema("orders", key="id", id={"type": "integer"}, user_id=TEXT, time=TEXT)


def test_records_of_streams_in_turn_are_the_same_events_by_both_ways(target: Target) -> None:
    """In the tap's order. A stream map that changes nothing has every record go the SDK's way."""
    messages: list[Json | str] = [ORDERS, {**ORDERS, "stream": "refunds"}]
    for number in range(60):
        stream = "refunds" if number % 3 else "orders"
        made = order(number, total=number / 4, _sdc_batched_at=f"{number}", _sdc_source_row=number)
        messages.append(record(made, stream) | {"time_extracted": f"{number}"})
    sent = []
    maps: Json = {"stream_maps": {"orders": {"x": None}, "refunds": {"x": None}}}
    for more in ({}, maps):
        run_apart(target, [*messages, state({"at": 1})], **more).checked()
        sent.append(target.texts)
        target.begin_anew()
    assert len(sent[0]) == 60
    assert "_sdc_batched_at" not in sent[0][0]
    assert "_sdc_source_row" in sent[0][0]
    assert sent[0] == sent[1]


@pytest.mark.parametrize("way", ["records", "files", "array in a file"])
@pytest.mark.parametrize(
    "setting",
    [{}, {"stream_maps": {"orders": {"x": "1"}}}, {"protocol": "v1"}],
    ids=["plain", "stream map", "v1"],
)
def test_a_record_without_its_key_stops_the_run_behind_usual_ones(
    tmp_path: Path, way: str, setting: dict[str, Any]
) -> None:
    """The tap told it apart by what it lacks, so it may be another one although all else is equal.

    What came before it is out.
    """
    without = order(20)
    del without["id"]
    sent = [*map(order, range(20)), without]
    messages = [ORDERS, *records(sent, "orders"), state({"at": 1})]
    if way != "records":
        messages = batches_of(messages, tmp_path, records=30)
        (path,) = tmp_path.glob("*.json*")
    if way == "array in a file":
        path.write_bytes(gzip.compress(json.dumps(sent).encode()))
    run = preview(messages, tmp_path, identity_events="none", **setting)
    assert run.exit_code == 1
    place = ""
    if way != "records" and "stream_maps" not in setting:
        place = f"; {path.name}, line {'1, item 21' if 'array' in way else '21'}"
    assert f"orders without its key properties (id{place})." in run.stderr
    assert [event["properties"]["id"] for event in run.events] == list(range(20))


@pytest.mark.parametrize("way", ["records", "batch"])
def test_an_event_that_is_refused_late_is_in_the_rejects_with_its_stream(
    target: Target, way: str
) -> None:
    """Without it `target-posthog-replay` could not make the same event of it.

    One nests deeper than PostHog reads, one lies in the future.
    """
    deep = json.loads(f"{'[' * 130}{']' * 130}")
    odd = [order(3, deep=deep), order(7, time="2999-01-01")]
    sent = [*map(order, range(3)), odd[0], *map(order, range(4, 7)), odd[1]]
    messages = [ORDERS, *records(sent, "orders")]
    if way == "batch":
        messages = batches_of(messages, target.folder, records=8)
    ended = run_apart(target, [*messages, state({"at": 1})]).checked()
    assert counts_in(ended.stderr)["accepted"] == 6
    lines = sorted(target.rejects, key=lambda one: one["code"])
    assert [(one["code"], one["record"]) for one in lines] == [
        ("future_time", odd[1]),
        ("refused_by_posthog", odd[0]),
    ]
    assert {(one["stream"], *one["key_properties"]) for one in lines} == {("orders", "id")}


class AnyTaker:
    """Takes records of any stream, in this process."""

    are_shared = False

    def __init__(self) -> None:
        self.taken: list[int] = []
        #: Of the first line of each block.
        self.numbers: list[int] = []

    def takes(self, _: str) -> bool:
        """Take all."""
        return True

    def take_records(self, block: RecordBlock) -> None:
        """Take a block of the stream of all lines."""
        assert block.stream in {"events", "orders"}
        self.numbers.append(block.number)
        for content in map(json.loads, block.records):
            self.taken.append(content.get("id", content.get("event_id")))

    def attend(self) -> tuple[list[int], None]:
        """Wait for nothing."""
        return [], None
