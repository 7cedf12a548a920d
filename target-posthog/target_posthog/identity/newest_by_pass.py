"""The newest row wins, by the people pass: as `newest_rows`, for rows that come in any order.

Of each person only rows that tell what its newest row tells set it, wherever they stand. So all
that arrives sets the same, and neither the order of arrival nor that of links matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from target_posthog.identity.newest_rows import demoted
from target_posthog.identity.people_pass import (
    OWN,
    group_place,
    is_newest,
    not_in_the_pass,
    rank_of,
    require_places,
    time_of,
)
from target_posthog.model import Link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from target_posthog.identity.pass_reader import PassReader
    from target_posthog.model import GroupState, Json
    from target_posthog.posthog.events import OutgoingEvent


class NewestByPass:
    """Tells what to do with a row that is not the newest of its person or group."""

    def __init__(self, known: PassReader, *, joins: bool) -> None:
        self._known = known
        self._joins = joins

    def begin(self, items: list[OutgoingEvent]) -> list[Link]:
        """Look up the people and groups of a stretch; let its newest rows alone tell of groups.

        Returns:
            The devices that the rows show, each with its user: itself when it is a user's own id.

        Raises:
            FixConfiguration: the pass has not read these rows.
        """
        require_places(items)
        self._known.look_up(items)
        self._require_ranks(items)
        for index in [index for index, item in enumerate(items) if item.groups]:
            items[index] = self._with_own_groups(items[index])
        devices = {item.link.device_id for item in items if item.link is not None}
        return [Link(self._known.person_of(device), device) for device in sorted(devices)]

    def time_of(self, device: str) -> str | None:
        """Return when a device was first seen with its user; None when that was before the pass."""
        return time_of(self._known.ids[device].rank)

    def attributed(
        self,
        items: Sequence[OutgoingEvent],
        users: Mapping[str, tuple[str, bool]],
        apart: AbstractSet[str],  # noqa: ARG002 - as `NewestRows`
    ) -> Iterator[OutgoingEvent]:
        """Yield events as they go out; see `NewestRows`.

        Raises:
            FixConfiguration: the pass has not read one of them.
        """
        known = self._known
        for item in items:
            if item.user is not None:
                item.ordering_key = item.user
            elif item.ordering_key in users:
                item.ordering_key = users[item.ordering_key][0]
            outdated = item.sets and not is_newest(
                item.order, known.newest[known.person_of(item.person)]
            )
            yield demoted(item) if outdated else item

    def join(self, link: Link, item: OutgoingEvent) -> Json | None:  # noqa: ARG002 - see below
        """Return None, as a link has nothing to set: both people have the same, or nothing."""
        return None

    def outdated_groups(self, item: OutgoingEvent) -> Sequence[GroupState]:
        """Return the group states of an event that are not those of the groups' newest rows.

        Raises:
            FixConfiguration: the pass has not read the row.
        """
        return [
            group
            for group in item.groups
            if not is_newest(group_place(item.order, group), self._newest_of(group))
        ]

    def settle(self) -> None:
        """Do nothing: no event is remembered."""

    def _with_own_groups(self, item: OutgoingEvent) -> OutgoingEvent:
        """Return an event without the group states that a newer row repeats."""
        current = []
        for group in item.groups:
            place, newest = group_place(item.order, group), self._newest_of(group)
            if place >= newest or not is_newest(place, newest):
                current.append(group)
        return msgspec.structs.replace(item, groups=tuple(current))

    def _newest_of(self, group: GroupState) -> bytes:
        return self._known.groups.get((group.group_type, group.group_key), b"")

    def _require_ranks(self, items: Sequence[OutgoingEvent]) -> None:
        """Make sure that no row would have made an id somebody else's.

        Raises:
            FixConfiguration: the pass has not read the row.
        """
        if not self._joins:
            return
        ids = self._known.ids
        for item in items:
            if item.user is not None and ids[item.user].rank > OWN:
                raise not_in_the_pass()
            link = item.link
            if link is not None and rank_of(item.order, link.user_id) < ids[link.device_id].rank:
                raise not_in_the_pass()
