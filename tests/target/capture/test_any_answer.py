"""Whatever v1 answers: each event of the request has one meaning, and nothing breaks."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.protocols import BatchWire, V1Wire
from target_posthog.capture.results import Accepted
from target_posthog.errors import TargetPosthogError
from tests.support.deliveries import item

V1, BATCH = V1Wire("phc_test", "test/1"), BatchWire("phc_test")
ITEMS = [item(0xA0 + number) for number in range(4)]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "result": st.sampled_from(["ok", "warning", "drop", "retry", "OK", ""]) | VALUES,
        "details": st.sampled_from(
            ["billing_limit_exceeded", "non_historical_import_drop", "rejected"]
        )
        | VALUES,
    },
)
UUIDS = st.sampled_from([one.uuid for one in ITEMS]).flatmap(
    lambda uuid: st.sampled_from([uuid, uuid.upper()])
)
ANSWERS = st.one_of(
    st.binary(max_size=20),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(UUIDS | st.text(max_size=5), RESULTS | VALUES, max_size=6).map(
        lambda results: json.dumps({"results": results}).encode()
    ),
)


@given(answer=ANSWERS)
def test_each_event_is_taken_dropped_or_sent_again(answer: bytes) -> None:
    """And one that is not known to be taken is never counted as such."""
    try:
        taken = V1.accepted(answer, ITEMS)
    except TargetPosthogError:
        # Only a drop for all can stop a run.
        taken = None if b"drop" in answer else Accepted(again=frozenset({"none of ours"}))
    if taken is None:
        return
    uuids = {one.uuid for one in ITEMS}
    assert not taken.dropped.keys() & taken.again
    assert not taken.warned.keys() & taken.again
    assert not taken.warned.keys() & taken.dropped.keys()
    assert taken.again <= uuids
    assert taken.dropped.keys() | taken.warned.keys() <= uuids
    said: dict[str, Any] = {}
    for uuid, result in json.loads(answer)["results"].items():
        said[uuid.lower()] = result.get("result") if isinstance(result, dict) else None
    for uuid in uuids - taken.dropped.keys() - taken.again:
        assert said[uuid] in ("ok", "warning")
    assert all(taken.dropped.values())


@given(answer=ANSWERS)
def test_batch_reads_an_answer_as_its_own_or_not(answer: bytes) -> None:
    """It has no word for single events."""
    try:
        taken = BATCH.accepted(answer, ITEMS)
    except TargetPosthogError:
        taken = None
    assert taken is None or not (taken.dropped or taken.warned or taken.again)
