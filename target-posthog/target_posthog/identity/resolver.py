"""Which identity and group events are sent, and beside which record; decided against the ledger.

A device is joined to one user, the first that was seen on it; a group that changed gets one event.
An id that was seen as a user's belongs to that user: to join another user's device of the same id
would join two users.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from target_posthog.cache import Recent
from target_posthog.common.derived_uuids import canonical_json
from target_posthog.identity.ledger import GroupKey, Ledger, Owner
from target_posthog.identity.observations import DerivedEvent, DerivedEvents, Observation
from target_posthog.identity.people_pass import not_in_the_pass
from target_posthog.model import GroupState, Link
from target_posthog.posthog.groups import group_event
from target_posthog.posthog.people import identity_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from target_posthog.settings import IdentityEvents

#: How many owners and groups are remembered in memory at least, twice as many at most, at some 300
#: bytes each; the ledger knows the others.
_REMEMBERED = 50_000


class IdentityResolver:
    """Decides once which events follow from what a stretch of records shows."""

    def __init__(self, ledger: Ledger, kind: IdentityEvents) -> None:
        self._ledger = ledger
        self._kind = kind
        self._owners: Recent[str, Owner] = Recent(_REMEMBERED)
        self._digests: Recent[GroupKey, str] = Recent(_REMEMBERED)
        # Devices whose link is on its way in this run, and those whose link PostHog refused.
        self._on_the_way: set[str] = set()
        self._refused: set[str] = set()
        self._after_the_record = False

    def defer_links(self) -> None:
        """Send each link just after its record instead of just before it.

        For a run that goes on without the ledger of the runs before: a device may already be
        somebody's. PostHog refuses to join it to a second user only when it knows that user
        (person-merge-service.ts, "one known"), and after the record it does.
        """
        self._after_the_record = True

    def give(self, links: Sequence[Link]) -> None:
        """Claim devices for those who are known to be their first users; see `people_pass`.

        There is one link per device; a user's own id has one to itself.

        Raises:
            FixConfiguration: one of them is somebody else's.
        """
        if self._kind == "none":
            return
        unknown = [link for link in links if self._owners.get(link.device_id) is None]
        claimed = self._ledger.claim(unknown) if unknown else {}
        self._owners.put(claimed)
        for link in unknown:
            if claimed[link.device_id].user_id != link.user_id:
                raise not_in_the_pass()

    def users_of(self, devices: AbstractSet[str]) -> Mapping[str, tuple[str, bool]]:
        """Return the user of each device that has one, and whether its link is or will be sent."""
        if self._kind == "none":
            return {}
        owners = {device: self._owners.get(device) for device in devices}
        unknown = [device for device, owner in owners.items() if owner is None]
        if unknown:
            known = self._ledger.owners(unknown)
            # A device without an owner is looked up again: any other run may give it one.
            self._owners.put(known)
            owners.update(known)
        return {
            device: (owner.user_id, owner.accepted or device in self._on_the_way)
            for device, owner in owners.items()
            if owner is not None
        }

    def resolve(self, observations: Sequence[Observation]) -> DerivedEvents:
        """Return the events to send because of these observations, noted in the ledger before."""
        owners, digests = self._owners_of(observations), self._digests_of(observations)
        shared: dict[tuple[str, str], Link] = {}
        derived: list[DerivedEvent] = []
        conflicting: list[int] = []
        for observation in observations:
            derived += _group_events(observation, digests)
            link = observation.link
            if link is None or self._kind == "none":
                continue
            owner = owners[link.device_id]
            if owner.user_id != link.user_id:
                shared[link.device_id, link.user_id] = link
                if observation.joins:
                    conflicting.append(observation.index)
            elif not observation.joins and self._is_untold(owner, link.device_id):
                self._on_the_way.add(link.device_id)
                event = identity_event(self._kind, link, observation.timestamp)
                derived.append(DerivedEvent(observation.index, event, link=link))
        self._digests.put(digests)
        newly_shared = self._ledger.note_shared(list(shared.values())) if shared else 0
        return DerivedEvents(derived, self._after_the_record, newly_shared, conflicting)

    def accept(self, links: Sequence[Link], groups: Sequence[GroupState]) -> None:
        """Remember links and group states that PostHog accepted."""
        if links:
            devices = [link.device_id for link in links]
            self._ledger.accept(devices)
            self._owners.put({link.device_id: Owner(link.user_id, accepted=True) for link in links})
            self._on_the_way.difference_update(devices)
        if groups:
            self._ledger.accept_groups(
                {(group.group_type, group.group_key): _digest(group) for group in groups}
            )

    def refuse(self, links: Sequence[Link]) -> None:
        """Do not send these links again in this run; the next run tries them once more."""
        self._refused.update(link.device_id for link in links)

    def is_obsolete(self, tells: Link | GroupState) -> bool:
        """Return True if an event that PostHog once refused must not be sent any more.

        The device has another user by now, or its link was accepted since. PostHog has some state
        of the group: whether an older or a newer one, nobody knows, and the next record of the
        group brings its own anyway.
        """
        if isinstance(tells, GroupState):
            return bool(self._ledger.group_digests([(tells.group_type, tells.group_key)]))
        owner = self._ledger.claim([tells])[tells.device_id]
        return owner.accepted or owner.user_id != tells.user_id

    def _is_untold(self, owner: Owner, device: str) -> bool:
        return not (owner.accepted or device in self._on_the_way or device in self._refused)

    def _owners_of(self, observations: Sequence[Observation]) -> dict[str, Owner]:
        """Return the owner of each id of these observations, after claiming those of nobody yet.

        Users claim their own ids before any device is claimed: a device id that is a user's, too,
        is never joined to another user.
        """
        if self._kind == "none":
            return {}
        owners: dict[str, Owner] = {}
        unknown: list[Link] = []
        for claimed_id, link in _claims_of(observations).items():
            known = self._owners.get(claimed_id)
            if known is None:
                unknown.append(link)
            else:
                owners[claimed_id] = known
        if unknown:
            claimed = self._ledger.claim(unknown)
            self._owners.put(claimed)
            owners |= claimed
        return owners

    def _digests_of(self, observations: Sequence[Observation]) -> dict[GroupKey, str]:
        """Return what PostHog last accepted of every known group of these observations."""
        keys = {
            (group.group_type, group.group_key)
            for observation in observations
            for group in observation.groups
        }
        known = {key: digest for key in keys if (digest := self._digests.get(key)) is not None}
        unknown = sorted(keys - known.keys())
        return known | self._ledger.group_digests(unknown) if unknown else known


def _claims_of(observations: Sequence[Observation]) -> dict[str, Link]:
    """Return who claims which id: users their own, then each device its first user."""
    users = [observation.user for observation in observations if observation.user is not None]
    claims = {user: Link(user, user) for user in users}
    for observation in observations:
        if observation.link is not None:
            claims.setdefault(observation.link.device_id, observation.link)
    return claims


def _group_events(observation: Observation, digests: dict[GroupKey, str]) -> Iterator[DerivedEvent]:
    """Yield an event for each group that PostHog last accepted otherwise; note the new digests."""
    for group in observation.groups:
        key, digest = (group.group_type, group.group_key), _digest(group)
        if digests.get(key) != digest:
            digests[key] = digest
            event = group_event(group, observation.person, observation.timestamp)
            yield DerivedEvent(observation.index, event, groups=(group,))


def _digest(group: GroupState) -> str:
    return hashlib.sha256(canonical_json(group.properties).encode()).hexdigest()
