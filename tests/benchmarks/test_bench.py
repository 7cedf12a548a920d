"""The benchmark moves everything it says it moves; its speed is not tested here."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest

from benchmarks.__main__ import _cases, _options, main, with_result
from benchmarks.events import row_number
from benchmarks.export import export
from benchmarks.inputs import Input
from benchmarks.orders import order_number, orders
from benchmarks.rounds import Bench, Case, Measured
from benchmarks.sink import Delivered, Received, Sink
from benchmarks.table import Row, deliveries, growth, table
from benchmarks.usage import Command, Failed, Usage, run
from benchmarks.ways import OtherTaps, PlainTarget, Script, exports, records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.ways import Way

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")

_FEW = 700
_SMALL = ["--rounds=1", "--growth", "--delay-ms=0", "--events-of-an-hour=300"]


class Elsewhere(Script):
    """A way that sends another export than it was told."""

    def __init__(self, export: Path, moves: Input) -> None:
        super().__init__("limit", "elsewhere", moves)
        self._export = export

    def command(self, source: Path, host: str, name: str) -> Command:  # noqa: ARG002 - that is its fault
        """Return what sends the other one."""
        return super().command(self._export, host, name)


@pytest.mark.long
def test_all_ways_deliver_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once: both of our ways with the same links, in a table; those of other taps in their own."""
    few = ["--events=1000", "--slow-events=500", "--records=1000", "--warm-up=0"]
    assert main([*_SMALL, *few, f"--cache={tmp_path}"]) == 0
    out, err = capsys.readouterr()
    for table_, ways in zip(out.split("\n\n"), ("abcde", "fg"), strict=False):
        heads, _, *rows = lines = [
            line.split("|")[1:-1] for line in table_.splitlines() if line[0] == "|"
        ]
        assert len({len(line) for line in lines}) == 1
        assert [row[0].strip()[:3] for row in rows] == [f"({way})" for way in ways]
        assert heads[-1].strip() == {"abcde": "% of (e)", "fg": "times (f)"}[ways]
    assert "with nothing to do" in out
    more = dict(re.findall(r"round 1: \((\w)\) [1-9][\d,]* events: .* ([\d,]+) more events", err))
    assert more.keys() == set("abcdefg")
    assert more["c"] == more["d"]
    assert {way for way in more if more[way] == "0"} == set("efg")
    assert len(re.findall(r"round 1: \([abefg]\) 0 events: ", err)) == 5


def test_a_way_is_warmed_up_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Out of what is measured."""
    few = ["--ways=e", "--events=60", "--warm-up=30", f"--cache={tmp_path}"]
    assert main([*_SMALL, *few]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "warming up (e)"
    assert [line.partition(" events")[0] for line in said[2:]] == [
        "round 1: (e) 60",
        "round 1: (e) 0",
    ]


@pytest.mark.parametrize(("held", "wrong"), [(120, "120 rows arrived"), (240, "of them again")])
def test_a_way_that_loses_or_doubles_rows_is_no_result(
    tmp_path: Path, held: int, wrong: str
) -> None:
    """A run stops when the sink has not got each row exactly once."""
    other = export(120, tmp_path, 60)
    if held == 240:
        with ZipFile(other, "a") as files:
            first = files.namelist()[0]
            files.writestr(first.replace("#", "#9"), files.read(first))
    bench = Bench({"e": Elsewhere(other, exports(tmp_path, 60))}, lambda _: None)
    with pytest.raises(Failed, match=wrong):
        bench.measure(Case("e", 180 if held == 120 else 120))


def test_a_command_that_fails_shows_its_last_words(tmp_path: Path) -> None:
    """Its exit code and its output are in the error."""
    command = Command([sys.executable, "-c", "raise SystemExit('out of luck')"], tmp_path, "it")
    with pytest.raises(Failed, match=r"ended with 1:\nout of luck"):
        run(command, tmp_path / "log")


def test_processes_below_are_counted_and_told_apart(tmp_path: Path) -> None:
    """The CPU and the memory of a child are found, under the name of its role."""
    child = "import time; held = bytearray(60_000_000)\nwhile time.process_time() < 0.5: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    usage = run(Command([sys.executable, "-c", code], tmp_path, "parent"), tmp_path / "log")
    assert 0.5 <= usage.cpu_seconds < 2
    assert usage.cpu_of["worker"] > 0.3 > usage.cpu_of["parent"]
    assert usage.peak_of["worker"] > 60_000_000 > usage.peak_of["parent"]


def test_threads_are_told_apart(tmp_path: Path) -> None:
    """The CPU of a thread that has ended is the process's, and not its main thread's."""
    code = """
