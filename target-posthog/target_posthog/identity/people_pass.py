"""What a people pass knows of people and groups, so that rows may then be sent in any order. Pure.

Of each id: whose it is, by the least rank; of each id and group: its newest row, by the greatest
place. Minimum and maximum commute, so any number of runs may read any hours at any time, in any
order, more than once, and come to the same. Why this is enough: docs/decisions/0018-free-order.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from target_posthog.errors import FixConfiguration
from target_posthog.json_codec import dumps, loads
from target_posthog.model import AddedEvent
from target_posthog.posthog.events import STATE_BYTES, state_of
from target_posthog.posthog.people import MERGED_IDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_posthog.identity.ledger import GroupKey
    from target_posthog.model import GroupState
    from target_posthog.posthog.events import OutgoingEvent

#: How ids come to their person, the strongest first: the link was sent before the pass, the id is a
#: user's own, a row shows it as the device of a user, or nothing is known.
SENT, OWN, NOBODYS = b"\x00", b"\x01", b"\xff"
_SEEN = b"\x02"
_NO_CLAIM = NOBODYS, ""
#: Where a rank has the event's time, behind that of the upload; see `newness.place_of`.
_TIME_BYTES = len("2024-01-31T05:00:00.000000Z")
_HAPPENED = slice(1 + _TIME_BYTES, 1 + 2 * _TIME_BYTES)

#: What PostHog makes of an event's person and groups, whoever sent it.
_TELLING = frozenset({"$groupidentify", "$merge_dangerously", *MERGED_IDS})
_PERSON_KEYS = frozenset({"$set", "$set_once", "$unset"})
_PERSON_KEYS_AS_JSON = tuple(f'"{name}":'.encode() for name in sorted(_PERSON_KEYS))


class Known(msgspec.Struct, gc=False):
    """What is known of an id.

    Attributes:
        rank: how it came to its person.
        owner: the user whose device it is; None when it is a person of its own.
        newest: the place of the newest row under this id that sets something; empty without one.
    """

    rank: bytes = NOBODYS
    owner: str | None = None
    newest: bytes = b""


class Gathered:
    """What some records show.

    Args:
        joins: devices are joined to users at all.

    Attributes:
        groups: the place of the newest row of each group.
        origins: the hours of the records.
    """

    def __init__(self, *, joins: bool) -> None:
        self.groups: dict[GroupKey, bytes] = {}
        self.origins: set[bytes] = set()
        self._joins = joins
        self._newest: dict[str, bytes] = {}
        self._users: set[str] = set()
        self._first: dict[str, tuple[bytes, str]] = {}

    def __len__(self) -> int:
        """Return how many people and groups there are, about."""
        return len(self._newest) + len(self._users) + len(self._first) + len(self.groups)

    def add(self, items: Sequence[OutgoingEvent]) -> None:
        """Take in what the events of some records show.

        Raises:
            FixConfiguration: one has no place among the rows of its person.
        """
        require_places(items)
        newest, first, users = self._newest, self._first, self._users
        for item in items:
            order = item.order
            if item.sets and order > newest.get(item.person, b""):
                newest[item.person] = order
            if item.groups:
                self._add_groups(item)
            if self._joins and item.user is not None:
                users.add(item.user)
                if item.link is not None:
                    device, user = item.link.device_id, item.link.user_id
                    claim = rank_of(order, user), user
                    if claim < first.get(device, _NO_CLAIM):
                        first[device] = claim
        self.origins.update({item.origin for item in items if item.order})

    def _add_groups(self, item: OutgoingEvent) -> None:
        for group in item.groups:
            key, place = (group.group_type, group.group_key), group_place(item.order, group)
            if place > self.groups.get(key, b""):
                self.groups[key] = place

    def ids(self) -> dict[str, Known]:
        """Return what is known of each id."""
        known = {name: Known(newest=place) for name, place in self._newest.items()}
        for device, (rank, user) in self._first.items():
            of_device = known.setdefault(device, Known())
            of_device.rank, of_device.owner = rank, user
        # Behind the devices: an id that is a user's is nobody's device.
        for user in self._users:
            of_user = known.setdefault(user, Known())
            of_user.rank, of_user.owner = OWN, None
        return known


def require_places(items: Iterable[OutgoingEvent]) -> None:
    """Make sure that each event that tells of people has a place among those of its person.

    Raises:
        FixConfiguration: one has none: it would be applied as it comes, in no order.
    """
    for item in items:
        if not item.order and _tells(item):
            raise FixConfiguration(
                "`free_order` is for Amplitude's rows: a record tells of a person or a group, but "
                "not when Amplitude received it (`server_upload_time`).",
                "Leave its stream out, or take `free_order` out and send the hours in order.",
            )


def _tells(item: OutgoingEvent) -> bool:
    """Return True if an event without a place tells PostHog of a person or a group."""
    # A replay sends it again as it was decided.
    if isinstance(item.record, AddedEvent):
        return False
    if item.link is not None or item.groups or item.also or item.name in _TELLING:
        return True
    if not any(name in item.body for name in _PERSON_KEYS_AS_JSON):
        return False
    return not _PERSON_KEYS.isdisjoint(loads(item.body)["properties"])


def rank_of(order: bytes, user: str) -> bytes:
    """Return the rank of a row that shows a device with a user: of two, the lesser is the first.

    `user` decides between rows of the same place; see `OutgoingEvent`.
    """
    return b"".join((_SEEN, order[:-STATE_BYTES], user.encode("utf-8", "surrogatepass")))


def time_of(rank: bytes) -> str | None:
    """Return the time of the event that first showed a device with its user, RFC 3339."""
    return rank[_HAPPENED].decode() if rank.startswith(_SEEN) else None


def group_place(order: bytes, group: GroupState) -> bytes:
    """Return the place of a row among those of one of its groups."""
    return order[:-STATE_BYTES] + state_of(dumps(group.properties))


def is_newest(place: bytes, newest: bytes) -> bool:
    """Return True if a row tells what the newest row of its person or group tells.

    Raises:
        FixConfiguration: the pass has not read the row.
    """
    if place[-STATE_BYTES:] == newest[-STATE_BYTES:]:
        return True
    if place > newest:
        raise not_in_the_pass()
    return False


def not_in_the_pass() -> FixConfiguration:
    """Return the error for a row that the people pass has not read."""
    return FixConfiguration(
        "The people pass has not read a row of this hour: it came later, or a run without "
        "`free_order` has sent something else since.",
        "End the other runs with `free_order: apply`, read the hours of this one with "
        "`free_order: collect` once more, and run it again.",
    )
