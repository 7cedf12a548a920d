"""Workers share the agreed speed, and over a slow link each device keeps its order."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.histories import held_events, identities, keys_of, people
from tests.support.processes import run_target
from tests.support.rows import uuid_of
from tests.support.singer import counts_in
from tests.target.capture.test_speed_process import assert_held
from tests.target.input.test_batch_messages import RUN_FOLDER, hours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json

BOTH = pytest.mark.parametrize("protocol", ["batch", "v1"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as tap-amplitude makes it for the files of a run."""
    made = tmp_path / "batches" / RUN_FOLDER
    made.mkdir(parents=True)
    return made


@BOTH
def test_workers_hold_the_agreed_speed_together(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture, protocol: str
) -> None:
    """In any stretch of time, with what has to be sent again."""
    sent = people(600)
    capture.fail(Fault.STATUS, times=2, status=503)
    capture.fail(Fault.LOSE_ANSWER)
    capture.retry_v1([uuid_of(number) for number in range(300, 310)])
    own = {"protocol": protocol, "workers": 3, "max_events_per_second": 200, "max_batch_events": 25}
    run = run_target(config | own, hours(folder, sent, files=3, each=100), tmp_path).checked()
    assert_held(capture, 200)
    assert held_events(capture) == keys_of(sent)
    assert counts_in(run.stderr)["accepted"] == 600


@BOTH
def test_workers_over_a_slow_link_keep_the_order_of_each_device(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture, protocol: str
) -> None:
    """Also over small hours, which one job holds together; nothing is lost or doubled."""
    sent = people(2400)
    capture.fail(Fault.SLOW, times=10_000, seconds=0.1)
    own = {"protocol": protocol, "workers": 2, "max_batch_events": 20}
    messages = hours(folder, sent, files=2, each=300)
    run = run_target(config | own, messages, tmp_path).checked()
    assert capture.most_under_way > 1
    assert held_events(capture) == keys_of(sent)
    assert len(capture.events) == len(capture.held()) == 2410
    assert len(identities(capture)) == 10
    assert counts_in(run.stderr)["accepted"] == 2400

    number_of = {one["uuid"]: number for number, one in enumerate(sent)}
    of_device: dict[str, list[int]] = defaultdict(list)
    for event in capture.events:
        if event["uuid"] in number_of:
            number = number_of[event["uuid"]]
            of_device[sent[number]["device_id"]].append(number)
    for numbers in of_device.values():
        assert numbers == sorted(numbers)
