"""Which identity and group events go out, and before which record; decided against the ledger.

One device is joined to one user, the first that was seen on it; one event per changed group. An id
that was seen as a user belongs to that user: when another user's device has the same id, joining
it would join two users.
The events themselves are made in `amplitude/`, what was told is kept in `ledger`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from target_posthog.amplitude.event_ids import canonical_json
from target_posthog.amplitude.groups import group_event
from target_posthog.amplitude.identity import IdentityEvents, identity_event, legal_id
from target_posthog.batches import Item
from target_posthog.codec import dumps
from target_posthog.conversion import GroupState, Json, Link
from target_posthog.ledger import GroupKey, Ledger, Owner
from target_posthog.memory import Recent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: How many owners and groups are remembered in memory, at some 300 bytes each; the ledger knows
#: the others.
_REMEMBERED = 100_000


class Links:
    """Adds what PostHog must be told to a stretch of events, once.

    Args:
        ledger: what it was told in earlier runs, and by other workers.
        kind: how it is told who is who.
    """

    def __init__(self, ledger: Ledger, kind: IdentityEvents) -> None:
        self._ledger = ledger
        self._kind = kind
        self._owners: Recent[str, Owner] = Recent(_REMEMBERED)
        self._digests: Recent[GroupKey, str] = Recent(_REMEMBERED)
        self._refused: set[str] = set()
        self._after_the_record = False

    def be_careful(self) -> None:
        """Tell each link just after its record instead of just before it.

        For a run that goes on without the ledger of the runs before: a device may already be
        somebody's. PostHog refuses to join it to a second user only when it knows that user
        (person-merge-service.ts, "one known"), and after the record it does.
        """
        self._after_the_record = True

    def added_to(self, items: Sequence[Item]) -> tuple[list[Item], int]:
        """Return the items with the events to add, each beside the record that showed it.

        Returns:
            The items, and how many (device, further user) pairs were seen for the first time.
        """
        owners, digests = self._owners_of(items), self._digests_of(items)
        told: set[str] = set()
        shared: dict[tuple[str, str], Link] = {}
        result: list[Item] = []
        for item in items:
            news = list(_group_items(item, digests))
            if item.link is not None and self._kind != "none":
                owner = owners[item.link.device_id]
                if owner.user_id != item.link.user_id:
                    shared[item.link.device_id, item.link.user_id] = item.link
                elif self._is_news(owner, item.link, told):
                    told.add(item.link.device_id)
                    news.append(self._link_item(item, item.link))
            result += [item, *news] if self._after_the_record else [*news, item]
        self._digests.put(digests)
        return result, self._ledger.note_shared(list(shared.values())) if shared else 0

    def accept(self, items: Iterable[Item]) -> None:
        """Remember what PostHog took."""
        links = [item.link for item in items if item.told and item.link is not None]
        groups = [group for item in items if item.told for group in item.groups]
        if links:
            self._ledger.accept([link.device_id for link in links])
            self._owners.put({link.device_id: Owner(link.user_id, accepted=True) for link in links})
        if groups:
            self._ledger.accept_groups(
                {(one.group_type, one.group_key): _digest(one) for one in groups}
            )

    def is_told(self, tells: Link | GroupState) -> bool:
        """Tell whether an event that PostHog once refused must not be sent any more.

        The device has another user by now, or its link was accepted since. PostHog has some state
        of the group: whether an older or a newer one, nobody knows, and the next record of the
        group tells its own anyway.
        """
        if isinstance(tells, GroupState):
            return bool(self._ledger.group_digests([(tells.group_type, tells.group_key)]))
        owner = self._ledger.claim([tells])[tells.device_id]
        return owner.accepted or owner.user_id != tells.user_id

    def refuse(self, item: Item) -> None:
        """Do not tell this link again in this run; the next one tries it once more."""
        if item.link is not None:
            self._refused.add(item.link.device_id)

    def _is_news(self, owner: Owner, link: Link, told: set[str]) -> bool:
        return not (owner.accepted or link.device_id in told or link.device_id in self._refused)

    def _owners_of(self, items: Sequence[Item]) -> dict[str, Owner]:
        """Return whose every id of these items is, after claiming those that are nobody's yet.

        Users claim their own ids before any device is claimed: a device id that is a user's, too,
        is never joined to another user.
        """
        if self._kind == "none":
            return {}
        first: dict[str, Link] = {}
        for user in filter(None, map(_user_of, items)):
            first.setdefault(user, Link(user, user))
        for item in items:
            if item.link is not None:
                first.setdefault(item.link.device_id, item.link)
        owners: dict[str, Owner] = {}
        unknown: list[Link] = []
        for one, link in first.items():
            known = self._owners.get(one)
            if known is None:
                unknown.append(link)
            else:
                owners[one] = known
        if unknown:
            claimed = self._ledger.claim(unknown)
            self._owners.put(claimed)
            owners |= claimed
        return owners

    def _digests_of(self, items: Sequence[Item]) -> dict[GroupKey, str]:
        """Return what PostHog last took of every known group of these items."""
        keys = {(one.group_type, one.group_key) for item in items for one in item.groups}
        known = {key: digest for key in keys if (digest := self._digests.get(key)) is not None}
        unknown = sorted(keys - known.keys())
        return known | self._ledger.group_digests(unknown) if unknown else known

    def _link_item(self, item: Item, link: Link) -> Item:
        event = identity_event(self._kind, link, item.event["timestamp"])
        return _item(event, item.record, link=link)


def _user_of(item: Item) -> str | None:
    """Return the user of an Amplitude row, with or without a device; None for anonymous ones."""
    if item.link is not None:
        return item.link.user_id
    user = legal_id(item.event["properties"].get("$amplitude_user_id"))
    return user if user == item.event["distinct_id"] else None


def _group_items(item: Item, digests: dict[GroupKey, str]) -> Iterable[Item]:
    """Return an event for each group that is not as PostHog last took it; note the new digests."""
    for group in item.groups:
        key, digest = (group.group_type, group.group_key), _digest(group)
        if digests.get(key) != digest:
            digests[key] = digest
            event = group_event(group, item.event["distinct_id"], item.event["timestamp"])
            yield _item(event, item.record, groups=(group,))


def _item(
    event: Json, record: Json, *, link: Link | None = None, groups: tuple[GroupState, ...] = ()
) -> Item:
    return Item(event, dumps(event), record, link, groups, told=True)


def _digest(group: GroupState) -> str:
    return hashlib.sha256(canonical_json(group.properties).encode()).hexdigest()
