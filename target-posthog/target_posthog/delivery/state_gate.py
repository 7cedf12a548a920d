"""When a state may be written: once all that came before it is accepted, or in the rejects. Pure.

What comes between two marks is an epoch. An event carries the epoch in which it came, so what is
oldest on the way tells which marks everything before is settled of, in whatever order requests end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Mark = TypeVar("Mark")


class StateGate(Generic[Mark]):
    """Holds marks, such as states, until everything before them is settled.

    Attributes:
        epoch: that of what comes now.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._waiting: deque[Mark] = deque()

    def note(self, mark: Mark) -> None:
        """Take a mark behind all that came so far."""
        self._waiting.append(mark)
        self.epoch += 1

    def holds(self, kind: type) -> bool:
        """Return True if a mark of this type waits."""
        return any(isinstance(mark, kind) for mark in self._waiting)

    @property
    def is_open(self) -> bool:
        """Whether no mark waits."""
        return not self._waiting

    def passed(self, oldest: int | None) -> Iterator[Mark]:
        """Take the marks off, in order, that everything before is settled of.

        `oldest` is the lowest epoch of what is on the way; None when nothing is.
        """
        while self._waiting and (oldest is None or self.epoch - len(self._waiting) < oldest):
            yield self._waiting.popleft()
