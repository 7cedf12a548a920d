"""States are written seldom enough for Meltano's database, and the last one always."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from target_posthog.delivery.state_writer import StateWriter
from tests.support.deliveries import Clock

if TYPE_CHECKING:
    from tests.support.singer import Json


def test_at_most_one_state_is_written_in_two_seconds() -> None:
    """Of those between, the last says it all; what is safe at the end is written at once."""
    clock = Clock()
    safe: list[Json] = []
    written: list[Json] = []
    delivery: Any = SimpleNamespace(
        passed=lambda: [safe.pop()] if safe else [], gate=SimpleNamespace(holds=lambda _: False)
    )
    writer = StateWriter(delivery, written.append, lambda _: None, lambda: clock.now)
    for number in range(6):
        safe.append({"at": number})
        writer.attend()
        clock.sleep(1)
    assert [state["at"] for state in written] == [0, 2, 4]
    writer.keep_what_is_safe()
    assert written[-1] == {"at": 5}
