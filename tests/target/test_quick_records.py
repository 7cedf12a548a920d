"""Usual rows of RECORD messages go a shorter way, with the same result and the same order."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.amplitude.convert import Options, convert
from target_posthog.amplitude.usual_rows import UsualRows
from target_posthog.quick_records import QuickRecords
from tests.processes import run_target
from tests.tap.typical_rows import typical_row
from tests.target.singer import counts_in, record, row, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from target_posthog.batches import Item
    from tests.fakes.posthog_capture import PosthogCapture
    from tests.target.singer import Json

#: A schema by which the target knows Amplitude's rows.
AMPLITUDE = schema(event_type={"type": "string"}, amplitude_id={"type": "integer"})


def events(capture: PosthogCapture) -> list[str]:
    """Return the events in the order in which they came, as text."""
    return [json.dumps(event, sort_keys=True) for event in capture.events]


def test_usual_and_other_rows_keep_their_order_and_their_form(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """A field that is not Amplitude's makes a row go the long way; nothing else differs."""
    sent = [row(number, device_id=f"d-{number % 7}") for number in range(400)]
    mixed = [one | {"new_field": 1} if number % 3 == 0 else one for number, one in enumerate(sent)]
    messages = [AMPLITUDE, *map(record, mixed), state({"at": 1})]
    run = run_target(config, messages, tmp_path).checked()

    assert counts_in(run.stderr)["accepted"] == 400
    own = [event for event in capture.events if event["event"] == "viewed"]
    assert [event["uuid"] for event in own] == [one["uuid"] for one in sent]
    new = [event["properties"].pop("new_field", None) for event in own]
    assert new == [one.get("new_field") for one in mixed]
    by_both_ways = events(capture)
    capture.events.clear()
    (tmp_path / "target-posthog.db").unlink()

    run_target(config, [AMPLITUDE, *map(record, sent), state({"at": 1})], tmp_path).checked()
    assert events(capture) == by_both_ways


def test_a_usual_row_that_posthog_refuses_is_in_the_rejects_as_it_came(
    tmp_path: Path, config: Json
) -> None:
    """The record stands there as the tap wrote it, to be sent again."""
    sent = [row(number) for number in range(20)]
    late = row(20, event_time="2999-01-01 00:00:00.000000")
    run = run_target(
        config, [AMPLITUDE, *map(record, [*sent, late]), state({"at": 1})], tmp_path
    ).checked()

    assert counts_in(run.stderr)["rejected"] == 1
    (path,) = (tmp_path / "rejects").iterdir()
    (line,) = map(json.loads, path.read_text().splitlines())
    assert (line["code"], line["record"]) == ("future_time", late)


def test_records_of_two_streams_in_turn_are_all_taken_in_their_order(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """What stands around a record is looked at again when it changes."""
    streams: list[Json] = [{} if number % 3 else {"stream": "other"} for number in range(40)]
    records = [record(row(number)) | stream for number, stream in enumerate(streams)]
    messages = [AMPLITUDE, {**AMPLITUDE, "stream": "other"}, *records]
    run = run_target(config, [*messages, state({"at": 1})], tmp_path).checked()

    assert counts_in(run.stderr)["accepted"] == 40
    own = [event["uuid"] for event in capture.events if event["event"] == "viewed"]
    assert own == [row(number)["uuid"] for number in range(40)]


#: A line around a usual row.
BEFORE, BEHIND = '{"type":"RECORD","stream":"events","record":', ',"time_extracted":"2024"}'


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (BEFORE, ""),
        (BEFORE, ',"time_extracted":"2024"}}'),
        (BEFORE, ',"type":"STATE"}'),
        (BEFORE, ',"record":1}'),
        (BEFORE[1:], BEHIND),
        ('{"type":"RECORD","stream":"events","other":', BEHIND),
    ],
)
def test_what_only_looks_like_a_record_is_left_to_the_sdk(before: str, behind: str) -> None:
    """Also right behind a sound one with the same beginning or end."""
    quick = QuickRecords(AnyTarget())  # type: ignore[arg-type]
    line = json.dumps(typical_row(datetime(2024, 1, 1, tzinfo=timezone.utc), 1))
    sound = f"{BEFORE}{line}{BEHIND}".encode()
    other = f"{before}{line}{behind}".encode()
    assert list(quick.others([sound, other, sound, other, other])) == [other] * 3
    assert quick.taken == 2


def test_rows_that_wait_for_each_other_come_before_what_follows_them() -> None:
    """However many they are, and also at the end of the input."""
    target = AnyTarget()
    quick = QuickRecords(target)  # type: ignore[arg-type]
    row = typical_row(datetime(2024, 1, 1, tzinfo=timezone.utc), 1)
    rows = [{**row, "event_id": number} for number in range(40)]
    rows[30]["new_field"] = 1
    lines: list[Any] = [f"{BEFORE}{json.dumps(one)}{BEHIND}".encode() for one in rows]
    lines.insert(5, b'{"type":"STATE","value":{}}')
    lines.insert(36, "not bytes")

    seen = []
    for other in quick.others(lines):
        seen.append((other, len(target.taken)))
        assert quick.taken == len(target.taken)
    assert seen == [(lines[5], 5), (lines[31], 30), ("not bytes", 34)]
    assert target.taken == [number for number in range(40) if number != 30]


def test_a_long_line_does_not_wait() -> None:
    """What waits for other lines stays small."""
    target = AnyTarget()
    quick = QuickRecords(target)  # type: ignore[arg-type]
    row = typical_row(datetime(2024, 1, 1, tzinfo=timezone.utc), 1)
    long = f"{BEFORE}{json.dumps({**row, 'user_properties': {'a': 'x' * 70_000}})}{BEHIND}"

    def lines() -> Iterator[bytes]:
        yield long.encode()
        assert quick.taken == 1

    assert list(quick.others(lines())) == []
    assert quick.taken == 1


class AnyTarget:
    """A target that takes usual rows of any stream."""

    def __init__(self) -> None:
        options = Options()
        line = typical_row(datetime(2024, 1, 1, tzinfo=timezone.utc), 1)
        # The quick way takes only names that were met before.
        convert(line, options)
        self._sink = SimpleNamespace(converter=SimpleNamespace(usual_rows=UsualRows(options)))
        self.taken: list[int] = []

    def plain_sink(self, _: str) -> Any:
        """Return a sink of Amplitude rows."""
        return self._sink

    def take_usual(self, items: Sequence[Item]) -> bool:
        """Take rows; each must be one."""
        for item in items:
            assert isinstance(item.record, bytes)
            self.taken.append(json.loads(item.record)["event_id"])
        return True