import threading, time
def work(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
thread = threading.Thread(target=work, args=(0.6,))
thread.start(); thread.join()
work(0.2); time.sleep(0.5)
"""
    usage = run(Command([sys.executable, "-c", code], tmp_path, "it"), tmp_path / "log")
    assert 0.15 < usage.main_thread_of["it"] < 0.5
    assert usage.cpu_of["it"] - usage.main_thread_of["it"] == pytest.approx(0.6, abs=0.1)


def test_a_command_reads_a_file_by_a_pipe(tmp_path: Path) -> None:
    """As a target reads what a tap writes; it may also stop before the end."""
    (tmp_path / "in").write_bytes(b"x" * 1_000_000)
    whole = "import os, stat, sys; assert stat.S_ISFIFO(os.fstat(0).st_mode); "
    for code in ("assert len(sys.stdin.read()) == 1_000_000", "sys.stdin.read(10)"):
        arguments = [sys.executable, "-c", whole + code]
        command = Command(arguments, tmp_path, "it", stdin=tmp_path / "in")
        assert run(command, tmp_path / "log").seconds > 0


def test_the_export_is_like_amplitudes(tmp_path: Path) -> None:
    """Rows of 55 fields and about 2 KB; files by hour; devices, users and sessions come again."""
    path = export(5000, tmp_path, 1000)
    rows = []
    with ZipFile(path) as files:
        packed = {name: files.read(name) for name in files.namelist()}
    for name, file in packed.items():
        held = [json.loads(line) for line in gzip.decompress(file).splitlines()]
        date, hour = re.fullmatch(r"\d+/\d+_(.+)_(\d+)#\d+\.json\.gz", name).groups()  # type: ignore[union-attr]
        assert {row["server_upload_time"][:13] for row in held} == {f"{date} {int(hour):02}"}
        rows += held
    assert [row_number(row["uuid"]) for row in rows] == list(range(5000))
    assert {len(row) for row in rows} == {55}
    size = sum(len(json.dumps(row, separators=(",", ":"))) for row in rows) / len(rows)
    assert 1800 < size < 2200
    for field, least, most in (
        ("device_id", 60, 300),
        ("user_id", 20, 150),
        ("session_id", 200, 800),
    ):
        assert least < len(Counter(row[field] for row in rows)) < most, field
    assert {row["platform"] for row in rows} == {"Web", "iOS", "Android", None}
    assert export(5000, tmp_path, 1000) == path
    assert list(tmp_path.iterdir()) == [path]


def test_the_start_is_taken_off_every_row() -> None:
    """2 s of start and 10 s for 1,000 events are 100 a second, however slow or quick a way is."""
    slow = _row("a", 1_000, [12.0], start=2.0)
    fast = _row("e", 10_000, [10.2], start=0.2)
    assert slow.rates == pytest.approx([100])
    assert fast.rates == pytest.approx([1_000])
    slow_cells, fast_cells = _cells(table([slow, fast]))
    assert (slow_cells["start s (CPU s)"], fast_cells["start s (CPU s)"]) == (
        "2.0 (2.0)",
        "0.2 (0.2)",
    )
    assert slow_cells["CPU µs per event"] == "10000.0"
    assert slow_cells["of these"] == "it 10000.0"
    assert (slow_cells["times (a)"], fast_cells["times (a)"]) == ("1.0", "10.0")
    assert (slow_cells["% of (e)"], fast_cells["% of (e)"]) == ("10", "100")


def test_each_way_is_run_with_its_start() -> None:
    """Those with a state go on right after they moved everything, far ones start as near ones."""
    arguments = ["--ways=acdg", "--events=90", "--slow-events=10", "--records=50", "--growth", "7"]
    cases = _cases(_options().parse_args(arguments))
    assert list(map(str, cases)) == [
        "(a) 10 events",
        "(a) 0 events",
        "(c) 90 events",
        "(c) 90 events, again",
        "(d) 90 events",
        "(d) 90 events, again",
        "(g) 50 events",
        "(g) 0 events",
        "(c) 90 events, 100 ms away",
        "(d) 90 events, 100 ms away",
        "(d) 7 events",
    ]


def test_rounds_have_one_start() -> None:
    """Its median, so that the start of one round is not the noise of its rate."""
    row = Row(
        "(d)",
        Case("d", 1_000),
        [_measured(12.0), _measured(7.0), _measured(22.0)],
        [_measured(9.0), _measured(2.0), _measured(1.0)],
    )
    assert row.rates == pytest.approx([100, 200, 50])
    assert row.rate == pytest.approx(100)


def test_a_run_as_short_as_a_start_has_no_rate() -> None:
    """A start takes now more and now less time; what is left of so few events is noise."""
    cells, beside = _cells(table([_row("d", 10, [2.0, 1.9], start=2.0), _row("e", 10, [4.0])]))
    assert cells["events/s (lowest to highest)"] == "too few events to tell"
    assert (cells["% of (e)"], beside["% of (e)"]) == ("", "100")


def test_a_far_row_is_compared_with_its_near_one() -> None:
    """Which took half of the time; the near rows have nothing to say there."""
    near, far = _row("d", 1_000, [11.0]), _row("d", 1_000, [21.0], delay_ms=100)
    assert [cells["% of near"] for cells in _cells(table([near, far]))] == ["", "50"]
    assert "% of near" not in table([near])


def test_a_table_compares_with_the_ways_that_are_in_it() -> None:
    """Of another tap's records with the plain target alone."""
    plain, ours = _row("f", 1_000, [11.0]), _row("g", 1_000, [3.0])
    plain_cells, our_cells = _cells(table([plain, ours]))
    assert list(our_cells)[-1] == "times (f)"
    assert (plain_cells["times (f)"], our_cells["times (f)"]) == ("1.0", "5.0")
    assert "(a)" not in table([plain, ours])


def test_the_targets_threads_tell_how_much_it_can_deliver() -> None:
    """A main thread of 4 µs an event is full at 250,000 events/s; workers of 40 µs stay below."""
    run = _measured(11.0, {"target": 6.0, "worker": 41.0}, {"target": 4.0})
    empty = _measured(1.0, {"target": 1.0, "worker": 1.0}, {"target": 0.0})
    row = Row("(d)", Case("d", 1_000_000), [run], [empty])
    assert deliveries([row]) == (
        "(d) main thread 4.0 µs, other threads 1.0 µs: at most 250,000 events/s, "
        "where 4 workers with a processor each convert 100,000"
    )
    alone = Row("(g)", Case("g", 1_000_000), [_measured(11.0, {"target": 5.0})], [_measured(1.0)])
    far = Row("(d)", Case("d", 1_000_000, delay_ms=100), [run], [empty])
    assert deliveries([far, alone]) == (
        "(g) main thread 5.0 µs, other threads 0.0 µs: at most 200,000 events/s"
    )


def test_growth_takes_the_start_off() -> None:
    """A million microseconds of start are not a microsecond of each of a million events."""
    line = growth([_row("d", 1_000_000, [31.0]), _row("d", 100_000, [4.0]), _row("d", 9, [1.0])])
    assert line == (
        "9 events: too few events to tell, CPU 0.0 µs, peak MB it 50; "
        "100,000 events: 30.0 µs, CPU 30.0 µs, peak MB it 50; "
        "1,000,000 events: 30.0 µs, CPU 30.0 µs, peak MB it 50"
    )


def test_other_taps_records_are_those_of_an_ordinary_tap(tmp_path: Path) -> None:
    """13 fields of all kinds, one SCHEMA before them and a STATE after every 5,000."""
    path = orders(12_000, tmp_path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [at for at, line in enumerate(lines) if line["type"] != "RECORD"] == [
        0,
        5_001,
        10_002,
        12_003,
    ]
    rows = [line["record"] for line in lines if line["type"] == "RECORD"]
    assert {len(row) for row in rows} == {13}
    assert [row["id"] for row in rows] == list(range(12_000))
    assert {type(value) for row in rows for value in row.values()} == {
        str,
        int,
        float,
        bool,
        dict,
        type(None),
    }
    assert lines[0]["schema"]["properties"].keys() == rows[0].keys()
    assert orders(12_000, tmp_path) == path
    assert list(tmp_path.iterdir()) == [path]


def test_both_targets_send_the_same_events(tmp_path: Path) -> None:
    """All that is compared is how fast: only ids, the library's name and the spelling differ."""
    moves = records(tmp_path)
    sent = [
        sorted(
            map(_comparable, _sent(way, tmp_path / way.title[1])),
            key=lambda one: one["properties"]["id"],
        )
        for way in (PlainTarget(tmp_path, moves), OtherTaps(tmp_path, moves))
    ]
    assert sent[0] == sent[1]
    assert len(sent[0]) == _FEW


def test_a_record_that_comes_again_is_no_result(tmp_path: Path) -> None:
    """The plain target sends it twice."""
    doubled = orders(50, tmp_path)
    lines = doubled.read_text().splitlines(keepends=True)
    doubled.write_text("".join([*lines[:-1], lines[1], lines[-1]]))
    moves = Input(lambda _: doubled, order_number)
    with pytest.raises(Failed, match="50 rows arrived and 1 of them again"):
        Bench({"f": PlainTarget(tmp_path, moves)}, lambda _: None).measure(Case("f", 50))


def test_a_result_takes_the_place_of_the_last() -> None:
    """Only what stands between the two marks changes."""
    page = "# Speed\n<!-- begin: make bench -->\nold\n<!-- end: make bench -->\nMethod\n"
    new = with_result(page, "new")
    assert new == page.replace("old", "new")
    with pytest.raises(ValueError, match="begin: make bench"):
        with_result("# Speed\n", "new")


def _row(
    way: str, events: int, seconds: Sequence[float], *, start: float = 1.0, delay_ms: int = 0
) -> Row:
    case = Case(way, events, delay_ms)
    return Row(f"({way})", case, [_measured(one) for one in seconds], [_measured(start)])


def _measured(
    seconds: float,
    cpu_of: Mapping[str, float] | None = None,
    main_thread_of: Mapping[str, float] | None = None,
) -> Measured:
    cpu_of = cpu_of or {"it": seconds}
    usage = Usage(seconds, seconds, cpu_of, main_thread_of or cpu_of, {"it": 50_000_000})
    return Measured(usage, Received(1, 1, 0.0), Delivered(1, 0, 0))


def _cells(text: str) -> list[dict[str, str]]:
    """Return the rows of a table by their heads."""
    heads, _, *rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    return [dict(zip(heads[1:-1], row[1:-1], strict=True)) for row in rows]


def _sent(way: Way, folder: Path) -> list[dict[str, Any]]:
    """Return the events that a way sends for a few records."""
    folder.mkdir()
    with Sink(folder) as sink:
        run(way.command(way.moves.made(_FEW), sink.url, "it"), folder / "log")
        sink.stop()
        return list(sink.events())


def _comparable(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event without its id and the library's name, and its times as times."""
    properties = {name: value for name, value in event["properties"].items() if "$lib" not in name}
    properties["updated_at"] = datetime.fromisoformat(properties["updated_at"])
    placed = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
    assert re.fullmatch("[0-9a-f-]{36}", event["uuid"])
    return {**event, "uuid": None, "timestamp": placed, "properties": properties}
