"""One range of hours: what is run for it, what its end means, and that nothing outlives it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration import guarded
from migration.partition import EXIT_CODES, Outcome, outcome_of, run_range
from migration.ranges import HourRange, hour_of
from migration.settings import Order, Settings
from target_posthog.outcome import outcome_of as outcome_by_the_target
from tests.support.fake_meltano import FakeMeltano
from tests.support.meltano_project import REPOSITORY
from tests.support.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_HOURS = HourRange(hour_of("2024-02-28T06"), hour_of("2024-02-28T12"))
_CLASSES = st.sampled_from(["done", "retry", "fix", "look", "running", "unknown"])
_SUMMARIES: st.SearchStrategy[dict[str, str]] = st.one_of(
    st.just({}), st.fixed_dictionaries({"exit_class": _CLASSES, "error": st.just("It failed.")})
)
_BOTH = 'plugin("tap"); plugin("target"); wait()'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command in Meltano's place is."""
    made = tmp_path / "command"
    made.mkdir()
    return made


def _settings(tmp_path: Path, meltano: FakeMeltano) -> Settings:
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    return Settings(
        _HOURS.first, project=project, meltano=str(meltano.path), work=tmp_path / "work"
    )


def _run(tmp_path: Path, folder: Path, body: str) -> tuple[Outcome, FakeMeltano]:
    meltano = FakeMeltano(folder, body)
    return run_range(_HOURS, _settings(tmp_path, meltano)), meltano


def test_a_range_has_its_own_state_hours_and_summary(tmp_path: Path, folder: Path) -> None:
    """Nothing that one run writes is another's; everything else is as the user set it."""
    outcome, meltano = _run(tmp_path, folder, "finish(exported=7)")
    assert outcome.is_done
    assert outcome.summary["exported"] == 7
    [call] = meltano.calls
    assert call["arguments"] == ["el", "--force", "tap-amplitude", "target-posthog"]
    variables = call["variables"]
    assert variables["MELTANO_STATE_ID"] == "hours-20240228T06-20240228T12"
    assert variables["TAP_AMPLITUDE_START_DATE"] == "2024-02-28T06:00:00Z"
    assert variables["TAP_AMPLITUDE_END_DATE"] == "2024-02-28T12:00:00Z"
    own = tmp_path / "work/hours-20240228T06-20240228T12"
    assert variables["TAP_AMPLITUDE_SUMMARY_PATH"] == str(own / "tap.json")
    assert variables["TARGET_POSTHOG_SUMMARY_PATH"] == str(own / "target.json")
    assert variables["PATH"] == os.environ["PATH"]
    assert call["folder"] == str(tmp_path / "project")


@pytest.mark.parametrize(
    ("body", "exit_class", "words"),
    [
        ("finish()", "done", ""),
        ('finish(); tell("retry", error="PostHog is down."); sys.exit(1)', "retry", "is down."),
        ('finish(); tell("look", next="See rejects."); sys.exit(1)', "look", "See rejects."),
        ('tell("retry"); tell("fix", "TAP_AMPLITUDE", error="Key?"); sys.exit(1)', "fix", "Key?"),
        ('tell("fix", error="Key?"); tell("retry", "TAP_AMPLITUDE"); sys.exit(1)', "fix", "Key?"),
        ('finish(); tell("running"); sys.exit(1)', "retry", "target-posthog was killed."),
        ('finish(); tell("running", "TAP_AMPLITUDE")', "retry", "tap-amplitude was killed."),
        ("finish(); sys.exit(1)", "retry", "Both plugins ended well, and Meltano with 1"),
        ("sys.exit(1)", "retry", "did not begin"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "retry", "did not begin"),
        ("sys.exit(0)", "retry", "did not begin"),
        ('tell("done")', "retry", "tap-amplitude did not begin"),
        ('tell("done", "TAP_AMPLITUDE")', "retry", "target-posthog did not begin"),
        ('finish(); tell("something new"); sys.exit(1)', "retry", "target-posthog was killed"),
        ("sys.exit(127)", "fix", "Set `MIGRATION_MELTANO`"),
    ],
)
def test_what_the_end_of_a_run_means(
    body: str, exit_class: str, words: str, tmp_path: Path, folder: Path
) -> None:
    """Only two plugins that say so, and a Meltano that agrees, make a range done."""
    outcome, _ = _run(tmp_path, folder, body)
    assert outcome.exit_class == exit_class
    assert words in outcome.message
    assert outcome.is_temporary == (exit_class == "retry")
    assert bool(outcome.message) == (exit_class != "done")


