"""Whether a migration is whole: judged from lines, and the same by SQL on both databases."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_posthog.books import tables
from target_posthog.books.lines import Kind, Line, Unit
from target_posthog.books.table import Book
from target_posthog.books.whole import Gap
from target_posthog.books.whole_migration import Part, whole_migration
from target_posthog.identity.database import open_engine
from tests.support.book_lines import book_line as line
from tests.support.examples import examples

if TYPE_CHECKING:
    from target_posthog.identity.ledger import Ledger

DAY = "2024-02-28"
COLUMNS = (
    *("source", "app", "first", "last", "hours", "gap_hours", "overlap_hours"),
    *("exported", "accepted", "superseded", "skipped", "rejected", "open"),
    *("links", "group_updates", "is_whole"),
)


def empty(hour: str, app: str = "") -> Any:
    """Return the line of an hour without records."""
    return line(hour, app=app, exported=0, accepted=0, skipped=0, rejected=0)


def gaps_of(*lines: Any, **options: str) -> list[tuple[str, str]]:
    """Return what is missing, the day left out."""
    found = whole_migration(lines, **options)
    assert found.is_whole == (not found.gaps)
    return [(gap.first[-2:], gap.last[-2:]) for gap in found.gaps]


def at(*hours: int) -> list[str]:
    """Return hours of the day."""
    return [f"{DAY}T{hour:02}" for hour in hours]


def test_a_migration_is_whole_when_every_hour_was_read() -> None:
    """With the sums of all ranges, and of each source and app."""
    found = whole_migration([line(hour) for hour in at(5, 6, 7)])
    assert found.is_whole
    (part,) = found.parts
    assert (part.source, part.app, part.first, part.last) == ("tap-amplitude", "7", *at(5, 7))
    assert (part.hours, part.totals.exported, part.totals.open) == (3, 9, 0)
    assert found.as_json()["parts"][0] == part.as_json()


def test_each_hour_has_its_own_sums() -> None:
    """Over all apps; records without an hour are in no hour's."""
    lines = [line(hour, app=app) for hour in at(5, 6) for app in ("7", "8")]
    found = whole_migration([*lines, line("", stream="orders", stretch="1")])
    assert list(found.by_hour) == at(5, 6)
    fates = {"accepted": 2, "superseded": 0, "skipped": 2, "rejected": 2, "open": 0}
    added = {"links": 4, "group_updates": 2}
    assert found.hours_as_json()[at(6)[0]] == {"exported": 6} | fates | added


def test_an_hour_that_no_run_has_read_is_a_gap() -> None:
    """Over the end of a day and a leap day, too."""
    assert gaps_of(*map(line, at(3, 6, 7))) == [("04", "05")]
    (gap,) = whole_migration([line(f"{DAY}T23"), line("2024-03-01T02")]).gaps
    assert gap == Gap("2024-02-29T00", "2024-03-01T01")
    assert (gap.hours, len(list(gap))) == (26, 26)


def test_the_ends_of_a_range_have_to_be_there() -> None:
    """What lies outside does not matter; nothing at all is not whole."""
    lines = [*map(line, at(1, 3, 4, 5)), line("2024-03-05T00")]
    start, end = f"{DAY}T03", f"{DAY}T06"
    assert gaps_of(*lines, start=start, end=end) == []
    assert gaps_of(*lines, start=f"{DAY}T02", end=end) == [("02", "02")]
    assert gaps_of(*lines, start=start, end=f"{DAY}T09") == [("06", "08")]
    assert gaps_of(start=start, end=end) == [("03", "05")]
    assert not whole_migration([]).is_whole


def test_hours_without_records_are_no_gap_of_any_app() -> None:
    """A line without an app says that the hour was read."""
    assert gaps_of(*map(line, at(3, 5)), *map(empty, at(2, 4, 6))) == []
    (part,) = whole_migration([line(f"{DAY}T03"), *map(empty, at(4))]).parts
    assert part.app == "7"
    assert gaps_of(*map(empty, at(2, 4))) == [("03", "03")]


def test_an_hour_of_one_app_does_not_stand_for_another() -> None:
    """Two projects of Amplitude, each a source of its own, in one ledger."""
    seven = [line(hour) for hour in at(1, 2, 3, 4)]
    eight = [line(hour, app="8") for hour in at(1, 4)]
    assert gaps_of(*seven, *eight) == [("02", "03")]
    assert gaps_of(*seven, *eight, *(empty(hour, "8") for hour in at(2, 3))) == []
    assert gaps_of(*seven, *eight, app="7") == []


def test_an_app_that_began_later_or_ended_earlier_has_no_gap() -> None:
    """Unless it is asked for by its number; a hole between two apps is one."""
    lines = [*map(line, at(1, 2)), *(line(hour, app="8") for hour in at(3, 4))]
    bounds = {"start": f"{DAY}T01", "end": f"{DAY}T05"}
    assert gaps_of(*lines, **bounds) == []
    assert gaps_of(*lines, **bounds, app="8") == [("01", "02")]
    assert gaps_of(line(f"{DAY}T01"), line(f"{DAY}T04", app="8")) == [("02", "03")]


