"""Ranges of one migration: side by side, killed, retried at once, wrong; one ledger, one book."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import closing, suppress
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from target_posthog.commands.whole_migration import whole_migration_in
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.range_lock import RangeLock
from tests.fakes import amplitude_export_api as amplitude_api
from tests.support.faithful import matched
from tests.support.meltano_project import MeltanoProject
from tests.support.processes import SCRIPTS
from tests.support.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tests.support.pipeline import Day
    from tests.support.processes import Finished
    from tools.sample_export import SampleExport

_RUN = ("el", "--force", "tap-amplitude", "target-posthog")
_DONE = ("done", "done")
_SECONDS = 120.0


class Ranges:
    """Runs ranges as docs/scale.md says, in one folder, with one ledger.

    Args:
        project: The folder.
        settings: What all ranges share.
    """

    def __init__(self, project: MeltanoProject, settings: dict[str, str]) -> None:
        self.project = project
        self.settings = settings

    def variables(self, start: datetime, end: datetime) -> dict[str, str]:
        """Return what a range is given."""
        name = f"range-{start:%Y%m%dT%H}"
        return self.settings | {
            "MELTANO_STATE_ID": name,
            "TAP_AMPLITUDE_START_DATE": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "TAP_AMPLITUDE_END_DATE": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            "TAP_AMPLITUDE_SUMMARY_PATH": f"{name}-tap.json",
            "TARGET_POSTHOG_SUMMARY_PATH": f"{name}-target.json",
        }

    def run(self, start: datetime, end: datetime, **more: str) -> Finished:
        """Run a range to its end."""
        return self.project.meltano(*_RUN, settings=self.variables(start, end) | more)

    def whole_migration(self, *options: str) -> Finished:
        """Ask for the book of all ranges, as a user does."""
        command = ("invoke", "target-posthog:whole-migration", *options)
        return self.project.meltano(*command, settings=self.settings)

    def classes(self, start: datetime) -> tuple[str, str]:
        """Return how the last run of a range ended: its tap, and its target."""
        tap, target = (self.summary(start, plugin) for plugin in ("tap", "target"))
        return tap["exit_class"], target["exit_class"]

    def summary(self, start: datetime, plugin: str) -> dict[str, Any]:
        """Return what a plugin wrote of the last run of a range."""
        path = self.project.folder / f"range-{start:%Y%m%dT%H}-{plugin}.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@pytest.fixture
def ranges(tmp_path: Path, settings: dict[str, str], postgresql_url: str) -> Ranges:
    """The ranges of a project that has never run."""
    more = {"TARGET_POSTHOG_LEDGER_URL": postgresql_url, "TARGET_POSTHOG_MAX_BATCH_EVENTS": "40"}
    return Ranges(MeltanoProject(tmp_path), settings | more)


def thirds_of(export: SampleExport) -> Iterator[tuple[datetime, datetime]]:
    """Yield three ranges of hours, in order."""
    hours = (export.end - export.start) // timedelta(hours=1)
    cuts = [export.start + timedelta(hours=hours * part // 3) for part in range(4)]
    yield from pairwise(cuts)


@pytest.mark.long
def test_ranges_side_by_side_leave_each_other_alone(ranges: Ranges, day: Day) -> None:
    """In one folder at once: each its state and summary; all arrives once, in one whole book."""
    thirds = list(thirds_of(day.export))
    ranges.project.meltano("state", "list").checked()  # Meltano makes its own database
    ends: dict[datetime, Finished] = {}
    runs = [lambda one=one: ends.update({one[0]: ranges.run(*one)}) for one in thirds]
    side_by_side(*runs, seconds=_SECONDS)
    for start, end in thirds:
        assert ends[start].exit_code == 0, ends[start].stderr
        assert ranges.classes(start) == _DONE
        summary = ranges.summary(start, "target")
        assert summary["hours"]["next"] == f"{end:%Y-%m-%dT%H:%M:%SZ}"
    assert len(list(matched(day.posthog, day.export.rows))) == len(day.export.rows)
    asked = ("--json", f"--start={day.export.start:%Y-%m-%d}", f"--end={day.export.end:%Y-%m-%d}")
    found = json.loads(ranges.whole_migration(*asked).checked().stdout)
    assert found["is_whole"]
    assert found["exported"] == len(day.export.rows)
    assert [part["hours"] for part in found["parts"]] == [24]

    later = f"--end={day.export.end + timedelta(hours=1):%Y-%m-%dT%H}"
    assert ranges.whole_migration(later).exit_code == 3


@pytest.mark.long
@pytest.mark.parametrize("victims", ["all", "all but the target"])
def test_a_killed_range_is_tried_again_at_once(
    ranges: Ranges, postgresql_url: str, victims: str, day: Day
) -> None:
    """Meltano would wait for five minutes; a target that it left behind is waited for."""
    start, end = day.export.start, day.export.end
    variables = ranges.variables(start, end) | {
        "TAP_AMPLITUDE_MAX_WINDOW_HOURS": "4",
        "TAP_AMPLITUDE_PARALLEL_DOWNLOADS": "1",
    }
    day.amplitude.fail(amplitude_api.Fault.SLOW, 3, seconds=0)
    day.amplitude.fail(amplitude_api.Fault.SLOW, seconds=600, after_bytes=100)
    with _started(ranges.project, variables) as meltano:
        _wait_for(lambda: len(day.posthog.events) > 0, meltano)
        family = _family(meltano.pid)
        assert family.keys() == {"tap-amplitude", "target-posthog"}
        meltano.kill()
        os.kill(family["tap-amplitude"], signal.SIGKILL)
        if victims == "all":
            os.kill(family["target-posthog"], signal.SIGKILL)
        meltano.wait()
    if victims == "all":
        assert ranges.classes(start) == ("running", "running")

    again = ranges.run(start, end)
    assert again.exit_code == 0, again.stderr
    assert "already running" not in again.stderr
    assert ranges.classes(start) == _DONE
    day.assert_whole()
    assert whole_migration_in(postgresql_url, day.posthog.api_key).is_whole


def test_a_range_is_done_again_and_not_with_the_state_of_another(ranges: Ranges, day: Day) -> None:
    """An engine may ask twice; Meltano ends with 1 where trying again does not help."""
    first, second, _ = thirds_of(day.export)
    ranges.run(*second).checked()
    sent, asked = len(day.posthog.events), len(day.amplitude.requests)
    ranges.run(*second).checked()
    assert ranges.classes(second[0]) == _DONE
    assert len(day.amplitude.requests) == asked

    wrong = ranges.variables(*first) | {
        "MELTANO_STATE_ID": ranges.variables(*second)["MELTANO_STATE_ID"]
    }
    ended = ranges.project.meltano(*_RUN, settings=wrong)
    assert ended.exit_code == 1
    # The target can only know that nothing came behind the state that it was shown.
    assert ranges.classes(first[0]) == ("fix", "done")
    error = ranges.summary(first[0], "tap")["error"]
    assert "The state is that of another range" in error
    assert "--state-id" in error
    assert len(day.posthog.events) == sent

    quiet = day.export.start - timedelta(hours=30)
    ranges.run(quiet, quiet + timedelta(hours=3)).checked()
    assert ranges.classes(quiet) == _DONE


def test_a_range_that_only_an_option_names_is_locked_too(
    ranges: Ranges, postgresql_url: str, day: Day
) -> None:
    """Meltano sets no variable then; the second run waits for the end of the first."""
    first = next(thirds_of(day.export))
    settings = ranges.variables(*first)
    state_id = settings.pop("MELTANO_STATE_ID")
    log = ranges.project.folder / "log.txt"
    with closing(Ledger(postgresql_url, day.posthog.api_key)) as ledger:
        other = RangeLock(ledger, state_id)
        with log.open("wb") as said:
            process = _started(ranges.project, settings, f"--state-id={state_id}", log=said)
        waits = f"Another run of the state id {state_id} goes on".encode()
        _wait_for(lambda: waits in log.read_bytes(), process)
        assert day.posthog.events == []
        other.close()
        assert process.wait(_SECONDS) == 0
    assert ranges.classes(first[0]) == _DONE


def _started(
    project: MeltanoProject,
    settings: dict[str, str],
    *options: str,
    log: IO[bytes] | int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start Meltano in the project."""
    return subprocess.Popen(
        [str(SCRIPTS / "meltano"), *_RUN, *options],
        cwd=project.folder,
        env=project.environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
    )


def _wait_for(seen: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _SECONDS
    while not seen():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)


def _family(parent: int) -> dict[str, int]:
    """Return the plugins that a Meltano runs, with their process ids."""
    family: dict[str, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            words = (path / "cmdline").read_bytes().decode().split("\0")
            of = (path / "stat").read_text().rpartition(")")[2].split()[1]
            names = {Path(word).name for word in words[:2]} & {"tap-amplitude", "target-posthog"}
            if int(of) == parent:
                family |= dict.fromkeys(names, int(path.name))
    return family
