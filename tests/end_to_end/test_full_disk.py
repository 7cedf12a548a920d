"""A disk without room: each file that a run writes says what happened, what is saved, what to do.

Nothing is lost: with room again, the next run brings the rest. The state is one of both
`test_cli` and `test_failures`.
"""

from __future__ import annotations

import gzip
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.batches import batch
from tests.support.export_files import file_name, packed, write_files
from tests.support.processes import run_tap
from tests.support.rows import hour_rows, ids, row, rows
from tests.support.singer import records, schema, state
from tests.support.target import run_apart, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.target import Target

LONG = "n" * 201
FULL = "No space left on device"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, with room for one file or two."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - the system's own


def fill(disk: Path) -> Path:
    """Take all of the room; return the file that has it."""
    path = disk / "filler"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(descriptor, bytes(4096))
    os.close(descriptor)
    return path


def resize(disk: Path, size: str) -> None:
    """Give a disk another size."""
    mount = ["mount", "-o", f"remount,size={size}", str(disk)]
    subprocess.run(mount, check=True)


def last_words(log: str) -> str:
    """Return the last line of a log, without its head."""
    assert "Traceback" not in log
    return log.splitlines()[-1].rpartition(" | ")[2]


def test_a_full_disk_for_the_rejects(target: Target, disk: Path) -> None:
    """The state stays before the records whose rejects could not be kept."""
    target.config["rejects_path"] = str(disk / "rejects")
    sent = rows(range(20))
    messages = [
        *(schema(), *records(sent), state({"at": 1})),
        *(*records(rows(range(100, 600), event_type=LONG)), state({"at": 2})),
    ]
    run = run_apart(target, messages)
    assert run.exit_code == 1
    assert {"at": 2} not in run.messages
    words = last_words(run.stderr)
    assert words.startswith("The rejects file ")
    assert f"cannot be written: {FULL}. All records up to the last state are delivered" in words
    assert words.endswith("Make room or set `rejects_path` to another folder, and run again.")
    target.config["rejects_path"] = str(target.folder / "rejects")
    assert run_apart(target, messages).checked().messages[-1] == {"at": 2}
    assert {event["uuid"] for event in target.capture.held().values()} == set(ids(sent))
    (kept,) = (target.folder / "rejects").iterdir()
    assert len(kept.read_text().splitlines()) == 500


@pytest.mark.parametrize("is_full", [True, False], ids=["before", "meanwhile"])
def test_a_full_disk_for_the_ledger(target: Target, disk: Path, *, is_full: bool) -> None:
    """No server is away: there is no room, and the state stays before what could not be noted."""
    target.config["ledger_url"] = f"sqlite:///{disk}/ledger.db"
    devices = [row(number, device_id=f"{number:0150}") for number in range(3000)]
    messages = [schema(), *records(devices), state({"at": 1})]
    if is_full:
        fill(disk)
    else:
        resize(disk, "1m")
    run = run_apart(target, messages)
    assert run.exit_code == 1
    assert run.messages == []
    words = last_words(run.stderr)
    assert words.startswith(f"The ledger at {target.config['ledger_url']} failed: ")
    assert words.endswith(
        "Make room on its disk (a quota counts, too), or move it to another and set `ledger_url` "
        "to that, and run again."
    )
    resize(disk, "16m")
    assert run_apart(target, messages).checked().messages == [{"at": 1}]


def test_a_full_disk_for_the_summary_before_the_first_record(target: Target, disk: Path) -> None:
    """To run again is right, and no setting is wrong; it is said once."""
    filler = fill(disk)
    target.config["summary_path"] = str(disk / "summary.json")
    messages = [schema(), *records(rows(range(5))), state({"at": 1})]
    run = run_apart(target, messages)
    assert run.exit_code == 1
    assert run.stderr.count("The summary cannot be written") == 1
    assert last_words(run.stderr) == (
        f"The summary cannot be written: {target.config['summary_path']} ({FULL}). "
        "Nothing was sent, and the state is as it was. "
        "Make room or set `summary_path` to another place, and run again."
    )
    assert target.capture.events == run.messages == []
    filler.unlink()
    assert run_apart(target, messages).checked().messages == [{"at": 1}]


