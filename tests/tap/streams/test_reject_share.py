"""`max_reject_ratio`: how many lines may be rejected before a run must not end well."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.batches import batch
from tests.support.export_files import file_name, packed
from tests.support.export_settings import export_settings, files_settings
from tests.support.rows import MERGE, START, hour_row, hour_rows, ids
from tests.support.selecting import records_of, run_with
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BAD = b'{"event_type": "cut of'
LIST = "-9_2024-01-01_5.json.gz"
#: Through the SDK, record by record.
THROUGH_SDK: dict[str, Any] = {"stream_maps": {"events": {"city": "'x'"}}}


def content(good: Iterable[dict[str, Any]], *, bad: int, first: bool = False) -> bytes:
    """A file of rows, and of lines that are no rows, which stand behind the rows or before."""
    events = [json.dumps(one).encode() for one in good]
    wrong = [BAD] * bad
    return gzip.compress(b"\n".join(wrong + events if first else events + wrong), mtime=0)


def rejecting(folder: Path, files: dict[str, bytes], **settings: Any) -> dict[str, Any]:
    """Settings that read these files and keep bad lines aside."""
    return files_settings(folder, files, on_bad_line="reject", **settings)


def merges(count: int) -> list[dict[str, Any]]:
    """Rows of a list of merged users."""
    return [MERGE | {"merged_amplitude_id": one} for one in range(count)]


@pytest.mark.parametrize("way", [{}, THROUGH_SDK])
def test_too_large_a_share_of_bad_lines_ends_with_3(tmp_path: Path, way: dict[str, Any]) -> None:
    """However short the run was: all hours are out and in the state, and it says what next."""
    files = {file_name(0): content(hour_rows(0), bad=1), file_name(1): packed(hour_rows(1, each=2))}
    run = run_here(rejecting(tmp_path, files, rejects_path="kept", **way))

    (error,) = run.lines("ERROR")
    assert run.exit_code == 3
    assert (
        "1 of 6 lines of `events` (16.67 %) were rejected, more than `max_reject_ratio` (0.1) "
        "allows. All others are out; the state keeps those that the target has taken. "
        "Look at kept/tap-amplitude-"
    ) in error
    assert "fix the files that these lines came from" in error
    assert "--state-id-suffix" in error
    assert run.ids == ids(hour_rows(0) + hour_rows(1, each=2))
    assert run.states[-1]["next_export_hour"] == "2024-01-01T02:00:00Z"
    (file,) = (tmp_path / "kept").iterdir()
    assert str(file.relative_to(tmp_path)) in error
    assert json.loads(file.read_text())["record"] == BAD.decode()

    again = run_here(rejecting(tmp_path, {}, **way), state=run.last_state)
    assert (again.exit_code, again.records) == (0, [])


def test_lines_that_amplitude_sent_so_are_for_its_support() -> None:
    """There are no files to fix when the hours came by the API."""
    with AmplitudeExportApi(hour_rows(0)) as api:
        api.fail(Fault.CORRUPT_LINE)
        run = run_here(export_settings(api, hours=1, on_bad_line="reject"))

    (error,) = run.lines("ERROR")
    assert run.exit_code == 3
    assert "(25 %) were rejected" in error
    assert "Amplitude sent these lines so" in error
    assert "files" not in error


@pytest.mark.parametrize(("good", "bad", "settings", "code"), [
    (9, 1, {}, 0),
    (9, 2, {}, 3),
    (9, 9, {"max_reject_ratio": 0.5}, 0),
    (9, 10, {"max_reject_ratio": 0.5}, 3),
    (9, 1, {"max_reject_ratio": 0}, 3),
    # 1 allows any share, as it does in the target.
    (9, 50, {"max_reject_ratio": 1}, 0),
    (0, 3, {"max_reject_ratio": 1}, 0),
    # Files of nothing else are no export, whatever they are called.
    (0, 50, {}, 3),
])  # fmt: skip
def test_the_limit_is_a_share_of_all_lines(
    tmp_path: Path, good: int, bad: int, settings: dict[str, Any], code: int
) -> None:
    """As much as it says is allowed; all that was rejected is told, and the hour is done."""
    files = {file_name(0): content(hour_rows(0, each=good), bad=bad)}
    run = run_here(rejecting(tmp_path, files, **settings))

    (warning,) = run.lines("WARNING")
    errors = run.lines("ERROR")
    share = f"{bad} of {good + bad} lines of `events` ("
    assert (run.exit_code, len(run.records)) == (code, good)
    assert f"{bad} line{'s' * (bad > 1)} rejected" in warning
    assert [share in one and "rejects/tap-amplitude-" in one for one in errors] == [True][:code]
    assert run.states[-1]["next_export_hour"] == "2024-01-01T01:00:00Z"


@pytest.mark.parametrize("way", [{}, THROUGH_SDK])
def test_too_many_bad_lines_stop_a_long_run_in_its_hour(
    tmp_path: Path, way: dict[str, Any]
) -> None:
    """After the first 10,000 lines: a wrong file must not fill a disk. The state is before it."""
    files = {
        file_name(0): content(hour_rows(0, each=100), bad=0),
        file_name(1): content([hour_row(START, 1)], bad=30_000),
        file_name(2): packed(hour_rows(2)),
    }
    run = run_here(rejecting(tmp_path, files, rejects_path=str(tmp_path / "kept"), **way))

    (error,) = run.lines("ERROR")
    assert run.exit_code == 3
    assert (
        "9,900 of 10,001 lines of `events` (98.99 %) were rejected, more than `max_reject_ratio` "
        "(0.1) allows. All hours before 2024-01-01T01:00:00Z are out; the state keeps those that "
        "the target has taken. Look at "
    ) in error
    assert "files of another kind are the usual cause" in error
    assert run.states[-1]["next_export_hour"] == "2024-01-01T01:00:00Z"
    (file,) = (tmp_path / "kept").iterdir()
    assert len(file.read_bytes().splitlines()) == 9900


def test_bad_lines_at_the_head_of_a_long_run_do_not_stop_it(tmp_path: Path) -> None:
    """The share is judged over all lines that were read, so that few of very many are none."""
    files = {file_name(0): content(hour_rows(0, each=12_000), bad=1000, first=True)}
    run = run_here(rejecting(tmp_path, files))

    assert run.exit_code == 0
    assert len(run.records) == 12_000


def test_bad_merges_are_judged_for_themselves(tmp_path: Path) -> None:
    """A list that is none does not hide behind many good events; both streams come to their end."""
    files = {file_name(0): content(hour_rows(0, each=99), bad=1), LIST: content(merges(3), bad=1)}
    run = run_with(rejecting(tmp_path, files), "events", "merged_ids")

    (error,) = run.lines("ERROR")
    assert run.exit_code == 3
    assert "1 of 4 lines of `merged_ids` (25 %) were rejected, more than" in error
    assert "`events`" not in error
    assert len(records_of(run, "events")) == 99
    assert len(records_of(run, "merged_ids")) == 3
    bookmarks = run.last_state["bookmarks"]
    assert bookmarks["events"]["next_export_hour"] == "2024-01-01T06:00:00Z"
    assert bookmarks["merged_ids"]["next_export_hour"] == "2024-01-01T06:00:00Z"


def test_bad_events_do_not_keep_other_streams_from_their_end(tmp_path: Path) -> None:
    """The run is judged when all of it is done, and names each stream that passed the limit."""
    files = {file_name(0): content(hour_rows(0), bad=2), LIST: content(merges(1), bad=1)}
    run = run_with(rejecting(tmp_path, files), "events", "merged_ids")

    (error,) = run.lines("ERROR")
    assert run.exit_code == 3
    assert "2 of 5 lines of `events` (40 %) and 1 of 2 lines of `merged_ids` (50 %) were" in error
    assert len(records_of(run, "merged_ids")) == 1
    assert "merged_ids" in run.last_state["bookmarks"]


def test_a_list_of_merged_users_that_is_none_stops_the_run(tmp_path: Path) -> None:
    """After 10,000 lines, as with events; what is out of the list before stays in the state."""
    files = {
        "-9_2024-01-01_4.json.gz": content(merges(2), bad=0),
        LIST: content(merges(1), bad=20_000),
    }
    run = run_with(rejecting(tmp_path, files), "merged_ids")

    (error,) = run.lines("ERROR")
    assert run.exit_code == 3
    assert "9,998 of 10,001 lines of `merged_ids` (99.97 %) were rejected" in error
    bookmark = run.last_state["bookmarks"]["merged_ids"]
    assert bookmark["next_export_hour"] == "2024-01-01T05:00:00Z"


def test_lines_of_batch_files_are_the_targets_to_judge(tmp_path: Path) -> None:
    """The tap does not look into them; the lists of merged users, which are records, it judges."""
    files = {file_name(0): content(hour_rows(0), bad=3)}
    run = run_here(rejecting(tmp_path, files, **batch(tmp_path / "batch")))
    assert run.exit_code == 0
    assert not (tmp_path / "rejects").exists()

    # Another place: in the same one the run would wait until the files of the last one are old.
    lists = {LIST: content(merges(3), bad=1)}
    run = run_with(rejecting(tmp_path, lists, **batch(tmp_path / "lists")), "events", "merged_ids")
    (error,) = run.lines("ERROR")
    assert run.exit_code == 3
    assert "1 of 4 lines of `merged_ids` (25 %) were rejected, more than" in error
