"""A Dagster in this process, and a command in Meltano's place: the runner and all else is real."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from migration.on_dagster.assets import key_for
from migration.on_dagster.definitions import definitions_of
from migration.on_dagster.keys import hours_of, key_of, range_of
from migration.ranges import hour_of
from migration.settings import Settings
from tests.support.fake_meltano import FakeMeltano

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_BOOK = {
    "is_whole": True,
    "exported": 10,
    "accepted": 8,
    "superseded": 1,
    "skipped": {"duplicate": 1},
    "rejected": {},
    "links": 3,
    "gaps": [],
}
_BODY = """
if "invoke" in sys.argv:
    print((here / "book.json").read_text())
    sys.exit(int((here / "book.code").read_text()))
exec((here / "run.py").read_text())
"""


@dataclass
class World:
    """A migration of twelve hours in ranges of four, and the Dagster that runs it.

    Attributes:
        instance: of Dagster.
        settings: of the migration.
        meltano: what is started.
    """

    instance: dg.DagsterInstance
    settings: Settings
    meltano: FakeMeltano
    defs: dg.Definitions = field(init=False)

    def __post_init__(self) -> None:
        """Load the definitions."""
        self.defs = definitions_of(self.settings)
        self.runs(
            'first = variables["TAP_AMPLITUDE_START_DATE"]\n'
            "counts = {'exported': 9, 'skipped': {'duplicate': 2}, 'events_per_second': 4}\n"
            "finish(hours={'from': first}, seconds=2.5, **counts)"
        )
        self.book({})

    def runs(self, body: str) -> None:
        """Let each run of a range do this from now on; see `FakeMeltano`."""
        (self.meltano.folder / "run.py").write_text(body)

    def book(self, changes: dict[str, Any], exit_code: int = 0) -> None:
        """Let the book say this from now on."""
        (self.meltano.folder / "book.json").write_text(json.dumps(_BOOK | changes))
        (self.meltano.folder / "book.code").write_text(str(exit_code))

    @property
    def states(self) -> list[str]:
        """The state ids of all runs of a range so far."""
        calls = (call for call in self.meltano.calls if "el" in call["arguments"])
        return [call["variables"]["MELTANO_STATE_ID"] for call in calls]

    @property
    def books_asked(self) -> list[list[str]]:
        """The arguments of all questions to the book so far."""
        calls = (call["arguments"] for call in self.meltano.calls)
        return [arguments for arguments in calls if "invoke" in arguments]

    @property
    def done(self) -> list[datetime]:
        """The hours that are delivered."""
        key = key_for(self.settings)
        return sorted(hours_of(self.instance.get_materialized_partitions(key)))

    def move(self, first: str, last: str) -> dg.ExecuteInProcessResult:
        """Run the job for a range of hours, from the first to the last."""
        hours = range_of(*(key_of(hour_of(hour)) for hour in (first, last)))
        job = self.defs.resolve_job_def("move_hours")
        return job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            tags={
                "dagster/asset_partition_range_start": key_of(hours.first),
                "dagster/asset_partition_range_end": key_of(hour_of(last)),
            },
        )

    def shown(self, hour: str) -> dict[str, Any]:
        """Return what Dagster shows of an hour's last materialization."""
        event = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=key_for(self.settings), asset_partitions=[key_of(hour_of(hour))]
            ),
            limit=1,
        ).records[0]
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        return {name: value.value for name, value in metadata.items()}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster that remembers as long as the test goes on."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, instance: dg.DagsterInstance) -> World:
    """One with nothing delivered yet."""
    settings = Settings(
        start=hour_of("2024-02-28"),
        end=hour_of("2024-02-28T12"),
        range_hours=4,
        project=tmp_path,
        meltano=str(tmp_path / "meltano-command"),
        work=tmp_path / "work",
        retry_seconds=1,
    )
    return World(instance, settings, FakeMeltano(tmp_path, _BODY))
