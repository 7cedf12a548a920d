"""What PostHog cannot have is on the disk before the state moves on."""

from __future__ import annotations

import json
import re
import resource
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec  # type: ignore[import-untyped]
import pytest

import target_posthog
from target_posthog.errors import FixConfiguration, RunAgain
from target_posthog.model import Rejected
from target_posthog.rejects.codes import CODES
from target_posthog.rejects.listing import run_of
from target_posthog.rejects.names import owner_of
from target_posthog.rejects.writer import Rejects, rejects_at
from target_posthog.target import TargetPosthog
from tests.support.rows import row
from tests.support.singer import record, schema, state
from tests.support.target import started

if TYPE_CHECKING:
    from tests.support.target import Target

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
BAD_TIME = Rejected("bad_time", "None of the row's times can be read.")


def test_a_reject_is_one_line_with_its_reason_and_its_record(tmp_path: Path) -> None:
    """So that it can be judged, mended and sent again."""
    rejects = Rejects(tmp_path, NOW)
    rejects.write(BAD_TIME, {"event_type": "a\nb", "huge": 2**70})
    rejects.save()
    assert [json.loads(line) for line in rejects.path.read_text().splitlines()] == [
        {
            "code": "bad_time",
            "stage": "convert",
            "reason": "None of the row's times can be read.",
            "record": {"event_type": "a\nb", "huge": 2**70},
        }
    ]
    rejects.close()


@pytest.mark.parametrize("is_bucket", [False, True])
def test_two_pods_keep_their_rejects_apart(tmp_path: Path, *, is_bucket: bool) -> None:
    """With the same process id, begun in the same second, of one project, in one place."""
    place = f"memory://{tmp_path.name}-pods" if is_bucket else str(tmp_path)
    pods = [rejects_at(place, NOW, owner_of("phc_a")) for _ in range(2)]
    for number in range(2):
        for pod, rejects in enumerate(pods):
            rejects.write(BAD_TIME, {"pod": pod, "number": number})
            rejects.save()
    for rejects in pods:
        rejects.close()
    found = fsspec.open_files(f"{place}/target-posthog-*.jsonl", "rt")
    runs: dict[str, list[int]] = {}
    for file in found:
        with file as lines:
            pod_of = [json.loads(line)["record"]["pod"] for line in lines]
        runs.setdefault(run_of(file.path), []).extend(pod_of)
    assert sorted(runs.values()) == [[0, 0], [1, 1]]


@pytest.mark.parametrize("deeper", ["", "/not/there/yet"])
def test_a_place_that_cannot_be_a_folder_is_told_before_the_first_reject(
    tmp_path: Path, deeper: str
) -> None:
    """The first reject of a long run may come after hours."""
    file = tmp_path / "rejects"
    file.touch()
    with pytest.raises(FixConfiguration, match="rejects is a file, not a folder") as raised:
        rejects_at(f"{file}{deeper}", NOW, owner_of("phc_a"))
    assert "set `rejects_path` to another folder" in str(raised.value)


def test_a_preview_whose_place_cannot_be_a_folder_names_its_own_setting(tmp_path: Path) -> None:
    """Its rejects go there, too, and nobody has set `rejects_path`."""
    (tmp_path / "file").touch()
    config = {"api_key": "phc_test", "preview_path": f"{tmp_path}/file/preview"}
    with pytest.raises(FixConfiguration, match="set `preview_path` to another folder"):
        TargetPosthog(config=config)


def test_a_run_without_rejects_leaves_no_file(tmp_path: Path) -> None:
    """An empty file would look like work to do."""
    rejects = Rejects(tmp_path / "rejects", NOW)
    rejects.save()
    rejects.close()
    assert list(tmp_path.iterdir()) == []


def test_saved_lines_survive_the_end_of_the_process(tmp_path: Path) -> None:
    """After `save` nothing waits in a buffer; before it, it may."""
    rejects = Rejects(tmp_path, NOW)
    rejects.write(BAD_TIME, {"row": 1})
    rejects.save()
    assert rejects.path.read_text().count("\n") == 1
    rejects.close()


def test_a_second_run_does_not_write_over_the_first(tmp_path: Path) -> None:
    """Lines are only ever added."""
    for number in (1, 2):
        rejects = Rejects(tmp_path, NOW)
        rejects.write(BAD_TIME, {"row": number})
        rejects.close()
    lines = [line for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted(json.loads(line)["record"]["row"] for line in lines) == [1, 2]


def test_a_folder_that_cannot_be_made_stops_the_run(tmp_path: Path) -> None:
    """The message says what to do."""
    (tmp_path / "rejects").write_text("a file is in the way")
    with pytest.raises(RunAgain, match="rejects_path"):
        Rejects(tmp_path / "rejects", NOW).write(BAD_TIME, {})


def test_a_full_disk_stops_at_the_latest_when_the_lines_are_saved(tmp_path: Path) -> None:
    """A line that only a buffer took is not written down."""
    rejects = Rejects(tmp_path, NOW)
    rejects.path.symlink_to("/dev/full")
    rejects.write(BAD_TIME, {})
    with pytest.raises(RunAgain, match=r"No space left on device.*Make room"):
        rejects.save()
    with pytest.raises(RunAgain):
        rejects.close()


def test_every_code_that_is_used_is_on_the_list() -> None:
    """Users and the report group by these codes; a code that is not listed has no explanation."""
    used = {
        code
        for folder in target_posthog.__path__
        for path in Path(folder).rglob("*.py")
        for code in re.findall(r'Rejected\(\s*"([a-z_]+)"', path.read_text())
    }
    assert len(used) > 5
    assert used <= CODES.keys()


def test_when_the_disk_is_full_the_state_stays(target: Target) -> None:
    """A reject that is not on the disk would be lost; so the next run must read it again."""
    times = {"event_time": "never", "server_upload_time": "never"}
    bad = record(row(2, event_properties={"text": "x" * 500_000}, **times))
    # The rejects alone are to lack room.
    with started(target, ledger_url="sqlite://") as running:
        running.write([schema(), record(row(1)), state({"at": 1})])
        running.wait_for(lambda: running.stdout)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        running.write([bad, state({"at": 2})])
        ended = running.finish()
    assert ended.exit_code == 1
    assert ended.messages == [{"at": 1}]
    assert "cannot be written: File too large." in ended.stderr
    assert "Make room or set `rejects_path`" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [event["event"] for event in target.capture.events] == ["viewed"]
