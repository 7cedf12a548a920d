"""Devices and their users in PostHog: whether a link made one person of both. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from target_posthog.model import Link


@dataclass(frozen=True)
class People:
    """What became of a sample of links.

    Attributes:
        joined: how many pairs are one person.
        separate: the pairs of which PostHog knows both ids as two people.
        unknown: the pairs of which PostHog does not know both ids.
    """

    joined: int = 0
    separate: Sequence[Link] = ()
    unknown: Sequence[Link] = ()

    @property
    def sampled(self) -> int:
        """How many pairs were looked at."""
        return self.joined + len(self.separate) + len(self.unknown)

    @property
    def apart(self) -> Sequence[Link]:
        """The pairs that are not one person."""
        return [*self.separate, *self.unknown]


def ids_of(links: Iterable[Link]) -> list[str]:
    """Return every id of some links, once."""
    return list(
        dict.fromkeys(person for link in links for person in (link.user_id, link.device_id))
    )


def people_among(links: Sequence[Link], person_of: Mapping[str, str]) -> People:
    """Return what became of some links, given the person of each id that PostHog knows."""
    separate, unknown, joined = [], [], 0
    for link in links:
        user, device = person_of.get(link.user_id), person_of.get(link.device_id)
        if user is None or device is None:
            unknown.append(link)
        elif user == device:
            joined += 1
        else:
            separate.append(link)
    return People(joined, separate, unknown)
