"""Any JSON object as a record, any answer as a response: no traceback, no loss, counts add up."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.errors import TargetPosthogError
from target_posthog.target import TargetPosthog
from tests.fakes.posthog_capture import Fault, PosthogCapture
from tests.support.examples import examples
from tests.support.processes import encoded, run_target
from tests.support.rows import uuid_of
from tests.support.singer import Json, counts_in, json_lines, records, schema, state
from tests.support.target_in_process import no_waits

if TYPE_CHECKING:
    from target_posthog.progress.counts import Counts

STATE = {"at": 1}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", " ", "null", "\0", "\ud800", "2024-01-01", "2024-01-01 00:00:00.5", "e" * 201]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
#: The fields that the target acts on; each can hold anything, and any can be missing.
NAMES = (
    *("uuid", "event_type", "user_id", "device_id", "amplitude_id", "event_time", "session_id"),
    *("event_properties", "user_properties", "groups", "group_properties", "platform", "library"),
    *("event", "distinct_id", "timestamp", "properties", "$set", "$set_once", "$insert_id"),
)
SOUND: Json = {
    "event_type": "viewed",
    "event": "viewed",
    "amplitude_id": 1,
    "user_id": "u1",
    "distinct_id": "u1",
    "event_time": "2024-01-01 00:00:00",
    "timestamp": "2024-01-01 00:00:00",
}
CHANGES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(NAMES), VALUES, max_size=5
)
#: What only the check before sending finds.
BAD: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"event_type": "e" * 201, "event": "e" * 201},
        {"event_time": "9999-01-01", "timestamp": "9999-01-01T00:00:00Z"},
        {"event_properties": {"x": "y" * 1_000_000}, "properties": {"x": "y" * 1_000_000}},
    ]
)
RECORDS = st.lists(
    st.one_of(
        BAD.map(lambda changes: SOUND | changes),
        st.dictionaries(st.text(max_size=8), VALUES, max_size=5),
        CHANGES,
        CHANGES.map(lambda changes: SOUND | changes),
        st.builds(
            lambda number, changes: {**SOUND, "uuid": uuid_of(number), **changes},
            st.integers(0, 3),
            CHANGES,
        ),
    ),
    max_size=8,
)
STATUSES = st.one_of(
    st.sampled_from([200, 201, 204, 301, 307, 400, 401, 402, 404, 408, 413, 418, 429, 500, 503]),
    st.integers(200, 599),
)
BODIES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            *("", "{}", "[]", "null", "<html>", '{"status": 1', "\0", '{"error": "\ud800"}'),
            *('{"results": {}}', '{"results": {"a": 5}}', '{"results": [1]}'),
            '{"error": "billing_limit_exceeded"}',
        ]
    ),
)
WAITS = st.sampled_from([None, "0", "-1", "9" * 40, "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "²"])


@dataclass(frozen=True)
class Odd:
    """An answer of PostHog's that is out of order."""

    fault: Fault
    details: Json


ODD = st.one_of(
    st.builds(
        lambda status, body, wait: Odd(
            Fault.STATUS, {"status": status, "body": body, "retry_after": wait}
        ),
        STATUSES,
        BODIES.map(lambda text: text.encode(errors="replace").decode()),
        WAITS,
    ),
    st.sampled_from([Odd(Fault.CUT_BEFORE_STORE, {}), Odd(Fault.LOSE_ANSWER, {})]),
)
PROTOCOLS = st.sampled_from(["batch", "v1"])
FORMATS = st.sampled_from(["auto", "amplitude", "posthog", "fields"])


@dataclass(frozen=True)
class End:
    """How a run ended: its counts, what it wrote, and the failure that it named."""

    counts: Counts
    states: list[Any]
    rejected: list[Json]
    failure: TargetPosthogError | None


