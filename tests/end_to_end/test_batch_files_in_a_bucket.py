"""Batch files in a bucket, read by the target's own process."""

from __future__ import annotations

import gzip
from random import Random
from typing import TYPE_CHECKING

from tests.support.batch_messages import GZIP, RUN_FOLDER, lines_of
from tests.support.buckets import s3_bucket
from tests.support.lives import Lives, assert_well_told
from tests.support.singer import state
from tests.support.target import run_apart
from tests.target.identity.test_newest_rows_of_runs import HEAD, answer_late

if TYPE_CHECKING:
    from tests.support.singer import Json
    from tests.support.target import Target


def test_they_are_delivered_in_order_and_the_log_is_the_targets(target: Target) -> None:
    """Drivers tell of credentials at INFO and, as asked for here, of signed headers at DEBUG."""
    bucket = s3_bucket()
    lives = Lives.of(3, hours=3, rows=600)
    messages: list[Json] = [HEAD]
    for hour, files in enumerate(lives.hours):
        manifest = []
        for number, file in enumerate(files):
            name = f"{RUN_FOLDER}/{hour}#{number}.json.gz"
            bucket.put({name: gzip.compress(lines_of(file))})
            manifest.append(f"{bucket.url}/{name}".replace("#", "%23"))
        message = {"type": "BATCH", "stream": "events", "encoding": GZIP, "manifest": manifest}
        messages += [message, state({"at": hour + 1})]
    answer_late(target.capture, Random(2), troubles=False)
    environment = {**bucket.environment, "TARGET_POSTHOG_LOGLEVEL": "DEBUG"}
    run = run_apart(target, messages, environment, max_batch_events=60).checked()

    assert_well_told(target.capture.events, lives)
    assert run.messages[-1] == {"at": 3}
    assert not any(name in run.stderr for name in ("botocore", "Authorization", "s3fs"))
