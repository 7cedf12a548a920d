"""Which identity and group events go out, and before which record; decided against the ledger.

One device is joined to one user, the first that was seen on it; one event per changed group.
The events themselves are made in `amplitude/`, what was told is kept in `ledger`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from target_posthog.amplitude.event_ids import canonical_json
from target_posthog.amplitude.groups import group_event
from target_posthog.amplitude.identity import IdentityEvents, identity_event
from target_posthog.batches import Item
from target_posthog.codec import dumps
from target_posthog.ledger import GroupKey, Ledger, Owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_posthog.conversion import GroupState, Json, Link

#: How many owners are remembered in memory; the ledger knows the others.
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
        self._owners: dict[str, Owner] = {}
        self._digests: dict[GroupKey, str] = {}
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
        self._load(items)
        told: set[str] = set()
        shared: dict[tuple[str, str], Link] = {}
        result: list[Item] = []
        for item in items:
            news = list(self._group_items(item))
            if item.link is not None and self._kind != "none":
                owner = self._owners[item.link.device_id]
                if owner.user_id != item.link.user_id:
                    shared[item.link.device_id, item.link.user_id] = item.link
                elif self._is_news(owner, item.link, told):
                    told.add(item.link.device_id)
                    news.append(self._link_item(item, item.link))
            result += [item, *news] if self._after_the_record else [*news, item]
        return result, self._ledger.note_shared(list(shared.values())) if shared else 0

    def accept(self, items: Iterable[Item]) -> None:
        """Remember what PostHog took."""
        links = [item.link for item in items if item.told and item.link is not None]
        groups = [group for item in items if item.told for group in item.groups]
        if links:
            self._ledger.accept([link.device_id for link in links])
            for link in links:
                self._owners[link.device_id] = Owner(link.user_id, accepted=True)
        if groups:
            self._ledger.accept_groups(
                {(one.group_type, one.group_key): _digest(one) for one in groups}
            )

    def refuse(self, item: Item) -> None:
        """Do not tell this link again in this run; the next one tries it once more."""
        if item.link is not None:
            self._refused.add(item.link.device_id)

    def _is_news(self, owner: Owner, link: Link, told: set[str]) -> bool:
        return not (owner.accepted or link.device_id in told or link.device_id in self._refused)

    def _load(self, items: Sequence[Item]) -> None:
        """Bring the owners and digests that these items need to memory, all at once."""
        if len(self._owners) + len(self._digests) > _REMEMBERED:
            self._owners.clear()
            self._digests.clear()
        if self._kind != "none":
            first: dict[str, Link] = {}
            for item in items:
                if item.link is not None and item.link.device_id not in self._owners:
                    first.setdefault(item.link.device_id, item.link)
            if first:
                self._owners |= self._ledger.claim(list(first.values()))
        groups = {(one.group_type, one.group_key) for item in items for one in item.groups}
        unknown = sorted(groups - self._digests.keys())
        if unknown:
            self._digests |= self._ledger.group_digests(unknown)

    def _link_item(self, item: Item, link: Link) -> Item:
        event = identity_event(self._kind, link, item.event["timestamp"])
        return _item(event, item.record, link=link)

    def _group_items(self, item: Item) -> Iterable[Item]:
        for group in item.groups:
            key, digest = (group.group_type, group.group_key), _digest(group)
            if self._digests.get(key) != digest:
                self._digests[key] = digest
                event = group_event(group, item.event["distinct_id"], item.event["timestamp"])
                yield _item(event, item.record, groups=(group,))


def _item(
    event: Json, record: Json, *, link: Link | None = None, groups: tuple[GroupState, ...] = ()
) -> Item:
    return Item(event, dumps(event), record, link, groups, told=True)


def _digest(group: GroupState) -> str:
    return hashlib.sha256(canonical_json(group.properties).encode()).hexdigest()
