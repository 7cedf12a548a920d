"""The benchmark moves everything it says it moves; its speed is not tested here."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from benchmarks.__main__ import main, with_result
from benchmarks.events import row_number
from benchmarks.export import export
from benchmarks.rounds import Bench, Case, Measured
from benchmarks.sink import Delivered, Received
from benchmarks.table import Row, growth, table
from benchmarks.usage import Command, Failed, Usage, run
from benchmarks.ways import Script

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")

_SMALL = ["--rounds=1", "--growth", "--delay-ms=0", "--events-of-an-hour=300"]


class Elsewhere(Script):
    """A way that sends another export than it was told."""

    def __init__(self, export: Path) -> None:
        super().__init__("limit", "elsewhere")
        self._export = export

    def command(self, export: Path, host: str, name: str) -> Command:  # noqa: ARG002 - that is its fault
        """Return what sends the other one."""
        return super().command(self._export, host, name)


def test_our_ways_and_the_limit_deliver_every_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All rows arrive once by `meltano run`, both ways the same links, and a table is printed."""
    assert main([*_SMALL, "--ways=cde", "--events=1500", f"--cache={tmp_path}"]) == 0
    out, err = capsys.readouterr()
    heads, rule, *rows = [line.split("|")[1:-1] for line in out.splitlines() if line[:1] == "|"]
    assert len({len(line) for line in (heads, rule, *rows)}) == 1
    assert [row[0].strip()[:3] for row in rows] == ["(c)", "(d)", "(e)"]
    assert rows[-1][-1].strip() == "100"
    more = re.findall(r"round 1: \((\w)\) 1,500 events: .* ([\d,]+) more events", err)
    assert dict(more)["c"] == dict(more)["d"] != "0"
    assert "with nothing to do" in out


def test_the_ordinary_ways_deliver_every_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All rows arrive once through the stock tap and target, and through PostHog's SDK."""
    arguments = ["--ways=ab", "--events=1000", "--slow-events=500", f"--cache={tmp_path}"]
    assert main([*_SMALL, *arguments]) == 0
    out, err = capsys.readouterr()
    assert [line[2:5] for line in out.splitlines() if line.startswith("| (")] == ["(a)", "(b)"]
    assert len(re.findall(r"round 1: \([ab]\) 500 events: .* [1-9]\d* more events", err)) == 2


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
    bench = Bench({"e": Elsewhere(other)}, tmp_path, 60, lambda _: None)
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


def test_a_slow_ways_start_is_not_counted_for_each_of_its_few_events() -> None:
    """2 s of start and 10 s for 1,000 events are 102 s for 10,000."""
    slow = Row("(a)", Case("a", 1000), [_measured(12.0)], [_measured(2.0)], 10_000)
    fast = Row("(e)", Case("e", 10_000), [_measured(10.2)], None, 10_000)
    assert slow.rate == pytest.approx(10_000 / 102)
    assert fast.rate / slow.rate == pytest.approx(10)
    cells = [line.split("|") for line in table([slow, fast]).splitlines()]
    assert [cells[2][-4].strip(), cells[3][-4].strip()] == ["1.0", "10.0"]
    assert [cells[2][-2].strip(), cells[3][-2].strip()] == ["10", "100"]


def test_growth_takes_the_start_off() -> None:
    """A million microseconds of start are not a microsecond of each of a million events."""
    grown = {
        Case("d", 1_000_000): [_measured(31.0)],
        Case("d", 1_000_000, goes_on=True): [_measured(1.0)],
        Case("d", 1_000_000, delay_ms=100): [_measured(99.0)],
        Case("d", 100_000): [_measured(4.0)],
    }
    line = growth(grown)
    assert line.startswith("100,000 events: 30.0 µs, CPU 30.0 µs")
    assert "; 1,000,000 events: 30.0 µs, CPU 30.0 µs" in line
    assert "98.0" not in line


def test_a_result_takes_the_place_of_the_last() -> None:
    """Only what stands between the two marks changes."""
    page = "# Speed\n<!-- begin: make bench -->\nold\n<!-- end: make bench -->\nMethod\n"
    new = with_result(page, "new")
    assert new == page.replace("old", "new")
    with pytest.raises(ValueError, match="begin: make bench"):
        with_result("# Speed\n", "new")


def _measured(seconds: float) -> Measured:
    usage = Usage(seconds, seconds, {"it": seconds}, {"it": 50_000_000})
    return Measured(usage, Received(1, 1, 0.0), Delivered(1, 0, 0))