def run(config: Json, sent: list[Json], folder: Path) -> End:
    """Run the target in this process; what it does not name itself is raised."""
    lines = encoded([schema(key=None), *records(sent), state(STATE)])
    target = TargetPosthog(
        config={**config, "ledger_url": "sqlite://", "rejects_path": str(folder)}
    )
    output = io.TextIOWrapper(io.BytesIO())
    failure = None
    try:
        with redirect_stdout(output):
            target.listen(io.BytesIO(lines))  # type: ignore[arg-type] # our reader takes bytes
    except TargetPosthogError as error:
        failure = error
        target.close()
    output.seek(0)
    rejected = json_lines(folder)
    states = [json.loads(line) for line in output.read().splitlines()]
    return End(target.delivery.counts, states, rejected, failure)


@examples(120)
@given(
    sent=RECORDS,
    odd=st.lists(ODD, max_size=2),
    source_format=FORMATS,
    protocol=PROTOCOLS,
    put_off=st.sampled_from([0.0, 0.0, 0.5]),
)
def test_every_record_has_one_fate_whatever_it_is_and_whatever_posthog_answers(
    sent: list[Json], odd: list[Odd], source_format: str, protocol: str, put_off: float
) -> None:
    """The run ends well with all of it accounted for, or names its failure and writes no state."""
    with PosthogCapture() as capture, TemporaryDirectory() as folder, no_waits():
        for one in odd:
            capture.fail(one.fault, **one.details)
        capture.retry_v1(share=put_off)
        config = {
            "protocol": protocol,
            "api_key": capture.api_key,
            "host": capture.url,
            "max_retry_seconds": 3,
            "source_format": source_format,
            "max_reject_ratio": 1,
        }
        end = run(config, sent, Path(folder))
        stored = len(capture.events)

    counts = end.counts
    told = counts.links + counts.groups
    assert stored >= counts.accepted + told
    assert len(end.rejected) == counts.rejected.total() + counts.added_rejected.total()
    if end.failure is not None:
        assert end.states == []
        assert len(str(end.failure)) > 20
        return
    assert counts.exported == len(sent)
    assert counts.open == 0
    assert end.states == [STATE]
    if not any(one.fault is Fault.LOSE_ANSWER for one in odd):
        # A version that another one replaces is sent, too, unless both stand in one batch.
        assert stored <= counts.accepted + counts.superseded + told


@pytest.mark.parametrize("seed", range(4))
def test_the_process_says_what_happened_without_a_traceback(tmp_path: Path, seed: int) -> None:
    """The same through the real command: an exit code, one line for a failure, no state ahead."""
    sent, odd = ODD_CASES[seed]
    with PosthogCapture() as capture:
        for one in odd:
            capture.fail(one.fault, **one.details)
        protocol = ("batch", "v1")[seed % 2]
        config = {"api_key": capture.api_key, "host": capture.url, "max_retry_seconds": 1}
        config["protocol"] = protocol
        finished = run_target(config, [schema(key=None), *records(sent), state(STATE)], tmp_path)
    assert "Traceback" not in finished.stderr
    assert "This is a bug" not in finished.stderr
    # With 3 the run came to its end: what PostHog did not take is safe in the rejects.
    came_to_its_end = finished.exit_code in {0, 3}
    assert finished.messages == ([STATE] if came_to_its_end else [])
    if came_to_its_end:
        assert counts_in(finished.stderr)["exported"] == len(sent)
    if finished.exit_code != 0:
        assert finished.exit_code in {1, 2, 3}
        assert sum(" ERROR " in line for line in finished.stderr.splitlines()) == 1


#: For the process, which is slow: cases of each kind.
ODD_CASES: list[tuple[list[Json], list[Odd]]] = [
    ([{}, {"event_type": None}, {"a": {"b": [None, 2**90]}}, SOUND], []),
    ([SOUND | {"user_id": {"x": 1}, "groups": [[]]}, SOUND], [Odd(Fault.LOSE_ANSWER, {})]),
    ([SOUND], [Odd(Fault.STATUS, {"status": 200, "body": "<html>", "retry_after": None})]),
    (
        [SOUND, SOUND | {"event_properties": "text", "user_id": "u2"}],
        [Odd(Fault.STATUS, {"status": 400, "body": "no\0", "retry_after": "soon"})] * 2,
    ),
]
