"""A bounded memory of what is in the ledger: what was used of late stays, the rest goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps at least the last `size` things that were used, and at most about twice as many.

    Two generations instead of a list in order of use: a look-up stays as cheap as a dictionary's.
    Whenever the young generation is full it becomes the old one, and the old one is forgotten.

    Args:
        size: how many things a generation holds.

    Attributes:
        young: the young generation, for a loop to look into. What is there may be replaced; a key
            that is not there goes through `remember`.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        """Return how many things are held, those of both generations twice."""
        return len(self.young) + len(self._old)

    def get(self, key: K) -> V | None:
        """Return what is remembered of a key, or None."""
        value = self.young.get(key)
        if value is None and (value := self._old.get(key)) is not None:
            self.put({key: value})
        return value

    def put(self, values: Mapping[K, V]) -> None:
        """Remember values by their keys."""
        self.young.update(values)
        if len(self.young) >= self._size:
            self._old, self.young = self.young, {}

    def remember(self, key: K, value: V) -> None:
        """Remember one value."""
        self.young[key] = value
        if len(self.young) >= self._size:
            self._old, self.young = self.young, {}


def remember(memory: dict[Any, Any], key: Any, value: object, most: int) -> None:
    """Keep what was worked out; when there is too much of it, begin anew."""
    if len(memory) >= most:
        memory.clear()
    memory[key] = value
