"""A backfill of twelve ranges on a real Dagster, with everything killed that can be killed."""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from migration.ranges import HourRange, numbered_range, text_of
from tests.conftest import postgresql_server
from tests.end_to_end.conftest import amplitude, posthog
from tests.fakes.amplitude_archive import upload_hour
from tests.fakes.posthog_faults import Fault
from tests.support.faithful import assert_migrated
from tests.support.meltano_project import MeltanoProject
from tests.support.processes import SCRIPTS, clean_environment
from tools.sample_export import SampleExport, generate

from .dagster_services import Dagster
from .killer import FreeKiller, Killer, Victim

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.fakes.amplitude_export_api import AmplitudeExportApi
    from tests.fakes.posthog_capture import PosthogCapture

__all__ = ["amplitude", "postgresql_server", "posthog"]

#: Three days of 60 people in twelve ranges.
_DAYS, _RANGES, _RANGE_HOURS = 3, 12, 6
_VICTIMS: tuple[Victim, ...] = ("worker", "meltano", "tap", "target")
#: A guard, not a measurement: it takes three minutes with the machine to itself.
_SECONDS = 540.0


@pytest.fixture(scope="session")
def export() -> SampleExport:
    """What Amplitude has."""
    return generate(days=_DAYS, people=60)


@pytest.fixture
def variables(
    tmp_path: Path,
    export: SampleExport,
    postgresql_server: sa.URL,
    amplitude: AmplitudeExportApi,
    posthog: PosthogCapture,
) -> Mapping[str, str]:
    """The environment of Dagster, and so of all that it starts."""
    databases = {name: _new_database(postgresql_server, name) for name in ("dagster", "rest")}
    project = tmp_path / "project"
    project.mkdir()
    MeltanoProject(project)
    return {
        **clean_environment(),
        "PATH": os.pathsep.join([str(SCRIPTS), os.environ["PATH"]]),
        "MIGRATION_START": text_of(export.start),
        "MIGRATION_END": text_of(export.end),
        "MIGRATION_RANGE_HOURS": str(_RANGE_HOURS),
        "MIGRATION_RETRY_SECONDS": "1",
        "MIGRATION_PROJECT": str(project),
        "MIGRATION_MELTANO": str(SCRIPTS / "meltano"),
        "DAGSTER_POSTGRES_URL": databases["dagster"].replace("+psycopg", ""),
        "MELTANO_DATABASE_URI": databases["rest"],
        "TARGET_POSTHOG_LEDGER_URL": databases["rest"],
        "TAP_AMPLITUDE_API_URL": amplitude.url,
        "TAP_AMPLITUDE_API_KEY": amplitude.api_key,
        "TAP_AMPLITUDE_SECRET_KEY": amplitude.secret_key,
        "TARGET_POSTHOG_HOST": posthog.url,
        "TARGET_POSTHOG_API_KEY": posthog.api_key,
        "TARGET_POSTHOG_MAX_BATCH_EVENTS": "20",
    }


@pytest.mark.timeout(600)
def test_a_backfill_in_which_each_process_was_killed_is_whole(
    tmp_path: Path,
    export: SampleExport,
    variables: Mapping[str, str],
    amplitude: AmplitudeExportApi,
    posthog: PosthogCapture,
) -> None:
    """PostHog holds the source and nothing else, people and groups as they are now, in one book."""
    hours = HourRange(export.start, export.end)
    ranges = [numbered_range(hours, _RANGE_HOURS, number) for number in range(_RANGES)]
    plan = dict(zip(_busiest(export, ranges), _VICTIMS, strict=True))
    killer = Killer(plan, amplitude, posthog)
    with Dagster(tmp_path / "dagster", variables) as dagster:
        killer.start()
        backfill = dagster.api.launch_backfill(dagster.api.partitions())
        _wait_for(dagster, backfill)
        killer.stop()
        asset, runs = dagster.api.state(), dagster.api.runs()

    assert killer.killed == plan
    assert_migrated(posthog, export.rows, export.truth)
    assert asset["assetNodeOrError"]["partitionStats"] == {
        "numMaterialized": len(hours),
        "numFailed": 0,
        "numPartitions": len(hours),
    }
    assert_whole(asset, hours)
    assert_in_order(runs, plan)