def test_a_full_disk_for_the_summary_at_the_end(target: Target, disk: Path) -> None:
    """All is delivered, and the state is out."""
    target.config["summary_path"] = str(disk / "summary.json")
    with started(target) as running:
        running.write([schema(), *records(rows(range(5))), state({"at": 1})])
        running.wait_for(lambda: running.stdout)
        fill(disk)
        run = running.finish()
    assert run.exit_code == 1
    assert run.messages == [{"at": 1}]
    assert len(target.capture.events) == 5
    words = last_words(run.stderr)
    assert words.startswith(
        f"The summary cannot be written: {target.config['summary_path']} ({FULL})."
    )
    assert words.endswith("Make room or set `summary_path` to another place, and run again.")


@pytest.mark.parametrize("is_full", [True, False], ids=["before", "meanwhile"])
def test_a_full_disk_for_a_preview(target: Target, disk: Path, *, is_full: bool) -> None:
    """Nothing was delivered, so nothing is said of it; one message is enough."""
    if is_full:
        fill(disk)
    target.config["preview_path"] = str(disk / "preview")
    run = run_apart(target, [schema(), *records(rows(range(800))), state({"at": 1})])
    assert run.exit_code == 1
    assert run.messages == []
    assert "Nothing was sent, and the state is as it was." in run.stderr
    assert "delivered" not in run.stderr
    assert last_words(run.stderr) == (
        f"The preview in {target.config['preview_path']} cannot be written: {FULL}. "
        "Make room or set `preview_path` to another folder, and run again."
    )


def test_a_full_disk_for_the_summary_of_the_tap(tmp_path: Path, disk: Path) -> None:
    """Before the first hour."""
    fill(disk)
    place = disk / "summary.json"
    run = run_tap(tmp_path, {"archive_path": exported(tmp_path), "summary_path": str(place)})
    assert run.exit_code == 1
    assert last_words(run.stderr) == (
        f"There is no room left on the disk for the summary {place}. Free some space, or set "
        "`summary_path` to a larger disk, and run again."
    )


@pytest.mark.parametrize(
    ("setting", "what"),
    [("rejects_path", "the rejects"), ("batch_config.storage.root", "the batch files")],
)
def test_a_full_disk_for_what_the_tap_writes(
    tmp_path: Path, disk: Path, setting: str, what: str
) -> None:
    """The state has the hours before it, and only those."""
    places: dict[str, dict[str, Any]] = {
        "rejects_path": {"rejects_path": str(disk / "rejects")},
        "batch_config.storage.root": batch(disk / "batch"),
    }
    config = {"archive_path": exported(tmp_path), "on_bad_line": "reject", "max_reject_ratio": 1}
    run = run_tap(tmp_path, {"rejects_path": str(tmp_path / "rejects")} | config | places[setting])
    assert run.exit_code == 1
    words = last_words(run.stderr)
    assert words.startswith(f"There is no room left on the disk for {what}.")
    assert "the state" in words
    assert words.endswith(f"Free some space, or set `{setting}` to a larger disk, and run again.")
    assert "2024-01-01T03:00:00Z" not in [bookmark_of(one) for one in run.messages]


def bookmark_of(message: dict[str, Any]) -> str | None:
    """Return the first hour that is not read, as a state has it."""
    bookmarks = message.get("value", {}).get("bookmarks", {})
    found: str | None = bookmarks.get("events", {}).get("next_export_hour")
    return found


def exported(folder: Path) -> str:
    """Return a folder of three hours, each with events and with lines that are none."""
    bad = gzip.compress(b"".join(b"no event %d\n" % number for number in range(800)))
    files = {file_name(hour): packed(hour_rows(hour, each=1500)) + bad for hour in range(3)}
    return str(write_files(folder / "export", files))
