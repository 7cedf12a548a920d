"""Files that are no plain JSON lines: the same events and rejects by records and batch files."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.batches import batch
from tests.support.export_files import file_name, packed, write_files
from tests.support.rows import START, typical_row

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pipeline import Day

Json = dict[str, Any]


def texts(first: int, count: int = 2) -> list[bytes]:
    """Return rows as JSON, the names of whose events are their numbers."""
    return [line(number) for number in range(first, first + count)]


def line(number: int, **fields: Any) -> bytes:
    """Return a row as JSON, the name of whose event is its number."""
    content = typical_row(START, number) | {"event_type": f"n{number}"} | fields
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")


def deep(number: int, levels: int) -> bytes:
    """Return a row that nests so deep."""
    nested = b'{"a":' * (levels - 2) + b"1" + b"}" * (levels - 2)
    return line(number)[:-1] + b',"event_properties":{"deep":' + nested + b"}}"


CUT = b'{"event_type":"cut'
#: A character in two halves, and a byte of another coding.
HALVES = line(80, city="\ud83d\ude00")
LATIN = line(81).replace(b"Utrecht", b"Utr\xe9cht")
WAYS = ["records", "batch files", "batch files through the SDK"]

#: Content of a file, the numbers of its events, and what is rejected of it by which reason.
FILES: list[tuple[bytes, list[int], list[tuple[str, str]]]] = [
    (b"[" + b",".join(texts(10)) + b"]", [10, 11], []),
    (b"[\n" + b",\n".join(texts(20)) + b"\n]\n", [20, 21], []),
    (json.dumps([json.loads(one) for one in texts(30)], indent=2).encode(), [30, 31], []),
    (b"\n".join(json.dumps(json.loads(one), indent=1).encode() for one in texts(40)), [40, 41], []),
    (b" ".join(texts(50)) + b"\n" + b",".join(texts(52)), [50, 51, 52, 53], []),
    (b"\r".join(texts(60)), [60, 61], []),
    (b"\xef\xbb\xbf" + b"\r\n".join(texts(70)) + b"\r\n\0\0\0\0", [70, 71], []),
    (HALVES + b"\n" + LATIN, [80, 81], []),
    (line(90) + b"\n" + CUT + b"\n" + line(91), [90, 91], [("line 2", CUT.decode())]),
    (b"[" + line(100) + b",null," + line(101) + b"]", [100, 101], [("line 1, item 2", "null")]),
    (line(110) + b"}\n" + line(111), [111], [("line 1", line(110).decode() + "}")]),
    (deep(120, 501) + b"\n" + line(121), [121], [("line 1", deep(120, 501).decode())]),
]  # fmt: skip


@pytest.fixture(name="archive")
def archive_(tmp_path: Path) -> Path:
    """Every file, an hour each."""
    files = {file_name(hour): gzip.compress(text) for hour, (text, _, _) in enumerate(FILES)}
    return write_files(tmp_path / "archive", files)


def place_of(reject: Json) -> str:
    """Return what the reason of a reject says behind the name of the file."""
    found = re.search(r"#70\.json\.gz'?, (line [\d, item]+): ", reject["reason"])
    assert found is not None, reject["reason"]
    return found[1]


def set_up(day: Day, way: str, archive: Path, *, max_reject_ratio: float) -> None:
    """Let a pipeline keep bad lines aside, on one of the ways that files take."""
    day.tap = {"archive_path": str(archive), "on_bad_line": "reject"}
    for plugin in (day.tap, day.target):
        plugin["max_reject_ratio"] = max_reject_ratio
    if way != "records":
        day.tap |= batch(day.folder / "batches")
    if way.endswith("SDK"):
        day.target["add_record_metadata"] = True


@pytest.mark.parametrize("is_allowed", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_files_of_any_form_become_the_events_that_they_are(
    way: str, archive: Path, day: Day, *, is_allowed: bool
) -> None:
    """Each way takes the same events and rejects, at the same places, and judges the same share.

    The limit is a hair above the share of bad lines, or below it: so they count the same lines.
    Whoever reads them ends with 3 above the limit, with all the rest out and in the state.
    """
    bad = [one for _, _, rejects in FILES for one in rejects]
    good = [number for _, numbers, _ in FILES for number in numbers]
    share = len(bad) / (len(bad) + len(good))
    limit = share + 1e-9 if is_allowed else share - 1e-9
    set_up(day, way, archive, max_reject_ratio=limit)
    end = day.run()

    judged = 0 if is_allowed else 3
    assert end.exit_codes == ((judged, 0) if way == "records" else (0, judged)), end.logs
    judge = end.tap if way == "records" else end.target
    assert (f"{len(bad)} of {len(bad) + len(good)} " in judge.stderr) != is_allowed
    names = [event["event"] for event in day.posthog.events if event["event"][0] == "n"]
    assert sorted(names) == sorted(f"n{number}" for number in good)
    cities = {
        event["event"]: event["properties"]["city"]
        for event in day.posthog.events
        if event["event"] in {"n80", "n81"}
    }
    assert cities == {"n80": "\U0001f600", "n81": "Utr\ufffdcht"}
    assert [(place_of(one), one["record"]) for one in day.rejects()] == bad
    assert day.next_export_hour == f"2024-01-01T{len(FILES):02}:00:00Z"

    again = day.run()
    assert again.exit_codes == (0, 0), again.logs


@pytest.mark.parametrize("way", WAYS)
def test_a_long_file_of_bad_lines_stops_before_its_hour(way: str, tmp_path: Path, day: Day) -> None:
    """After the first 10,000 lines, whoever reads them; the state holds no hour but those before.

    The target stops at once, whether or not the hours before are delivered yet.
    """
    wrong = gzip.compress(b"no event\n" * 30_000)
    files = {file_name(0): packed([typical_row(START, 1)]), file_name(1): wrong}
    archive = write_files(tmp_path / "archive", files)
    set_up(day, way, archive, max_reject_ratio=0.1)
    end = day.run()

    judge = end.tap if way == "records" else end.target
    assert judge.exit_code == 3, end.logs
    assert "more than `max_reject_ratio` (0.1) allows" in judge.stderr
    assert day.next_export_hour <= "2024-01-01T01:00:00Z"
    if way == "records":
        assert end.target.exit_code == 0, end.logs
        assert day.next_export_hour == "2024-01-01T01:00:00Z"
        assert len(day.rejects()) == 10_000


@pytest.mark.parametrize("through_sdk", [False, True])
def test_a_bad_line_of_a_batch_file_stops_before_its_hour(
    tmp_path: Path, day: Day, *, through_sdk: bool
) -> None:
    """By default: the message names file and line, and the state holds the hours before."""
    good = [packed([typical_row(START, hour)]) for hour in range(4)]
    bad = gzip.compress(line(5) + b"\n" + b'{"event_type":"cut\n')
    files = {file_name(hour): text for hour, text in enumerate([*good[:3], bad, good[3]])}
    archive = write_files(tmp_path / "archive", files)
    day.tap = {"archive_path": str(archive), **batch(tmp_path / "batches")}
    if through_sdk:
        day.target["add_record_metadata"] = True
    end = day.run()

    assert end.target.exit_code == 1, end.logs
    assert f"{file_name(3)}, line 2, is not a record: not JSON." in end.target.stderr
    assert "on_bad_line" in end.target.stderr
    assert day.next_export_hour == "2024-01-01T03:00:00Z"
    assert len({event["uuid"] for event in day.posthog.events}) >= 3
    assert day.rejects() == []


@pytest.mark.parametrize("way", [(), ("batch",), ("batch", "sdk"), ("sdk",)])
def test_a_row_that_nests_deeper_than_posthog_takes_is_rejected(
    way: tuple[str, ...], tmp_path: Path, day: Day
) -> None:
    """It passes every reader, writer and pipe on its way into the rejects, whole; others go on."""
    text = gzip.compress(deep(1, 500) + b"\n" + line(2))
    day.tap = {"archive_path": str(write_files(tmp_path / "a", {file_name(0): text}))}
    if "batch" in way:
        day.tap |= batch(tmp_path / "batches")
    if "sdk" in way:
        day.target["add_record_metadata"] = True
    day.target["max_reject_ratio"] = 1
    day.run_well()

    assert {event["event"] for event in day.posthog.events if event["event"][0] == "n"} == {"n2"}
    (reject,) = day.rejects()
    assert reject["code"] == "refused_by_posthog"
    assert json.dumps(reject["record"]).count('{"a": ') == 498
