"""Wrong keys and damaged files: what to do is said, the exit code is right, and nothing is lost."""

from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING

from tests.support.faithful import assert_migrated
from tools.sample_export.files import write_folder, write_zip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.amplitude_export_api import AmplitudeExportApi
    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.pipeline import Pipeline
    from tools.sample_export import SampleExport


def test_keys_of_another_project_or_region_are_named(
    pipeline: Pipeline, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> None:
    """Amplitude answers the same to a wrong key and to a wrong region: the message names both."""
    pipeline.tap["secret_key"] = "wrong-secret-of-amplitude"
    end = pipeline.run()
    assert end.exit_codes == (2, 0), end.logs
    assert all(name in end.tap.stderr for name in ("api_key", "secret_key", "region", "`eu`"))
    assert len(amplitude.requests) == 1
    assert posthog.requests == []
    assert pipeline.state is None


def test_a_damaged_zip_is_refused_whole(
    tmp_path: Path, pipeline: Pipeline, export: SampleExport, posthog: PosthogCapture
) -> None:
    """Nothing of it is sent, and exit code 2: it has to be downloaded again."""
    path = tmp_path / "export.zip"
    write_zip(export.rows, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    pipeline.tap = {"archive_path": str(path)}
    end = pipeline.run()
    assert end.exit_codes == (2, 0), end.logs
    assert "export.zip" in _errors(end.tap.stderr)[0]
    assert posthog.requests == []


def test_a_damaged_file_stops_before_its_hour(
    tmp_path: Path, pipeline: Pipeline, export: SampleExport, posthog: PosthogCapture
) -> None:
    """The hours before it are delivered and in the state; the message names the file."""
    folder, victim = _folder(tmp_path, export)
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-200])
    pipeline.tap = {"archive_path": str(folder)}
    end = pipeline.run()
    assert end.exit_codes == (1, 0), end.logs
    assert victim.name in _errors(end.tap.stderr)[0]
    hour = f"{export.hours[4]:%Y-%m-%d %H}"
    before = [row for row in export.rows if row["server_upload_time"][:13] < hour]
    assert {row["uuid"] for row in before} <= {uuid for uuid, *_ in posthog.held()}

    victim.write_bytes(whole)
    pipeline.run_well()
    assert_migrated(posthog, export.rows, export.truth)


def test_a_line_that_is_no_event_stops_or_is_kept_aside(
    tmp_path: Path, pipeline: Pipeline, export: SampleExport, posthog: PosthogCapture
) -> None:
    """By default the run stops and says where; with `on_bad_line: reject` it goes on without it."""
    folder, victim = _folder(tmp_path, export)
    _insert(victim, b'{"event_type": "cut of\n')
    pipeline.tap = {"archive_path": str(folder)}
    end = pipeline.run()
    assert end.exit_codes == (1, 0), end.logs
    assert f"{victim.name}', line 2, is not an event" in _errors(end.tap.stderr)[0]
    assert "on_bad_line" in _errors(end.tap.stderr)[0]
    assert pipeline.next_export_hour <= f"{export.hours[4]:%Y-%m-%dT%H:%M:%SZ}"

    pipeline.tap["on_bad_line"] = "reject"
    end = pipeline.run_well()
    assert "1 line rejected" in end.tap.stderr
    assert [(one["code"], one["stage"]) for one in pipeline.rejects()] == [("bad_line", "read")]
    assert_migrated(posthog, export.rows, export.truth)


def _folder(tmp_path: Path, export: SampleExport) -> tuple[Path, Path]:
    """Write the export as files, and give the first file of the fifth hour that has one."""
    folder = tmp_path / "export"
    shutil.rmtree(folder, ignore_errors=True)
    write_folder(export.rows, folder)
    hour = export.hours[4]
    return folder, min(folder.rglob(f"*_{hour:%Y-%m-%d}_{hour.hour}#*.json.gz"))


def _insert(path: Path, line: bytes) -> None:
    """Put a line behind the first one of a file."""
    first, _, rest = gzip.decompress(path.read_bytes()).partition(b"\n")
    path.write_bytes(gzip.compress(first + b"\n" + line + rest))


def _errors(log: str) -> list[str]:
    """Give the lines of a log that tell an error."""
    return [line for line in log.splitlines() if "ERROR" in line]
