"""All that each plugin writes and says in one run, to be read as a whole."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.processes import run_tap
from tests.support.rows import HOUR, START, hour_rows
from tests.support.target import run_apart

if TYPE_CHECKING:
    from tests.support.snapshots import Snapshot
    from tests.support.target import Target

Json = dict[str, Any]


def rows() -> list[Json]:
    """Rows of three hours: a device of a user, a group, a name that PostHog would cut."""
    made = hour_rows(0, 1, 3, each=2)
    made[0] |= {"device_id": "phone", "platform": "iOS", "os_version": "17.2"}
    made[1] |= {"groups": {"company": ["acme"]}, "user_properties": {"plan": "pro"}}
    made[2]["event_type"] = "n" * 201
    return made


def without_types(message: Json) -> Json:
    """Leave of a schema the names of its fields, in place of all that is said of them."""
    if message["type"] != "SCHEMA":
        return message
    return message | {"schema": sorted(message["schema"]["properties"])}


@pytest.fixture
def source() -> AmplitudeExportApi:
    """Amplitude, with a line in the first hour that is no JSON."""
    api = AmplitudeExportApi(rows(), rows_per_file=2)
    api.fail(Fault.CORRUPT_LINE, hour=START)
    return api


def test_all_that_a_run_of_both_leaves(
    target: Target, source: AmplitudeExportApi, snapshot: Snapshot
) -> None:
    """Messages, requests, rejects and logs; `--update-snapshots` renews them."""
    with source as api:
        tap = run_tap(
            target.folder,
            {
                "api_url": api.url,
                "api_key": api.api_key,
                "secret_key": api.secret_key,
                "start_date": START.isoformat(),
                "end_date": (START + 5 * HOUR).isoformat(),
                "parallel_downloads": 1,
                "on_bad_line": "reject",
                "max_reject_ratio": 1,
            },
        ).checked()
    ended = run_apart(target, tap.stdout.splitlines()).checked()

    sent = [event for request in target.capture.requests for event in request.body["batch"]]
    rejects = {path.name.partition("-")[0]: path for path in (target.folder / "rejects").iterdir()}
    snapshot.check(
        target.folder,
        tap_messages=map(without_types, tap.messages),
        tap_log=tap.stderr,
        tap_rejects=rejects["tap"].read_text(),
        # How many requests and states there are is a matter of time.
        target_envelope=target.capture.requests[0].body | {"batch": "…"},
        target_events=sorted(sent, key=itemgetter("timestamp", "uuid")),
        target_state=ended.messages[-1],
        target_log=ended.stderr,
        target_rejects=rejects["target"].read_text(),
    )
