"""Airflow's DAG of a migration: a run for each day, the oldest first, moves the hours of the day.

The task is `python -m migration.partition` in an environment of its own (orchestration/Dockerfile);
the worker needs no part of it, nor this file, but Airflow 3 and the variables of a migration.
"""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.timetables.interval import CronDataIntervalTimetable

PYTHON = "/opt/dagster/bin/python"
#: Amplitude has the last hour of a day three hours after its beginning; the interval is a day, and
#: ends with the moment at which Airflow begins the run.
READY_AFTER = timedelta(hours=3)
#: 2: a setting must be corrected. 3: someone has to look at the rejects. To repeat is no help.
FOR_A_PERSON = (2, 3)


@dag(
    schedule=CronDataIntervalTimetable("10 3 * * *", timezone="UTC"),
    start_date=datetime(2023, 1, 1, 3, 10, tzinfo=timezone.utc),
    catchup=True,
    # One range at a time, in order, and the retries of one before the next: PostHog applies
    # properties of people in order of arrival.
    max_active_runs=1,
    default_args={
        "depends_on_past": True,
        "retries": 5,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
    },
)
def amplitude_to_posthog() -> None:
    """Move Amplitude's events to PostHog, day by day."""
    move_day()


@task
def move_day(
    data_interval_start: datetime | None = None, data_interval_end: datetime | None = None
) -> None:
    """Move the hours of a run's interval.

    Raises:
        AirflowFailException: a person has to do something; Airflow does not repeat it.
        AirflowException: the same again may help.
    """
    limits = [
        f"{moment - READY_AFTER:%Y-%m-%dT%H}"
        for moment in (data_interval_start, data_interval_end)
        if moment is not None
    ]
    code = subprocess.run([PYTHON, "-m", "migration.partition", *limits], check=False).returncode
    if code in FOR_A_PERSON:
        raise AirflowFailException(f"The range ended with {code}: see the log above.")
    if code:
        raise AirflowException(f"The range ended with {code}. It goes on where it stopped.")


amplitude_to_posthog()
