"""Lines of a stream: what goes the fast way, what the slow one, and what is no record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.capture.protocols import wire_of
from target_posthog.formats.converter import Conversions, Converter
from target_posthog.input.intake import Intake, fits
from target_posthog.json_codec import dumps, loads
from target_posthog.model import Rejected, Skipped
from target_posthog.posthog.events import MAX_EVENT_BYTES, OutgoingEvent
from tests.support.deliveries import LATEST, item
from tests.support.rows import row
from tests.support.singer import schema
from tests.support.target_settings import settings_of

if TYPE_CHECKING:
    from target_posthog.input.intake import Outcome

LATE = "2024-06-02T11:00:00.000001Z"


def intake_of(protocol: str = "batch", **settings: Any) -> Intake:
    """Return the intake of a stream of Amplitude rows."""
    conversions = Conversions(settings_of(**settings))
    converter = Converter(conversions, "events", AMPLITUDE, ("uuid",), lambda *_: None)
    return Intake(converter, wire_of(protocol, "phc_test", "tests/1"))


AMPLITUDE = schema(event_type={}, amplitude_id={})["schema"]


def fate_of(outcome: Outcome | None) -> str:
    """Return what became of a line, in a word."""
    if isinstance(outcome, OutgoingEvent):
        return outcome.uuid
    if isinstance(outcome, Skipped):
        return outcome.rule
    return "none" if outcome is None else f"{outcome.code} ({outcome.stage})"


def test_every_line_has_one_fate_in_its_place() -> None:
    """Whatever its neighbours are."""
    intake = intake_of(skip_events=["skipped"])
    rows = [
        row(1), row(2, event_type="skipped"), row(3, event_time="never", server_upload_time=None),
        row(4, new_field=1), row(5, event_time="2999-01-01 00:00:00.000000"), row(6),
    ]  # fmt: skip
    lines = [dumps(one) + b"\n" for one in rows]
    lines[3:3] = [b"\n", b"[1]\n", b'{"a":1} {"b":2}\n', b"{\n"]
    lines.append(dumps(row(7, event_properties={"text": "x" * MAX_EVENT_BYTES})))
    for _ in range(2):  # the second time from memory
        assert [fate_of(one) for one in intake.outcomes_of(lines, LATEST)] == [
            row(1)["uuid"], "skip_events", "bad_time (convert)",
            "none", "none", "none", "none",
            row(4)["uuid"], "future_time (check)", row(6)["uuid"], "event_too_large (check)",
        ]  # fmt: skip


@pytest.mark.parametrize("neighbours", [0, 3])
def test_the_fast_way_takes_no_event_that_must_be_looked_at_more_closely(neighbours: int) -> None:
    """Neither alone nor among others; PostHog would bend or refuse it."""
    intake = intake_of()
    sound = [row(number) for number in range(neighbours)]
    late = row(8, event_time="2999-01-01 00:00:00.000000")
    large = row(9, event_properties={"text": "x" * MAX_EVENT_BYTES})
    lines = [dumps(one) for one in [*sound, late, large, *sound]]
    events = intake.fast_events_of(lines, LATEST)
    assert [item is not None for item in events] == [
        *[True] * neighbours, False, False, *[True] * neighbours
    ]  # fmt: skip


def test_an_event_fits_up_to_the_very_limits() -> None:
    """The same as of those that go the slow way."""
    one = item(1)
    one.body = b" " * MAX_EVENT_BYTES
    one.timestamp = LATEST
    assert fits(one, LATEST)
    one.timestamp = LATE
    assert not fits(one, LATEST)
    one.timestamp, one.body = LATEST, one.body + b" "
    assert not fits(one, LATEST)


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_both_ways_come_to_the_same(protocol: str) -> None:
    """A field that is not Amplitude's makes a row go the slow way."""
    intake = intake_of(protocol)
    assert (intake._fast is not None) == (protocol == "batch")
    rows = [row(number, device_id=f"d-{number % 3}") for number in range(20)]
    fast = intake.outcomes_of([dumps(one) for one in rows], LATEST)
    slow = [intake.outcome_of(one, LATEST) for one in rows]
    assert [part(one) for one in fast] == [part(one) for one in slow]


def part(outcome: Outcome | None) -> object:
    """Return what an event is sent and ordered by."""
    assert isinstance(outcome, OutgoingEvent), outcome
    return loads(outcome.body), outcome.ordering_key, outcome.user, outcome.link, outcome.groups


def test_what_is_rejected_before_it_is_sent_says_where() -> None:
    """Conversion and check are different stages of the rejects file."""
    intake = intake_of()
    late = intake.outcome_of(row(1, event_time="2999-01-01 00:00:00.000000"), LATEST)
    assert isinstance(late, Rejected)
    assert (late.code, late.stage) == ("future_time", "check")
