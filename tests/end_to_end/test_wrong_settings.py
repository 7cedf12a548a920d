"""Wrong keys and damaged files: what to do is said, the exit code is right, and nothing is lost."""

from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING

from tools.sample_export.files import write_folder, write_zip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pipeline import Day


def test_keys_of_another_project_or_region_are_named(day: Day) -> None:
    """Amplitude answers the same to a wrong key and to a wrong region: the message names both."""
    day.tap["secret_key"] = "wrong-secret-of-amplitude"
    end = day.run()
    assert end.exit_codes == (2, 0), end.logs
    assert all(name in end.tap.stderr for name in ("api_key", "secret_key", "region", "`eu`"))
    assert len(day.amplitude.requests) == 1
    assert day.posthog.requests == []
    assert day.state is None


def test_a_damaged_zip_is_refused_whole(day: Day) -> None:
    """Nothing of it is sent, and exit code 2: it has to be downloaded again."""
    path = day.folder / "export.zip"
    write_zip(day.export.rows, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    day.tap = {"archive_path": str(path)}
    end = day.run()
    assert end.exit_codes == (2, 0), end.logs
    assert "export.zip" in _errors(end.tap.stderr)[0]
    assert day.posthog.requests == []


def test_a_damaged_file_stops_before_its_hour(day: Day) -> None:
    """The hours before it are delivered and in the state; the message names the file."""
    folder, victim = _folder(day)
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-200])
    day.tap = {"archive_path": str(folder)}
    end = day.run()
    assert end.exit_codes == (1, 0), end.logs
    assert victim.name in _errors(end.tap.stderr)[0]
    hour = f"{day.export.hours[4]:%Y-%m-%d %H}"
    before = [row for row in day.export.rows if row["server_upload_time"][:13] < hour]
    assert {row["uuid"] for row in before} <= {uuid for uuid, *_ in day.posthog.held()}

    victim.write_bytes(whole)
    day.run_well()
    day.assert_whole()


def test_a_line_that_is_no_event_stops_or_is_kept_aside(day: Day) -> None:
    """By default the run stops and says where; with `on_bad_line: reject` it goes on without it."""
    folder, victim = _folder(day)
    _insert(victim, b'{"event_type": "cut of\n')
    day.tap = {"archive_path": str(folder)}
    end = day.run()
    assert end.exit_codes == (1, 0), end.logs
    assert f"{victim.name}', line 2, is not an event" in _errors(end.tap.stderr)[0]
    assert "on_bad_line" in _errors(end.tap.stderr)[0]
    assert day.next_export_hour <= f"{day.export.hours[4]:%Y-%m-%dT%H:%M:%SZ}"

    day.tap["on_bad_line"] = "reject"
    end = day.run_well()
    assert "1 line rejected" in end.tap.stderr
    assert [(one["code"], one["stage"]) for one in day.rejects()] == [("bad_line", "read")]
    day.assert_whole()


def _folder(day: Day) -> tuple[Path, Path]:
    """Write the export as files, and give the first file of the fifth hour that has one."""
    folder = day.folder / "export"
    shutil.rmtree(folder, ignore_errors=True)
    write_folder(day.export.rows, folder)
    hour = day.export.hours[4]
    return folder, min(folder.rglob(f"*_{hour:%Y-%m-%d}_{hour.hour}#*.json.gz"))


def _insert(path: Path, line: bytes) -> None:
    """Put a line behind the first one of a file."""
    first, _, rest = gzip.decompress(path.read_bytes()).partition(b"\n")
    path.write_bytes(gzip.compress(first + b"\n" + line + rest))


def _errors(log: str) -> list[str]:
    """Give the lines of a log that tell an error."""
    return [line for line in log.splitlines() if "ERROR" in line]
