"""The real process keeps the book: the same by records and by files, and true after any repeat."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.books.lines import Unit
from target_posthog.books.table import Book
from target_posthog.books.whole import gaps_of, totals_of
from target_posthog.identity.ledger import Ledger
from tests.support.batch_messages import batch, put
from tests.support.histories import held_events
from tests.support.rows import row
from tests.support.singer import counts_in, hours_state, record, records, schema, state
from tests.support.target import run_apart

if TYPE_CHECKING:
    from pathlib import Path

    from target_posthog.books.tables import WrittenLine
    from tests.support.processes import Finished
    from tests.support.singer import Json
    from tests.support.target import Target

DAY = "2024-01-01"


def rows_of(hour: int, count: int = 40) -> list[Json]:
    """Return rows of an hour: some skipped, some bad, one twice, one in two versions."""
    made = [
        row(
            100 * hour + number,
            app=7,
            device_id=f"device-{number % 3}",
            user_id=f"user-{number % 3}",
            event_type=["viewed", "paid", "ping"][number % 3],
            server_upload_time=f"{DAY} {hour:02}:30:00.000000",
            event_time=f"{DAY} {hour:02}:10:{number:02}.000000",
        )
        for number in range(count)
    ]
    made[3]["event_time"] = made[3]["server_upload_time"] = "never"
    made[4]["user_id"] = "u" * 201
    return [*made, made[6], made[7] | {"event_properties": {"version": 2}}]


def book_in(folder: Path) -> list[WrittenLine]:
    """Return the book of a run in a folder."""
    with closing(Ledger(f"sqlite:///{folder}/target-posthog.db", "phc_test")) as ledger:
        return Book(ledger, "reader", lambda: datetime.now(timezone.utc)).lines()


def messages_of(way: str, folder: Path, hours: dict[int, list[Json]]) -> list[Json]:
    """Return a tap's messages for these hours, by records or by files."""
    messages: list[Json] = [hours_state(min(hours)), schema()]
    for hour, sent in hours.items():
        if way == "files":
            messages.append(batch([put(folder, f"{hour}", sent)]))
        else:
            messages += records(sent)
        messages.append(hours_state(hour + 1))
    return messages


def run_hours(target: Target, way: str, hours: dict[int, list[Json]], **more: Any) -> Finished:
    """Run the target with two workers over hours."""
    messages = messages_of(way, target.batches, hours)
    return run_apart(target, messages, workers=2, **more).checked()


@pytest.mark.parametrize("way", ["records", "files"])
def test_every_record_of_an_hour_has_its_fate_in_the_book(target: Target, way: str) -> None:
    """The sums are those of the run's last words, and of what PostHog holds."""
    hours = {5: rows_of(5), 6: rows_of(6)}
    counts = counts_in(run_hours(target, way, hours, skip_events=["ping"]).stderr)
    lines = book_in(target.folder)
    by_hour = {line.unit: line for line in lines if line.unit.hour}
    assert set(by_hour) == {Unit("events", "7", f"{DAY}T0{hour}") for hour in (5, 6)}
    for line in by_hour.values():
        assert line.skipped_by_rule == {"skip_events": 13, "duplicate": 1}
        assert (line.exported - line.accepted, line.superseded) in {(16, 1), (17, 1)}
    totals = totals_of(lines)
    assert totals.open == 0
    for name in ("exported", "accepted", "superseded", "links"):
        assert getattr(totals, name) == counts[name], name
    assert totals.rejected == {"bad_time": 2, "distinct_id_too_long": 2}
    assert totals.accepted == len(held_events(target.capture))


@pytest.mark.parametrize("way", ["records", "files"])
def test_hours_that_are_read_again_count_once(target: Target, way: str) -> None:
    """A second run over the same hours, and an hour that had no record."""
    for _ in range(2):
        run_hours(target, way, {5: rows_of(5), 6: [], 7: rows_of(7)})
    lines = book_in(target.folder)
    assert gaps_of(line.unit for line in lines) == []
    assert [line.attempt for line in lines if line.unit.hour] == [2, 2, 2]
    totals = totals_of(lines)
    assert totals.open == 0
    assert totals.exported == 84
    assert totals.accepted == len(held_events(target.capture))


@pytest.mark.parametrize("way", ["records", "files"])
def test_a_part_of_an_hour_that_came_late_is_added_to_its_line(target: Target, way: str) -> None:
    """Read once more, after a crash, it counts once; so does the whole hour, read again."""
    whole = rows_of(5, count=60)[:60]
    early, late = whole[:40], whole[40:]
    sums = []
    for sent in (early, late, late, whole, early):
        run_hours(target, way, {5: sent})
        (line,) = (line for line in book_in(target.folder) if line.unit.hour)
        totals = totals_of([line])
        assert totals.open == 0
        sums.append((line.exported, line.accepted))
    held = len(held_events(target.capture))
    # The row without a readable time has no hour.
    assert sums[1:] == [(59, held)] * 4
    assert sums[0][0] == 39


