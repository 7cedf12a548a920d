"""Workers share the agreed speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.histories import held_events, keys_of, people
from tests.support.processes import run_target
from tests.support.rows import uuid_of
from tests.support.singer import counts_in
from tests.target.capture.test_speed_process import assert_held
from tests.target.input.test_batch_messages import RUN_FOLDER, hours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_workers_hold_the_agreed_speed_together(
    tmp_path: Path, config: Json, capture: PosthogCapture, protocol: str
) -> None:
    """In any stretch of time, with what has to be sent again."""
    folder = tmp_path / "batches" / RUN_FOLDER
    folder.mkdir(parents=True)
    sent = people(300)
    capture.fail(Fault.STATUS, times=2, status=503)
    capture.fail(Fault.LOSE_ANSWER)
    capture.retry_v1([uuid_of(number) for number in range(200, 210)])
    own = {"protocol": protocol, "workers": 3, "max_events_per_second": 200, "max_batch_events": 25}
    run = run_target(config | own, hours(folder, sent, files=3, each=50), tmp_path).checked()
    assert_held(capture, 200)
    assert held_events(capture) == keys_of(sent)
    assert counts_in(run.stderr)["accepted"] == 300