@pytest.mark.parametrize(
    ("order", "state_id"),
    [
        (Order.ASCENDING, "hours-20240228T06-20240228T12"),
        (Order.COLLECT, "collect-hours-20240228T06-20240228T12"),
        (Order.APPLY, "apply-hours-20240228T06-20240228T12"),
    ],
)
def test_each_round_of_free_order_has_states_of_its_own(
    order: Order, state_id: str, tmp_path: Path, folder: Path
) -> None:
    """The second begins anew with the hours that the first has read."""
    meltano = FakeMeltano(folder, "finish()")
    assert run_range(_HOURS, replace(_settings(tmp_path, meltano), order=order)).is_done
    assert meltano.calls[0]["variables"]["MELTANO_STATE_ID"] == state_id


def test_a_summary_of_an_earlier_run_is_not_believed(tmp_path: Path, folder: Path) -> None:
    """A tap that fails before the target begins leaves the old one where it is."""
    body = "finish() if attempt == 1 else sys.exit(1)"
    first, meltano = _run(tmp_path, folder, body)
    assert first.is_done
    assert run_range(_HOURS, _settings(tmp_path, meltano)).exit_class == "retry"


def test_half_a_summary_is_none(tmp_path: Path, folder: Path) -> None:
    """A disk that is full may leave one."""
    body = 'finish(); pathlib.Path(variables["TARGET_POSTHOG_SUMMARY_PATH"]).write_text("{")'
    outcome, _ = _run(tmp_path, folder, body)
    assert outcome.exit_class == "retry"


def test_the_classes_are_those_of_the_summary() -> None:
    """With the exit codes of both plugins; a class that is not known is never success."""
    assert EXIT_CODES == {"done": 0, "retry": 1, "fix": 2, "look": 3}
    assert not outcome_of(0, {"exit_class": "unknown"}, {"exit_class": "done"}).is_done


def test_what_a_killed_meltano_leaves_is_ended_and_removed(tmp_path: Path, folder: Path) -> None:
    """Plugins would deliver beside the next attempt; their settings hold the keys."""
    body = """
left = pathlib.Path(".meltano/run/elt") / variables["MELTANO_STATE_ID"] / "a-run"
left.mkdir(parents=True)
(left / "tap.config.json").write_text("{}")
(left.parents[1] / "another-range").mkdir()
plugin("tap")
plugin("target")
os.kill(os.getpid(), signal.SIGKILL)
"""
    outcome, meltano = _run(tmp_path, folder, body)
    assert outcome.is_temporary
    assert not is_alive(meltano.started("tap"))
    assert not is_alive(meltano.started("target"))
    runs = tmp_path / "project/.meltano/run/elt"
    assert [path.name for path in runs.iterdir()] == ["another-range"]


