"""Bounded memories: of what is in the ledger (`Recent`), and of what was worked out (`Memo`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """What was worked out of values that come again and again; when it is full, it begins anew.

    A dictionary, so that a look-up costs no more than a dictionary's.
    """

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def remember(self, key: K, value: V) -> None:
        """Keep a value."""
        if len(self) >= self._size:
            self.clear()
        self[key] = value


class Recent(Generic[K, V]):
    """Keeps at least the last `size` things that were used, and at most about twice as many.

    Two generations instead of a list in order of use: a look-up stays as cheap as a dictionary's.
    Whenever the young generation is full it becomes the old one, and the old one is forgotten.

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
