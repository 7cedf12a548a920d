"""The bounded memory of what is in the ledger."""

from __future__ import annotations

from target_posthog.cache import Recent


def test_what_was_used_of_late_is_remembered() -> None:
    """Also when it was put there long ago."""
    memory: Recent[int, str] = Recent(10)
    memory.put({0: "zero"})
    for number in range(1, 200):
        memory.put({number: str(number)})
        assert memory.get(0) == "zero"
        assert memory.get(max(1, number - 4)) is not None


def test_it_holds_two_generations_at_most() -> None:
    """What nobody asks for goes, however much comes."""
    memory: Recent[int, int] = Recent(10)
    for number in range(1000):
        memory.put({number: number})
        assert len(memory) <= 20
    assert memory.get(0) is None
    memory.put(dict.fromkeys(range(500), -1))
    assert memory.get(499) == -1
    assert len(memory) <= 520


def test_a_new_value_takes_the_place_of_an_old_one() -> None:
    """Also of one in the older generation."""
    memory: Recent[str, int] = Recent(2)
    memory.put({"a": 1})
    memory.put({"b": 1})
    memory.put({"a": 2})
    assert memory.get("a") == 2
