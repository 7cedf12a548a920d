"""An older PostHog takes 2 MB in a request, as sent: the run learns it once."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_capture import PosthogCapture
from tests.support.batch_messages import RUN_FOLDER, hours
from tests.support.histories import held_events, keys_of
from tests.support.processes import run_target
from tests.support.rows import row
from tests.support.singer import counts_in, records, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.singer import Json

TAKES = 2_000_000


def large_rows(count: int) -> list[Json]:
    """Return rows of seven users, of 20 kB each, that compression makes half as large."""
    return [
        row(
            number,
            user_id=f"user-{number % 7}",
            event_properties={"text": random.Random(number).randbytes(10_000).hex()},
        )
        for number in range(count)
    ]


def by_person(uuids_and_people: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the uuids of each person, in order: a slow server gets people side by side."""
    found: dict[str, list[str]] = {}
    for uuid, person in uuids_and_people:
        found.setdefault(person, []).append(uuid)
    return found


@pytest.mark.parametrize("way", ["records", "files"])
def test_a_bound_is_found_once_and_held_for_the_rest_of_the_run(tmp_path: Path, way: str) -> None:
    """To send every batch whole first, and its halves then, would cost all of it twice."""
    folder = tmp_path / RUN_FOLDER
    folder.mkdir()
    sent = large_rows(1200)
    # A batch of 8 MB before compression for each of these.
    messages = (
        [schema(), *records(sent), state({"at": 3})]
        if way == "records"
        else hours(folder, sent, files=2, each=200)
    )
    with PosthogCapture(max_wire_bytes=TAKES) as capture:
        config = {
            "api_key": capture.api_key,
            "host": capture.url,
            "workers": 2,
            "max_batch_bytes": 8_000_000,
        }
        run = run_target(config, messages, tmp_path).checked()

    assert held_events(capture) == keys_of(sent)
    assert counts_in(run.stderr)["accepted"] == len(sent)
    assert counts_in(run.stderr)["rejected"] == 0
    assert run.stdout.splitlines()[-1] == '{"at": 3}'
    statuses = [request.status for request in capture.requests]
    # 8 MB, then 4 MB; and what other lanes had under way, of which there is one here.
    assert statuses[:2] == [413, 413]
    assert statuses.count(413) <= 3, statuses
    assert statuses.count(200) >= 1200 * 20_000 // TAKES
    assert by_person((event["uuid"], event["distinct_id"]) for event in capture.events) == (
        by_person((one["uuid"], one["user_id"]) for one in sent)
    )