def test_a_plugin_that_does_not_stop_is_killed(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked first."""
    monkeypatch.setattr("migration.watchdog.end_group.__defaults__", (0.3, lambda: None))
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    outcome, meltano = _run(tmp_path, folder, f"plugin('tap', {deaf!r}); time.sleep(0.5)")
    assert outcome.is_temporary
    assert not is_alive(meltano.started("tap"))


@contextmanager
def _worker(
    tmp_path: Path, meltano: FakeMeltano, *arguments: str, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a range as a process, as engines do."""
    given = arguments or ("2024-02-28T06", "2024-02-28T12")
    with subprocess.Popen(
        [sys.executable, "-m", "migration.partition", *given],
        cwd=tmp_path,
        env={**os.environ, **_variables(tmp_path, meltano), **more},
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def _variables(tmp_path: Path, meltano: FakeMeltano) -> Mapping[str, str]:
    return {
        "PYTHONPATH": str(REPOSITORY / "orchestration"),
        "MIGRATION_PROJECT": str(tmp_path),
        "MIGRATION_MELTANO": str(meltano.path),
        "MIGRATION_WORK": "work",
    }


@pytest.mark.parametrize(
    ("signum", "exit_code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 1)]
)
def test_nothing_outlives_its_worker(
    signum: int, exit_code: int, tmp_path: Path, folder: Path
) -> None:
    """However it ends; and the next worker begins only when all of it is gone."""
    meltano = FakeMeltano(folder, f"if attempt == 1: {_BOTH}\nfinish()")
    with _worker(tmp_path, meltano) as worker:
        processes = [meltano.started(name) for name in ("tap", "target", "meltano")]
        worker.send_signal(signum)
        assert worker.wait(30) == exit_code
    with _worker(tmp_path, meltano) as following:
        assert following.wait(60) == 0
    assert [is_alive(process) for process in processes] == [False] * 3
    assert len(meltano.calls) == 2


def test_a_run_whose_watchdog_was_killed_goes_on(tmp_path: Path, folder: Path) -> None:
    """It is for the worker's end only."""
    body = 'wait_for = here / "go"\nplugin("tap")\nwhile not wait_for.exists(): time.sleep(0.02)\n'
    meltano = FakeMeltano(folder, f"{body}finish()")
    with _worker(tmp_path, meltano) as worker:
        tap = meltano.started("tap")
        [dog] = _watchdogs_of(worker.pid)
        os.kill(dog, signal.SIGKILL)
        (folder / "go").touch()
        assert worker.wait(60) == 0
    assert not is_alive(tap)


def _watchdogs_of(worker: int) -> list[int]:
    """Return the processes of a worker's watchdog."""
    listed = subprocess.run(
        ["/bin/ps", "-ww", "-e", "-o", "pid=,ppid=,args="],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [
        int(pid)
        for pid, parent, command in lines
        if int(parent) == worker and command.endswith("watchdog.py")
    ]


def test_a_range_that_still_runs_is_not_begun_twice(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two Meltanos on one state would both deliver."""
    monkeypatch.setattr(guarded, "_PATIENCE", 0.3)
    meltano = FakeMeltano(folder, "finish()")
    settings = _settings(tmp_path, meltano)
    (settings.work / _HOURS.name).mkdir(parents=True)
    with (settings.work / _HOURS.name / "lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        outcome = run_range(_HOURS, settings)
    assert outcome.is_temporary
    assert "has not ended yet" in outcome.message
    assert meltano.calls == []
    assert run_range(_HOURS, settings).is_done


def test_the_command_gives_the_exit_code_that_meltano_hides(tmp_path: Path, folder: Path) -> None:
    """So that Kubernetes and Airflow know what to repeat."""
    body = 'tell("fix", error="`api_key` is not known to PostHog."); sys.exit(1)'
    with _worker(tmp_path, FakeMeltano(folder, body)) as worker:
        assert worker.communicate(timeout=60)[1] == (
            "target-posthog: `api_key` is not known to PostHog.\n"
        )
        assert worker.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2024-02-28T06",), "The end of the range is missing"),
        (("--number", "0"), "`MIGRATION_START` is not set"),
        (("2024-02-28T06", "2024-02-28"), "must lie behind"),
    ],
)
def test_a_range_that_cannot_be_meant_is_not_begun(
    arguments: tuple[str, ...], words: str, tmp_path: Path, folder: Path
) -> None:
    """It is the user's to mend: exit code 2."""
    meltano = FakeMeltano(folder, "finish()")
    with _worker(tmp_path, meltano, *arguments) as worker:
        assert words in worker.communicate(timeout=60)[1]
        assert worker.returncode == 2
    assert meltano.calls == []


_NUMBERED = {
    "MIGRATION_START": "2024-02-28",
    "MIGRATION_END": "2024-02-28T10",
    "MIGRATION_RANGE_HOURS": "4",
}


@pytest.mark.parametrize(
    ("arguments", "state_id"),
    [
        (("0",), "hours-20240228T00-20240228T04"),
        (("2",), "hours-20240228T08-20240228T10"),
        (("3",), None),
        # There is none before it to be waited for.
        (("0", "--in-order"), "hours-20240228T00-20240228T04"),
    ],
)
def test_a_number_names_a_range(
    arguments: tuple[str, ...], state_id: str | None, tmp_path: Path, folder: Path
) -> None:
    """As an Indexed Job of Kubernetes has it; there is nothing to do behind the last one."""
    meltano = FakeMeltano(folder, "finish()")
    with _worker(tmp_path, meltano, "--number", *arguments, **_NUMBERED) as worker:
        assert worker.wait(60) == 0
    assert [call["variables"]["MELTANO_STATE_ID"] for call in meltano.calls] == (
        [state_id] if state_id else []
    )


@pytest.mark.parametrize(
    ("hour", "exit_code"), [("", 1), ("2024-02-28T03:00:00Z", 1), ("2024-02-28T04:00:00Z", 0)]
)
def test_in_order_a_range_waits_for_the_one_before(
    hour: str, exit_code: int, tmp_path: Path, folder: Path
) -> None:
    """What Meltano's state says of it decides; there is no other word for it on all machines."""
    bookmarks = {"events": {"next_export_hour": hour}} if hour else {}
    state = json.dumps({"singer_state": {"bookmarks": bookmarks}})
    body = f'print({state!r}) if sys.argv[1:3] == ["state", "get"] else finish()'
    meltano = FakeMeltano(folder, body)
    with _worker(tmp_path, meltano, "--number", "1", "--in-order", **_NUMBERED) as worker:
        assert worker.wait(60) == exit_code
    asked = ["state", "get", "hours-20240228T00-20240228T04"]
    assert meltano.calls[0]["arguments"] == asked
    assert len(meltano.calls) == (1 if exit_code else 2)


@given(
    target=_SUMMARIES,
    tap=_SUMMARIES,
)
def test_a_range_ends_as_the_target_says_that_it_does(
    target: dict[str, str], tap: dict[str, str]
) -> None:
    """Both read both summaries; the ranges have no part of the plugins in their environment."""
    theirs = outcome_by_the_target(target or None, tap or None)
    assert outcome_of(0, target, tap).exit_class == theirs.exit_class
