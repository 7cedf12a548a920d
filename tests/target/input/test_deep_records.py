"""Records that nest too deep: one bound for every way in, and what lies beyond is kept aside."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.common.lenient_json import TOO_DEEP
from target_posthog.common.object_cutter import Found
from target_posthog.input.deep_records import deep_record_message
from tests.support.batch_messages import batch
from tests.support.rows import START, row, typical_row
from tests.support.singer import counts_in, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.processes import Finished
    from tests.support.singer import Json
    from tests.support.target import Target

WAYS = ["records", "records through the SDK", "batch files", "batch files through the SDK"]
#: Rows whose names and senders are known before the last one comes are taken the quick way.
BEFORE = [json.dumps(typical_row(START, number)).encode() for number in range(10, 400)]


def nested(levels: int) -> str:
    """Return an object that nests so deep."""
    return '{"a":' * levels + "1" + "}" * levels


def deep(levels: int, field: str = "event_properties", content: Json | None = None) -> bytes:
    """Return a row that nests so deep in one of its fields."""
    text = json.dumps((content or row(2)) | {field: "<nested>"})
    return text.replace('"<nested>"', nested(levels - 1)).encode()


def in_message(content: bytes, message: Json | None = None) -> bytes:
    """Return the line of a message with JSON for its record."""
    text = json.dumps(record("<content>") if message is None else message)
    return text.encode().replace(b'"<content>"', content) + b"\n"


def run_way(way: str, target: Target, lines: Sequence[bytes], **settings: Any) -> Finished:
    """Have the target take rows as records or out of a batch file, between schema and state."""
    messages: list[Json | bytes] = [in_message(line) for line in lines]
    if way.startswith("batch"):
        path = target.folder / "rows.json.gz"
        path.write_bytes(gzip.compress(b"\n".join(lines)))
        messages = [batch([path])]
    if way.endswith("SDK"):
        settings["add_record_metadata"] = True
    messages = [schema(), *messages, state({"at": 1})]
    return target.run(messages, source_format="amplitude", **settings)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("levels", [501, 5000])
def test_a_record_that_nests_too_deep_goes_to_the_rejects(
    way: str, levels: int, target: Target
) -> None:
    """By a message as by a batch file: with its text, and the run goes on."""
    text = deep(levels)
    lines = [json.dumps(row(1)).encode(), text, json.dumps(row(3)).encode()]
    run = run_way(way, target, lines).checked()

    number = 3 if way.startswith("records") else 2  # there the schema is a line, too
    (reject,) = target.rejects
    place, _, reason = reject.pop("reason").partition(": ")
    assert reject.pop("counted")["stream"] == "events"
    assert reject == {"code": "bad_line", "stage": "read", "record": text.decode()}
    assert (place.split(", ")[1], reason) == (f"line {number}", TOO_DEEP)
    assert run.messages[-1] == {"at": 1}
    counts = counts_in(run.stderr)
    assert (counts["exported"], counts["accepted"], counts["rejected"]) == (3, 2, 1)
    assert [event["properties"]["number"] for event in target.capture.events] == [1, 3]


@pytest.mark.parametrize("way", WAYS)
def test_a_record_as_deep_as_it_may_be_is_read(way: str, target: Target) -> None:
    """It is PostHog that refuses it, which takes 125 levels."""
    run_way(way, target, [deep(500)]).checked()
    (reject,) = target.rejects
    assert (reject["code"], reject["record"]["uuid"]) == ("refused_by_posthog", row(2)["uuid"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", ["user_properties", "data"])
def test_a_known_sender_is_held_to_the_same_depth(way: str, field: str, target: Target) -> None:
    """Its rows are converted without a look at each value, and were sent however deep they are."""
    text = deep(600, field, typical_row(START, 400))
    run = run_way(way, target, [*BEFORE, text]).checked()

    (reject,) = target.rejects
    assert (reject["code"], reject["record"]) == ("bad_line", text.decode())
    counts = counts_in(run.stderr)
    assert (counts["exported"], counts["rejected"]) == (len(BEFORE) + 1, 1)


def test_records_that_nest_too_deep_are_judged_at_the_end(target: Target) -> None:
    """A run with too large a share of them does not end well, though its state is written."""
    lines = [json.dumps(row(1)).encode(), deep(600)]
    run = run_way("records", target, lines, max_reject_ratio=0.4)
    assert run.exit_code == 3
    assert "1 of 2 records were rejected" in run.stderr
    assert run.messages[-1] == {"at": 1}


@pytest.mark.parametrize(
    "message",
    [
        schema() | {"schema": "<content>"},
        state("<content>"),
        {"type": "BATCH", "stream": "events", "encoding": "<content>", "manifest": []},
    ],
    ids=["SCHEMA", "STATE", "BATCH"],
)
def test_another_message_that_nests_too_deep_stops_the_run(message: Json, target: Target) -> None:
    """What it means cannot be known, so nothing after it can be taken."""
    text = in_message(nested(600).encode(), message)
    run = target.run([schema(), record(row(1)), state({"at": 1}), text])
    assert run.exit_code == 1
    assert "Line 4 of the input nests deeper than 500 levels. " in run.stderr
    assert "Traceback" not in run.stderr
    assert run.messages == [{"at": 1}]


def test_a_record_of_a_stream_without_schema_stops_the_run_however_deep_it_is(
    target: Target,
) -> None:
    """Such a tap is broken, whatever its records are."""
    text = in_message(deep(600), record("<content>", "none"))
    run = target.run([schema(), text])
    assert run.exit_code == 1
    assert "of the stream none before its schema" in run.stderr


@pytest.mark.parametrize(
    "message",
    [
        {"type": "RECORD", "stream": "s", "record": "<content>"},
        {"record": "<content>", "stream": "s", "type": "RECORD", "extra": {"record": [1]}},
        {
            "extra": [{"record": "}"}, 'x"]}'],
            "type": "RECORD",
            "stream": "s",
            "record": "<content>",
        },
    ],
    ids=["first", "last", "among others"],
)
@pytest.mark.parametrize("levels", [501, 900, 100_000])
def test_the_record_is_cut_out_of_its_message(levels: int, message: Json) -> None:
    """Wherever it stands, and whatever brackets its texts hold."""
    text = deep(levels, content=row(2, city='"]}{[\\'))
    made = deep_record_message(in_message(text, message), 1234)
    assert made is not None
    assert made["stream"] == "s"
    assert made["record"] == Found("line 1,234", text, None, TOO_DEEP)


def test_of_a_large_record_as_much_is_kept_as_of_a_large_line() -> None:
    """The rejects must not grow with what a tap sends."""
    text = deep(600, content=row(2, city="x" * 2**21))
    made = deep_record_message(in_message(text), 2)
    assert made is not None
    assert made["record"].text == text[: 2**20]
    assert made["record"].reason.startswith(f"{TOO_DEEP}; only the first 1,048,576 of its ")


@pytest.mark.parametrize(
    "line",
    [
        in_message(deep(600))[:-3],
        in_message(deep(600)).replace(b": ", b" ", 1),
        in_message(deep(600)[:-1]),
        in_message(deep(600) + b"}"),
        in_message(f"[{nested(600)}]".encode()),
        in_message(deep(600), {"type": "RECORD", "record": "<content>"}),
        in_message(deep(600), {"type": "STATE", "value": "<content>"}),
        in_message(deep(600), {"type": "RECORD", "stream": "s", "record": {}, "x": "<content>"}),
        in_message(deep(600), {"type": "RECORD", "stream": "s", "record": 0, "x": "<content>"}),
        deep(600),
        b"[" * 100_000,
        b"]" * 10,
    ],
    ids=[
        "cut off",
        "a colon missing",
        "a bracket missing",
        "a bracket too many",
        "an array",
        "no stream",
        "a state",
        "another part",
        "a number",
        "no message",
        "only openings",
        "only ends",
    ],
)
def test_what_is_not_such_a_message_is_none(line: bytes) -> None:
    """It stops the run: a broken message is a broken tap."""
    assert deep_record_message(line, 2) is None
