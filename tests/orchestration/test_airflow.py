"""Airflow's DAG, loaded with no more of Airflow than it names: what it runs and repeats."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from migration import ranges
from migration.ranges import HourRange, hour_of, ready_hours
from tap_amplitude import windows
from tests.support.fake_meltano import FakeMeltano
from tests.support.meltano_project import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FILE = REPOSITORY / "orchestration/on_airflow/amplitude_to_posthog.py"


class AirflowException(Exception):
    """Airflow repeats the task."""


class AirflowFailException(AirflowException):
    """Airflow does not repeat the task."""


class _Airflow:
    """What the DAG's decorators were given, and its tasks."""

    def __init__(self) -> None:
        self.dag_arguments: dict[str, Any] = {}
        self.cron: tuple[str, str] = ("", "")
        self.is_defined = False
        self.tasks: list[str] = []

    def dag(self, **arguments: Any) -> Callable[[Callable[[], None]], Callable[[], None]]:
        """Take a DAG, and define it when it is called."""
        self.dag_arguments = arguments

        def made(function: Callable[[], None]) -> Callable[[], None]:
            def define() -> None:
                function()
                self.is_defined = True

            return define

        return made

    def task(self, function: Callable[..., None]) -> Callable[[], None]:
        """Take a task; in a DAG it is only named."""

        def called() -> None:
            self.tasks.append(function.__name__)

        called.run = function  # type: ignore[attr-defined]  # for the tests
        return called

    def timetable(self, cron: str, timezone: str) -> _Airflow:
        """Take when it runs."""
        self.cron = (cron, timezone)
        return self


@pytest.fixture
def airflow() -> _Airflow:
    """What stands in Airflow's place."""
    return _Airflow()


@pytest.fixture
def dag(airflow: _Airflow, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of the DAG, loaded as Airflow loads it."""
    modules: dict[str, dict[str, Any]] = {
        "airflow": {},
        "airflow.sdk.exceptions": {
            "AirflowException": AirflowException,
            "AirflowFailException": AirflowFailException,
        },
        "airflow.sdk": {"dag": airflow.dag, "task": airflow.task},
        "airflow.timetables": {},
        "airflow.timetables.interval": {"CronDataIntervalTimetable": airflow.timetable},
    }
    for name, members in modules.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    spec = spec_from_file_location("amplitude_to_posthog_dag", _FILE)
    assert spec is not None
    assert spec.loader is not None
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.usefixtures("dag")
def test_days_go_in_order_and_retries_before_the_next(airflow: _Airflow) -> None:
    """From the first one on, whenever it is switched on."""
    assert airflow.is_defined
    assert airflow.tasks == ["move_day"]
    assert airflow.dag_arguments["max_active_runs"] == 1
    assert airflow.dag_arguments["catchup"] is True
    assert airflow.dag_arguments["default_args"]["depends_on_past"] is True
    assert airflow.dag_arguments["default_args"]["retries"] > 0


def test_a_run_begins_when_its_hours_are_ready(dag: Any, airflow: _Airflow) -> None:
    """It begins at the end of its interval, and its last hour is the last that is ready then."""
    assert airflow.cron == ("10 3 * * *", "UTC")
    begins = airflow.dag_arguments["start_date"] + timedelta(days=1)
    first, end = hour_of("2023-01-01"), hour_of("2023-01-02")
    assert ready_hours(first, begins, end) == HourRange(first, end)
    # Each has an environment of its own, with no part of the others.
    assert timedelta(hours=3) == windows.READY_AFTER == ranges.READY_AFTER == dag.READY_AFTER


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("finish()", None),
        ('finish(); tell("retry"); sys.exit(1)', AirflowException),
        ('finish(); tell("fix"); sys.exit(1)', AirflowFailException),
        ('finish(); tell("look"); sys.exit(1)', AirflowFailException),
    ],
)
def test_a_task_moves_a_day_and_tells_airflow_what_to_repeat(
    end: str,
    error: type[AirflowException] | None,
    dag: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the exit code that Meltano hides."""
    meltano = FakeMeltano(tmp_path, end)
    monkeypatch.setattr(dag, "PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "orchestration"))
    monkeypatch.setenv("MIGRATION_PROJECT", str(tmp_path))
    monkeypatch.setenv("MIGRATION_MELTANO", str(meltano.path))
    begins = datetime(2023, 1, 1, 3, 10, tzinfo=timezone.utc)
    if error is None:
        dag.move_day.run(begins, begins + timedelta(days=1))
    else:
        with pytest.raises(AirflowException) as raised:
            dag.move_day.run(begins, begins + timedelta(days=1))
        assert raised.type is error
    [call] = meltano.calls
    assert call["variables"]["TAP_AMPLITUDE_START_DATE"] == "2023-01-01T00:00:00Z"
    assert call["variables"]["TAP_AMPLITUDE_END_DATE"] == "2023-01-02T00:00:00Z"
