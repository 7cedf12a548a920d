"""Workers share the agreed speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.batch_messages import hours
from tests.support.histories import held_events, keys_of, people
from tests.support.rows import uuid_of
from tests.support.singer import counts_in
from tests.support.target import run_apart
from tests.target.capture.test_speed_process import assert_held

if TYPE_CHECKING:
    from tests.support.singer import Json
    from tests.support.target import Target


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_workers_hold_the_agreed_speed_together(target: Target, protocol: str) -> None:
    """In any stretch of time, with what has to be sent again."""
    sent = people(300)
    target.capture.fail(Fault.STATUS, times=2, status=503)
    target.capture.fail(Fault.LOSE_ANSWER)
    target.capture.retry_v1([uuid_of(number) for number in range(200, 210)])
    own: Json = {"workers": 3, "max_events_per_second": 200, "max_batch_events": 25}
    messages = hours(target.batches, sent, files=3, each=50)
    run = run_apart(target, messages, protocol=protocol, **own).checked()
    assert_held(target.capture, 200)
    assert held_events(target.capture) == keys_of(sent)
    assert counts_in(run.stderr)["accepted"] == 300
