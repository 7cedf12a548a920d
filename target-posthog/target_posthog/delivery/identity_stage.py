"""Between conversion and lanes: whose each event is, which to add, whose row is not the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.books.counts import unit_of_event
from target_posthog.identity.newest_rows import NewestRows, with_group_properties
from target_posthog.identity.observations import observations_of, outgoing, without_merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_posthog.capture.protocols import Wire
    from target_posthog.identity.newest_by_pass import NewestByPass
    from target_posthog.identity.observations import DerivedEvent, DerivedEvents
    from target_posthog.identity.resolver import IdentityResolver
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.progress.counts import Counts


class IdentityStage:
    """Completes stretches of events, in order.

    Args:
        newest: knows the newest rows; by default those of this run.
    """

    def __init__(
        self,
        links: IdentityResolver,
        wire: Wire,
        counts: Counts,
        newest: NewestRows | NewestByPass | None = None,
    ) -> None:
        self._links = links
        self._wire = wire
        self._counts = counts
        self._newest = NewestRows() if newest is None else newest

    def completed(self, items: list[OutgoingEvent]) -> list[OutgoingEvent]:
        """Return a stretch of events as they go out, with those to add in their places.

        The key of each event is its person afterwards: the user, also of a device that has one.
        """
        for index in [index for index, item in enumerate(items) if item.groups]:
            if outdated := self._newest.outdated_groups(items[index]):
                items[index] = with_group_properties(items[index], outdated)
        derived = self._links.resolve(observations_of(items))
        self._counts.shared_devices += derived.newly_shared
        for index in derived.conflicting:
            items[index] = without_merge(items[index])
        return self._interleaved(items, derived, self._users_of(items))

    def _users_of(self, items: Sequence[OutgoingEvent]) -> Mapping[str, tuple[str, bool]]:
        devices = {item.ordering_key for item in items if item.user is None}
        return self._links.users_of(devices) if devices else {}

    def _interleaved(
        self,
        items: Sequence[OutgoingEvent],
        derived: DerivedEvents,
        users: Mapping[str, tuple[str, bool]],
    ) -> list[OutgoingEvent]:
        """Return the events with those to add in their places; what is outdated is demoted."""
        beside: dict[int, list[DerivedEvent]] = {}
        for event in derived.events:
            beside.setdefault(event.index, []).append(event)
        # These are joined at their places in the stretch, not before.
        apart_yet = {event.link.device_id for event in derived.events if event.link is not None}
        result: list[OutgoingEvent] = []
        begin = 0
        for index, events in beside.items():
            end = index + derived.after
            result += self._newest.attributed(items[begin:end], users, apart_yet)
            result += self._outgoing(
                events, result[-1] if derived.after else items[index], apart_yet
            )
            begin = end
        result += self._newest.attributed(items[begin:], users, apart_yet)
        self._newest.settle()
        return result

    def _outgoing(
        self, derived: Sequence[DerivedEvent], item: OutgoingEvent, apart_yet: set[str]
    ) -> Iterator[OutgoingEvent]:
        """Yield the events to add beside one."""
        for added in derived:
            if added.link is not None:
                apart_yet.discard(added.link.device_id)
                state = self._newest.join(added.link, item)
                if state is not None:
                    added.event["properties"]["$set"] = state
            event = outgoing(added, self._wire)
            event.origin, event.stream = item.origin, unit_of_event(item).stream
            yield event


def joined_by(items: Sequence[OutgoingEvent]) -> list[tuple[str, str]]:
    """Return the pairs of device and user that PostHog joins because of events."""
    return [
        (item.link.device_id, item.link.user_id)
        for item in items
        if item.link is not None and (item.is_derived or item.joins)
    ]
