"""A state knows whose hours it holds: other keys, other ranges, files and API on one state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.tap.batches import batch, kinds, the_error
from tests.tap.running import HOUR, START, Run, ids, rows, run_tap

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def keys_of(api: AmplitudeExportApi, hours: int = 3, **more: Any) -> dict[str, Any]:
    """Settings that export the first hours of a project."""
    return {
        "api_key": api.api_key,
        "secret_key": api.secret_key,
        "api_url": api.url,
        "start_date": START.isoformat(),
        "end_date": (START + hours * HOUR).isoformat(),
        **more,
    }


def bookmark(run: Run) -> Mapping[str, Any]:
    """The bookmark of the last STATE."""
    return run.states[-1]


def state_of(**mine: Any) -> dict[str, Any]:
    """A state with a bookmark of events."""
    return {"bookmarks": {"events": mine}}


@pytest.mark.parametrize("handed_over", [False, True])
def test_the_state_of_another_project_stops_the_run(tmp_path: Path, *, handed_over: bool) -> None:
    """Keys of a second project with the first one's state: exit code 2 and the two ways out."""
    more = batch(tmp_path / "out") if handed_over else {}
    with AmplitudeExportApi(rows(0, 1, 2), api_key="first") as api:
        first = run_tap(tmp_path, keys_of(api, **more))
        api.api_key, api.secret_key = "second", "second-secret"
        asked = len(api.requests)
        second = run_tap(tmp_path, keys_of(api, hours=6, **more), state=first.last_state)

        assert len(api.requests) == asked
    assert first.code == 0
    assert second.code == 2
    assert "RECORD" not in kinds(second)
    assert "BATCH" not in kinds(second)
    assert "--state-id-suffix" in the_error(second)
    assert "meltano state merge" in the_error(second)
    assert "first" not in str(first.last_state)
    assert not {"first", "second-secret"} & set(the_error(second).replace("`", " ").split())


def test_a_new_secret_key_is_the_same_project(tmp_path: Path) -> None:
    """Whoever renews the secret goes on where the state is."""
    with AmplitudeExportApi(rows(0, 1, 2, 3)) as api:
        first = run_tap(tmp_path, keys_of(api))
        api.secret_key = "renewed"
        second = run_tap(tmp_path, keys_of(api, hours=4), state=first.last_state)

    assert second.code == 0
    assert second.ids == ids(rows(3))
    assert len(bookmark(second)["project"].split()[0]) == 16
    assert bookmark(second)["project"] == bookmark(first)["project"]


def test_a_project_that_changed_its_key_goes_on_once_told_to(tmp_path: Path) -> None:
    """`meltano state merge` with an empty project is the way that the message names."""
    with AmplitudeExportApi(rows(0, 1, 2, 3)) as api:
        first = run_tap(tmp_path, keys_of(api))
        api.api_key = "changed"
        state = state_of(**{**bookmark(first), "project": ""})
        second = run_tap(tmp_path, keys_of(api, hours=4), state=state)

    assert second.code == 0
    assert second.ids == ids(rows(3))
    assert bookmark(second)["project"] not in {"", bookmark(first)["project"]}


def test_a_state_that_does_not_say_whose_it_is_is_taken_over_and_told(tmp_path: Path) -> None:
    """Older states and those of `meltano state set` go on, with one line."""
    with AmplitudeExportApi(rows(0, 1, 2)) as api:
        first = run_tap(
            tmp_path, keys_of(api), state=state_of(next_export_hour="2024-01-01T01:00:00Z")
        )
        second = run_tap(tmp_path, keys_of(api, hours=4), state=first.last_state)

    assert first.ids == ids(rows(1, 2))
    assert first.log.count("does not say whose hours it holds") == 1
    assert "does not say whose" not in second.log
    assert bookmark(first)["apps"] == "123 2024-01-01T01:00:00Z/2024-01-01T03:00:00Z"


def test_the_state_of_another_range_stops_the_run(tmp_path: Path) -> None:
    """Two runs in one folder can read each other's state: nothing exported is no success."""
    with AmplitudeExportApi(rows(0, 1, 2, 10, 11)) as api:
        later = keys_of(api, start_date=(START + 10 * HOUR).isoformat(), end_date="2024-01-02")
        other = run_tap(tmp_path, later)
        wrong = run_tap(tmp_path, keys_of(api), state=other.last_state)
        again = run_tap(tmp_path, later, state=other.last_state)

    assert wrong.code == 2
    assert wrong.records == []
    assert "is that of another range" in the_error(wrong)
    assert "meltano el --state-id" in the_error(wrong)
    assert "--state-id-suffix" in the_error(wrong)
    assert (again.code, again.records) == (0, [])
    assert "there is nothing to do" in again.log
