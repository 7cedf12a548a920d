"""A whole day through Meltano, proved against a real ClickHouse, and mended as the proof says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_query import PosthogQuery
from tests.support.meltano_project import MeltanoProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture

_STATE = ("state", "get", "prod:tap-amplitude-to-target-posthog")


@pytest.fixture
def queries(posthog: PosthogCapture) -> Iterator[PosthogQuery]:
    """PostHog's query API over what was captured."""
    with PosthogQuery(posthog) as api:
        yield api


@pytest.mark.long
def test_the_commands_that_it_shows_mend_what_it_found(
    tmp_path: Path, settings: dict[str, str], posthog: PosthogCapture, queries: PosthogQuery
) -> None:
    """Every odd value there is; events of two hours lost behind the ingestion; the state stays."""
    settings |= {
        "TARGET_POSTHOG_APP_HOST": queries.url,
        "TARGET_POSTHOG_PROJECT_ID": f"{queries.project}",
        "TARGET_POSTHOG_PERSONAL_API_KEY": queries.key,
    }
    folder = tmp_path / "project"
    folder.mkdir()
    project = MeltanoProject(folder)

    def reconcile() -> tuple[int, Any]:
        arguments = ("invoke", "target-posthog:reconcile", "--json", "--wait=0", "--people=100")
        ended = project.meltano(*arguments, settings=settings)
        return ended.exit_code, json.loads(ended.stdout)

    project.meltano("run", "tap-amplitude", "target-posthog", settings=settings).checked()
    code, proved = reconcile()
    assert (code, proved["agrees"]) == (0, True), proved
    assert proved["totals"]["held"] == len(
        [one for one in posthog.held().values() if "server_upload_time" in one["properties"]]
    )
    assert proved["people"]["joined"] > 10
    assert proved["book"]["hours"] == 24

    hours = sorted({_hour_of(event) for event in posthog.events if _hour_of(event)})
    lost = [
        next(event for event in posthog.events if _hour_of(event) == hour)
        for hour in (hours[0], hours[-1])
    ]
    for event in lost:
        posthog.events.remove(event)
    state = project.meltano(*_STATE, settings=settings).checked().stdout
    code, found = reconcile()
    assert (code, found["totals"]["missing"]) == (3, 2)
    assert [one["hour"][:13] for one in found["differences"]] == [hours[0], hours[-1]]
    assert len(found["commands"]) == 2

    sent = len(posthog.events)
    for command in found["commands"]:
        project.run(["bash", "-c", command], settings).checked()
    assert 2 <= len(posthog.events) - sent < len(posthog.held())
    code, mended = reconcile()
    assert (code, mended) == (0, proved | {"asked_at": mended["asked_at"]})
    assert project.meltano(*_STATE, settings=settings).checked().stdout == state


def _hour_of(event: dict[str, Any]) -> str:
    return str(event["properties"].get("server_upload_time", ""))[:13]
