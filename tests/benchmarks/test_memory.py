"""The measure of the tap's memory reads what it says and can say no; small here."""

from __future__ import annotations

import gzip
import json
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from benchmarks import memory
from benchmarks.memory import Archive, Peak, archive, main, measure, verdict
from benchmarks.usage import Failed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")


def test_an_hour_is_exported_as_amplitude_does(tmp_path: Path) -> None:
    """Gzip files of lines of JSON in a zip, all of one hour, every row once."""
    made = archive(1003, tmp_path)
    rows, decoded = [], 0
    with zipfile.ZipFile(made.path) as packed:
        for name in packed.namelist():
            assert "_2024-01-01_12#" in name
            content = gzip.decompress(packed.read(name))
            decoded += len(content)
            rows += [json.loads(line) for line in content.splitlines()]
    assert (len(rows), len({row["uuid"] for row in rows})) == (1003, 1003)
    assert decoded == made.decoded
    assert {row["server_upload_time"][:13] for row in rows} == {"2024-01-01 12"}


def test_the_tap_is_measured_and_its_memory_does_not_grow(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With 20 MB decoded; the tap reads all of it by HTTP."""
    assert main(["--events=10000"]) == 0
    out = capsys.readouterr().out
    cells = [line.split("|")[1:-1] for line in out.splitlines() if line.startswith("| 1")]
    assert [row[0].strip() for row in cells] == ["1,000", "10,000"]
    assert all(30 < float(row[3].split()[0]) < 200 for row in cells)
    assert out.endswith("Kept: below 200 MB, and flat.\n")


def test_a_run_that_does_not_export_everything_is_no_result(tmp_path: Path) -> None:
    """It would need little memory."""
    made = archive(300, tmp_path)
    with pytest.raises(Failed, match="did not export 301 events"):
        measure(Archive(made.path, 301, made.decoded), tmp_path)


@pytest.mark.parametrize(
    ("small", "large", "wrong"),
    [
        (60, 64, []),
        (60, 80, ["more than 10% above that of a tenth of the data"]),
        (199, 201, ["more than 200 MB"]),
    ],
)
def test_more_memory_than_promised_is_said(
    tmp_path: Path, small: int, large: int, wrong: list[str]
) -> None:
    """Too much, or growing with the data."""
    made = Archive(tmp_path, 1, 1)
    peaks = [Peak(made, megabytes * 1_000_000, 1.0) for megabytes in (small, large)]
    assert verdict(*peaks) == wrong


def test_a_broken_promise_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a build sees it."""
    monkeypatch.setattr(memory, "MOST_BYTES", 1_000_000)
    assert main(["--events=100"]) == 1
    assert "Broken: more than 1 MB" in capsys.readouterr().out