def test_what_came_twice_or_has_no_fate_is_not_whole() -> None:
    """The hour is named; other taps' records have no hours that could be missing."""
    other = line(f"{DAY}T05", stretch="a" * 32)
    found = whole_migration([line(f"{DAY}T05"), other])
    assert not found.is_whole
    assert [(part.source, part.overlaps) for part in found.parts] == [
        ("events", ()),
        ("tap-amplitude", (f"{DAY}T05",)),
    ]
    unsettled = whole_migration(
        [line(f"{DAY}T05", exported=9), line("", app="", stream="orders", stretch="b")]
    )
    assert [(part.source, part.unsettled) for part in unsettled.parts] == [
        ("orders", ()),
        ("tap-amplitude", (f"{DAY}T05",)),
    ]
    assert unsettled.totals.open == 6


def test_a_line_that_is_no_record_belongs_to_the_hours_before_its_state() -> None:
    """It is of tap-amplitude, and of the range in which it came."""
    bad = line("", app="", stretch=f"before {DAY}T06", accepted=0, rejected=2)
    lines = [line(f"{DAY}T05"), bad]
    (nobodys, seven) = whole_migration(lines).parts
    assert (nobodys.source, nobodys.app, seven.app) == ("tap-amplitude", "", "7")
    within = whole_migration(lines, start=f"{DAY}T05", end=f"{DAY}T06")
    assert within.totals.exported == 6
    assert whole_migration(lines, start=f"{DAY}T06", end=f"{DAY}T07").totals.exported == 0


def rows_by_sql(url: str) -> list[dict[str, Any]]:
    """Return what the published query finds."""
    query = files("target_posthog.books").joinpath("whole_migration.sql").read_text()
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(sa.text(query)).mappings()]
    finally:
        engine.dispose()


@pytest.mark.slow
def test_the_query_can_be_a_view(ledger: Ledger) -> None:
    """As docs/scale.md says, for tools that show tables."""
    book = Book(ledger, "one", lambda: datetime(2024, 3, 2, tzinfo=timezone.utc))
    book.write([(Unit("events", "7", hour), _line_of(4)) for hour in at(1, 3)])
    query = files("target_posthog.books").joinpath("whole_migration.sql").read_text()
    ledger.transact(
        lambda connection: connection.execute(sa.text(f"CREATE VIEW whole_migration AS {query}"))
    )
    shown = sa.text("SELECT app, hours, gap_hours, is_whole FROM whole_migration")
    rows = ledger.transact(lambda connection: connection.execute(shown).all())
    assert [tuple(row) for row in rows] == [("7", 2, 1, 0)]


def as_row(part: Part) -> dict[str, Any]:
    """Return a part as the query shows it."""
    shown = part.as_json()
    return {name: shown[name] for name in COLUMNS} | {"is_whole": int(part.is_whole)}


UNITS = st.builds(
    Unit,
    st.sampled_from(["events", "orders"]),
    st.sampled_from(["", "7", "8"]),
    st.sampled_from(["", *at(1, 2, 22, 23), "2024-02-29T00", "2024-03-01T02", "2025-01-01T00"]),
    st.sampled_from(["", "", "a" * 32]),
).map(lambda unit: unit if unit.hour or unit.stretch else unit._replace(stretch=f"before {DAY}T05"))


@pytest.mark.slow
@settings(examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(UNITS, st.integers(0, 4), max_size=12))
def test_the_query_finds_what_the_command_finds(
    ledger: Ledger, ledger_url: str, records: dict[Unit, int]
) -> None:
    """Of any book, on SQLite and PostgreSQL."""
    book = Book(ledger, "one", lambda: datetime(2024, 3, 2, tzinfo=timezone.utc))
    ledger.transact(_clear)
    book.write([(unit, _line_of(count)) for unit, count in records.items()])
    _take_one_away(ledger, records)
    parts = whole_migration(book.lines()).parts
    found = rows_by_sql(ledger_url)
    assert {row.pop("project") for row in found} <= {ledger.project}
    assert sorted(found, key=_key) == sorted(map(as_row, parts), key=_key)


def _take_one_away(ledger: Ledger, records: dict[Unit, int]) -> None:
    """Have a record of one hour without a fate, as no sound book has."""
    if sum(records.values()) % 3 == 0:
        hours = tables.HOURS
        change = sa.update(hours).where(hours.c.hour == f"{DAY}T22").values(exported=9)
        ledger.transact(lambda connection: connection.execute(change))


def _line_of(count: int) -> Line:
    line = Line(links=1, groups=2)
    line.events[Kind(DAY, "viewed")] = count
    line.superseded[Kind(DAY, "viewed")] = count // 3
    line.skipped["skip_events"] = count // 2
    line.rejected["bad_time"] = count // 4
    return line


def _clear(connection: sa.Connection) -> None:
    for table in (tables.SAMPLES, tables.EVENTS, tables.HOURS):
        connection.execute(sa.delete(table))


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["source"], row["app"]