@pytest.mark.timeout(600)
def test_in_free_order_three_ranges_at_once_bend_nothing(
    tmp_path: Path,
    export: SampleExport,
    variables: Mapping[str, str],
    posthog: PosthogCapture,
) -> None:
    """After a round that only reads; in the one that sends, a worker and a target are killed."""
    hours = HourRange(export.start, export.end)
    variables = {**variables, "MIGRATION_RANGE_HOURS": str(2 * _RANGE_HOURS)}
    with _round(tmp_path, variables, "collect", "people_pass") as dagster:
        _wait_for(dagster, dagster.api.launch_backfill(dagster.api.partitions()))
    assert posthog.requests == []

    ranges = [numbered_range(hours, 2 * _RANGE_HOURS, number) for number in range(_RANGES // 2)]
    first, second = _busiest(export, ranges, 2)
    killers = [
        FreeKiller(f"apply-{first}", "worker", posthog),
        FreeKiller(f"apply-{second}", "target", posthog),
    ]
    posthog.fail(Fault.SLOW, 10_000, seconds=0.1)
    with _round(tmp_path, variables, "apply", "posthog_events") as dagster:
        for killer in killers:
            killer.start()
        _wait_for(dagster, dagster.api.launch_backfill(dagster.api.partitions()))
        for killer in killers:
            killer.stop()
        asset = dagster.api.state()

    assert all(killer.has_killed for killer in killers)
    assert_migrated(posthog, export.rows, export.truth)
    assert_whole(asset, hours)


def _round(folder: Path, variables: Mapping[str, str], order: str, asset: str) -> Dagster:
    """Return a Dagster that lets three ranges run at once, for a round of free order."""
    return Dagster(
        folder / order, {**variables, "TARGET_POSTHOG_FREE_ORDER": order}, asset, at_once=3
    )


def assert_whole(asset: dict[str, Any], hours: HourRange) -> None:
    """Fail unless the check of the last range found the book of all hours whole."""
    [check] = asset["assetCheckExecutions"]
    assert check["status"] == "SUCCEEDED", check
    assert check["evaluation"] == {
        "success": True,
        "description": f"{hours}: the book is whole.",
    }


def assert_in_order(runs: list[dict[str, Any]], plan: dict[str, Victim]) -> None:
    """Fail unless each range was run once, in order, but for that of the worker that was killed."""
    of_ranges = [run["tags"]["dagster/asset_partition_range_start"] for run in runs]
    assert of_ranges == sorted(of_ranges)
    again = [first for first, times in Counter(of_ranges).items() if times > 1]
    [of_worker] = [name for name, victim in plan.items() if victim == "worker"]
    assert [first.replace("-", "")[:8] for first in again] == [of_worker[6:14]]
    statuses = Counter(run["status"] for run in runs)
    assert statuses == {"SUCCESS": _RANGES, "FAILURE": 1}


def _busiest(
    export: SampleExport, ranges: list[HourRange | None], number: int = len(_VICTIMS)
) -> list[str]:
    """Return the names of the ranges with the most rows, in order: those in which to kill."""
    of_hours = Counter(upload_hour(row) for row in export.rows)
    rows = {part: sum(of_hours[hour] for hour in part) for part in ranges if part}
    most = sorted(rows, key=rows.__getitem__, reverse=True)[:number]
    assert min(rows[part] for part in most) > 60
    return [part.name for part in sorted(most)]


def _wait_for(dagster: Dagster, backfill: str) -> None:
    end = time.monotonic() + _SECONDS
    while (status := dagster.api.status_of(backfill)) in ("REQUESTED", "CANCELING"):
        assert time.monotonic() < end, f"{status}\n{dagster.log}"
        time.sleep(0.5)
    assert status == "COMPLETED_SUCCESS", dagster.log


def _new_database(server: sa.URL, name: str) -> str:
    """Make a database of this test's own; return its address."""
    own = f"{name}_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {own}"))
    engine.dispose()
    return server.set(database=own).render_as_string(hide_password=False)
