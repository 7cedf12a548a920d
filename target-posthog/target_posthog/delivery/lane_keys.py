"""Which lane the events of a key go into: by a hash, or behind those of another key. Pure."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from target_posthog.cache import Memo

if TYPE_CHECKING:
    from collections.abc import Callable

#: How many keys may be in other lanes than their own before those are forgotten of which nothing
#: waits.
_MOST_MOVED = 1_000
#: How many keys are remembered with what decides their lanes: the same ones come again and again.
_MOST_HASHES = 10_000


class LaneKeys:
    """Gives each key a lane, and keys that PostHog joins the same one.

    Args:
        count: how many lanes there are.
        holds: return True if events of a key wait in the lane of a number.

    Attributes:
        count: as given; when it doubles, a key stays or moves up by the number of lanes before.
    """

    def __init__(self, count: int, holds: Callable[[int, str], bool]) -> None:
        self.count = count
        self._holds = holds
        self._hashes: Memo[str, int] = Memo(_MOST_HASHES)
        #: The lanes of what follows something into another one than its own.
        self._moved: dict[str, int] = {}
        #: What each of these is to follow in its lane, since `forget_moved`.
        self._followed: dict[str, list[str]] = {}

    def number_of(self, key: str) -> int:
        """Return the number of a key's lane."""
        if self.count == 1:
            return 0
        moved = self._moved.get(key)
        if moved is not None:
            return moved
        place = self._hashes.get(key)
        if place is None:
            place = _hash_of(key)
            self._hashes.remember(key, place)
        return place % self.count

    def join(self, first: str, second: str) -> bool:
        """Let what is still to come of `second` go behind all that waits of `first`.

        Returns:
            False when it cannot by a lane alone, because events of both wait in different ones.
        """
        behind, own = self.number_of(first), self.number_of(second)
        if self.count == 1 or not self._holds(behind, first):
            return True
        if behind != own:
            followed = self._followed.get(second, ())
            if any(self._holds(own, key) for key in (second, *followed)):
                return False
            self._followed.pop(second, None)
            self._moved[second] = behind
        self._followed.setdefault(second, []).append(first)
        return True

    def forget_moved(self) -> None:
        """Forget, if they are many, the keys in other lanes than their own of which nothing waits.

        Not while something is joined: what is to follow has not come yet.
        """
        self._followed.clear()
        if len(self._moved) >= _MOST_MOVED:
            self._moved = {
                key: number for key, number in self._moved.items() if self._holds(number, key)
            }


def _hash_of(key: str) -> int:
    """Return what decides a key's lane; as the ledger has it, without NUL."""
    return zlib.crc32(key.replace("\0", "\ufffd").encode("utf-8", "replace"))
