"""A state never passes before everything before it is settled, in whatever order requests end."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from target_posthog.capture.batches import Limits
from target_posthog.delivery.state_gate import StateGate
from target_posthog.errors import RunAgain
from target_posthog.identity.resolver import IdentityResolver
from target_posthog.model import Link, Rejected
from tests.support.deliveries import (
    MEMORY,
    FakeTransport,
    converted,
    delivery_to,
    rejected_lines,
    take,
)
from tests.support.examples import examples
from tests.support.rows import uuid_of
from tests.target.delivery.test_any_order import AnyOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.delivery.delivery import Delivery
    from target_posthog.identity.ledger import Ledger
    from target_posthog.identity.observations import DerivedEvents, Observation
    from target_posthog.settings import IdentityEvents


@given(
    steps=st.lists(st.sampled_from(["event", "mark", "pass"]), max_size=60),
    data=st.data(),
)
def test_marks_pass_in_order_once_nothing_before_them_is_on_the_way(
    steps: list[str], data: st.DataObject
) -> None:
    """Each once, and as soon as that is so."""
    gate: StateGate[int] = StateGate()
    on_the_way: list[tuple[int, int]] = []  # epoch, and which mark comes next
    noted = 0
    passed: list[int] = []
    for step in [*steps, "end"]:
        if step == "event":
            on_the_way.append((gate.epoch, noted))
        elif step == "mark":
            gate.note(noted)
            noted += 1
        elif step == "end":
            on_the_way.clear()
        elif on_the_way:
            on_the_way.pop(data.draw(st.integers(0, len(on_the_way) - 1)))
        passed += gate.passed(min((epoch for epoch, _ in on_the_way), default=None))
        may_pass = min((mark for _, mark in on_the_way), default=noted)
        assert passed == list(range(may_pass if on_the_way else noted))
        assert gate.is_open == (len(passed) == noted)
        assert gate.holds(int) != gate.is_open
        assert not gate.holds(str)


def test_what_came_before_a_mark_that_passed_holds_the_next_ones() -> None:
    """Nothing should be on the way then; if it is, no state may pass it."""
    gate: StateGate[str] = StateGate()
    first = gate.epoch
    gate.note("a")
    assert list(gate.passed(None)) == ["a"]
    gate.note("b")
    assert list(gate.passed(first)) == []
    assert list(gate.passed(gate.epoch)) == ["b"]


class FailingLinks(IdentityResolver):
    """Links whose ledger fails at some stretch, as a full disk would make it."""

    def __init__(self, ledger: Ledger, kind: IdentityEvents, fails_at: int) -> None:
        super().__init__(ledger, kind)
        self._left = fails_at

    @override
    def resolve(self, observations: Sequence[Observation]) -> DerivedEvents:
        """Return what PostHog must be told, or fail."""
        self._left -= 1
        if self._left < 0:
            raise RunAgain("The ledger failed.", "Make room.")
        return super().resolve(observations)


def check_marks(
    delivery: Delivery, transport: FakeTransport, folder: Path, passed: list[int]
) -> None:
    """Take marks off; fail unless each stands behind records that all have their fate by now."""
    passed += delivery.passed()
    assert passed == list(range(len(passed)))
    if passed:
        settled = {event["properties"].get("number") for event in transport.accepted}
        settled |= {line["record"].get("row") for line in rejected_lines(folder)}
        assert settled >= set(range(MARK_EVERY * len(passed)))


MARK_EVERY = 3


@examples(200)
@given(
    devices=st.lists(st.integers(0, 6), max_size=45),
    limits=st.builds(Limits, st.integers(1, 7), st.just(10**6)),
    count=st.sampled_from([1, 2, 4]),
    culprits=st.sets(st.integers(0, 44), max_size=3),
    rejected=st.sets(st.integers(0, 44), max_size=3),
    ledger_fails_at=st.integers(0, 30),
    server_fails_at=st.integers(0, 60),
    data=st.data(),
)
def test_no_state_passes_what_is_neither_accepted_nor_rejected(
    devices: list[int],
    limits: Limits,
    count: int,
    culprits: set[int],
    rejected: set[int],
    ledger_fails_at: int,
    server_fails_at: int,
    data: st.DataObject,
) -> None:
    """Whatever fails: also not after the failure, when the last safe state is written."""
    transport = FakeTransport(culprits=frozenset(map(uuid_of, culprits)))
    in_flight = AnyOrder(transport, lambda many: data.draw(st.integers(0, many - 1)))
    passed: list[int] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        with delivery_to(
            transport,
            folder,
            limits=limits,
            ledger_url=MEMORY,
            in_flight=in_flight,
            max_lanes=count,
            max_reject_ratio=1,
            clock=lambda: in_flight.now,
            links=lambda ledger, kind: FailingLinks(ledger, kind, ledger_fails_at),
        ) as delivery:
            delivery.dispatcher._concurrency.count = count
            try:
                for number, device in enumerate(devices):
                    if number == server_fails_at:
                        transport.raises = RunAgain("It is down.", "Wait.")
                    link = Link(f"u{device % 3}", f"d{device}") if number % 2 else None
                    properties = {"$device_id": f"d{device}", "number": number}
                    event = converted(number, link=link, properties=properties)
                    is_bad = number in rejected
                    take(
                        delivery,
                        {"row": number},
                        Rejected("bad_time", "No time.") if is_bad else event,
                    )
                    if number % MARK_EVERY == MARK_EVERY - 1:
                        delivery.gate.note(number // MARK_EVERY)
                    if data.draw(st.booleans()):
                        delivery.attend()
                    check_marks(delivery, transport, folder, passed)
                delivery.flush()
            except RunAgain:
                pass
            else:
                check_marks(delivery, transport, folder, passed)
                assert len(passed) == len(devices) // MARK_EVERY
                assert delivery.oldest is None
            check_marks(delivery, transport, folder, passed)


def test_a_stretch_that_the_ledger_fails_on_holds_the_states_behind_it(tmp_path: Path) -> None:
    """It is neither in a lane nor on its way to one, and it is not delivered."""
    transport = FakeTransport()
    with delivery_to(
        transport, tmp_path, links=lambda ledger, kind: FailingLinks(ledger, kind, 0)
    ) as delivery:
        take(delivery, {"row": 1}, converted(1))
        delivery.gate.note("a state")
        with pytest.raises(RunAgain):
            delivery.flush()
        assert list(delivery.passed()) == []
        assert delivery.oldest is not None


def test_lines_of_the_book_that_could_not_be_written_hold_every_later_state(tmp_path: Path) -> None:
    """They are written with the next ones, or no state passes them."""
    written: list[int] = []
    fails = [True]

    def write(lines: list[Any]) -> None:
        if fails[0]:
            raise RunAgain("The ledger failed.", "Run again.")
        written.extend(line.exported for _, line in lines)

    with delivery_to(FakeTransport(), tmp_path) as delivery:
        delivery._write_book = write
        take(delivery, {"row": 1}, converted(1))
        delivery.note({"at": 1})
        delivery.flush()
        with pytest.raises(RunAgain):
            list(delivery.passed())
        take(delivery, {"row": 2}, converted(2))
        delivery.note({"at": 2})
        delivery.flush()
        with pytest.raises(RunAgain):
            list(delivery.passed())
        fails[0] = False
        take(delivery, {"row": 3}, converted(3))
        delivery.note({"at": 3})
        delivery.flush()
        assert list(delivery.passed()) == [{"at": 3}]
    assert written == [1, 1, 1]