@pytest.mark.parametrize("way", ["records", "files"])
def test_a_late_part_of_which_nothing_is_sent_counts_once(target: Target, way: str) -> None:
    """Skips and rejects, read once more after a crash; and a second such part."""
    hour = rows_of(5, count=60)[:60]
    skipped = [one for one in hour[40:] if one["event_type"] == "ping"]
    sound = [one for one in hour[50:] if one["event_type"] != "ping"]
    rejected = [one | {"user_id": "u" * 201} for one in sound[:3]]
    parts = [hour[:40], skipped, skipped, rejected, rejected, skipped]
    sums = []
    for sent in parts:
        run_hours(target, way, {5: sent}, skip_events=["ping"])
        (line,) = (line for line in book_in(target.folder) if line.unit.hour)
        assert totals_of([line]).open == 0
        sums.append((line.exported, line.skipped, line.rejected))
    whole, late = len(skipped), len(rejected)
    assert sums == [
        (39, 13, 1),
        *[(39 + whole, 13 + whole, 1)] * 2,
        *[(39 + whole + late, 13 + whole, 1 + late)] * 3,
    ]


@pytest.mark.parametrize("way", ["records", "files"])
def test_a_tap_that_goes_back_to_an_hour_in_one_run_adds_to_its_line(
    target: Target, way: str
) -> None:
    """What it brings a second time is exported twice, and superseded once."""
    rows = rows_of(5, count=30)[:30]
    parts = [(5, rows[:20]), (6, rows_of(6)), (5, rows[20:]), (7, []), (5, rows[20:])]
    messages: list[Json] = [schema()]
    for number, (hour, sent) in enumerate(parts):
        files = [batch([put(target.batches, f"{number}", sent)])]
        messages += [*(files if way == "files" and sent else records(sent)), hours_state(hour + 1)]
    run_apart(target, messages, workers=2).checked()
    by_hour = {line.unit.hour[-2:]: line for line in book_in(target.folder) if line.unit.hour}
    assert (by_hour["05"].exported, by_hour["06"].exported) == (39, 41)
    held = held_events(target.capture)
    assert sum(line.accepted for line in by_hour.values()) == len(held)


def test_what_posthog_refuses_is_in_the_book_of_its_hour(target: Target) -> None:
    """As rejected, not as accepted."""
    sent = rows_of(5, count=30)[:30]
    del sent[3:5]
    target.capture.judge_v1([sent[0]["uuid"], sent[1]["uuid"]], "drop", "event_restriction_drop")
    messages = [schema(), *records(sent), hours_state(6)]
    target.run(messages, protocol="v1").checked()
    (line,) = book_in(target.folder)
    assert (line.exported, line.accepted, line.rejected) == (28, 26, 2)
    assert line.rejected_by_code == {"refused_by_posthog": 2}


def order(number: int) -> dict[str, Any]:
    """Return a record of a shop's tap."""
    return {
        "id": number,
        "customer": f"c{number % 3}",
        "created_at": f"2024-01-02T00:00:{number:02}Z",
    }


@pytest.mark.parametrize("has_states", [True, False])
def test_other_taps_are_in_the_book_by_what_lies_between_two_states(
    target: Target, *, has_states: bool
) -> None:
    """Of a tap that writes no state, its whole run; read again, it is the same line."""
    streams = {"orders": {"distinct_id": "customer", "timestamp": "created_at"}}
    head = schema("orders", key="id", id={}, customer={}, created_at={})
    messages = [head]
    for number in range(12):
        messages.append(record(order(number), "orders"))
        if has_states and number % 6 == 5:
            messages.append(state({"bookmarks": {"orders": {"at": number}}}))
    for _ in range(2):
        target.run(messages, streams=streams).checked()
    lines = book_in(target.folder)
    assert [(one.unit.stream, one.exported, one.accepted) for one in lines] == (
        [("orders", 6, 6)] * 2 if has_states else [("orders", 12, 12)]
    )
    assert len(target.capture.held()) == 12


def test_a_preview_leaves_the_book_as_it_was(target: Target) -> None:
    """PostHog accepted nothing."""
    messages = [schema(), *records(rows_of(5)[10:20]), hours_state(6)]
    target.run(messages, preview_path="preview").checked()
    assert book_in(target.folder) == []
