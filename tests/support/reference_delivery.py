"""A delivery in a few lines: what goes out for each row, in order, without requests or a ledger."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.options import Options
from target_posthog.identity.newest_rows import NewestRows, demoted, with_group_properties
from target_posthog.json_codec import loads
from target_posthog.model import Converted, Json
from target_posthog.posthog.events import OutgoingEvent, prepare
from target_posthog.posthog.groups import group_event
from target_posthog.posthog.people import identity_event
from tests.support.deliveries import WIRE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.settings import IdentityEvents
    from tests.support.person_model import World

FAR_AHEAD = "9999-12-31T23:59:59.999999Z"
#: Made once: its tables take longer than a hundred rows.
CONVERTER = Amplitude(Options())


@dataclass
class ReferenceDelivery:
    """Does what a delivery does, without requests.

    Attributes:
        world: PostHog.
        kind: how it is told who is who.
        knows_ahead: claims all devices of a file before its first event is told, as a stretch of
            rows is looked up at once.
        after: tells a link just after the row that shows it.
        owners: whose each device is: what the ledger knows.
        accepted: the devices whose link PostHog took, as far as the ledger knows.
        rows: which rows are the newest, as far as the process knows.
        joined: the devices that PostHog has joined, as far as the process knows.
        noted: how often it came to what this is about.
    """

    world: World
    kind: IdentityEvents = "alias"
    knows_ahead: bool = False
    after: bool = False
    owners: dict[str, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    rows: NewestRows = field(default_factory=NewestRows)
    joined: set[str] = field(default_factory=set)
    noted: Counter[str] = field(default_factory=Counter)

    def read(self, files: Sequence[Sequence[Json]], *, dies_at: int | None, saves: bool) -> bool:
        """Read an hour in one try; tell whether it came to its end.

        Args:
            files: the rows of each file.
            dies_at: at which event the process is killed.
            saves: whether the ledger then knows all links that PostHog took.
        """
        told = (one for file in files for one in self._told_of(list(map(item_of, file))))
        for count, one in enumerate(told):
            if count == dies_at:
                self._begin_anew()
                return False
            self.world.receive([one])
            if saves:
                self.accepted |= self.joined & self.world.people.who_is_who().keys()
        self.accepted |= self.joined
        return True

    def _begin_anew(self) -> None:
        """Go on as a new process, which knows only what is in the ledger."""
        self.rows, self.joined = NewestRows(), set(self.accepted)

    def _told_of(self, items: Sequence[OutgoingEvent]) -> Iterator[Json]:
        if self.knows_ahead:
            for item in items:
                self._claim(item)
        for item in items:
            yield from self._told(item)

    def _told(self, item: OutgoingEvent) -> Iterator[Json]:
        """Yield the events that PostHog gets for one row."""
        self._claim(item)
        if not self.after:
            yield from self._links_of(item)
        person = self.owners.get(item.person, item.person)
        if self.rows.is_outdated(person, item, is_joined=item.person in self.joined):
            self.noted["outdated"] += 1
            item = demoted(item)
        outdated = self.rows.outdated_groups(item)
        if outdated:
            self.noted["outdated group"] += 1
            item = with_group_properties(item, outdated)
        yield loads(item.body)
        for group in item.groups:
            yield group_event(group, item.person, item.timestamp)
        if self.after:
            yield from self._links_of(item)

    def _claim(self, item: OutgoingEvent) -> None:
        if item.link is not None and self.kind != "none":
            self.owners.setdefault(item.link.device_id, item.link.user_id)

    def _links_of(self, item: OutgoingEvent) -> Iterator[Json]:
        """Yield the event that joins the row's device to its owner, if it is to be told now."""
        link = item.link
        if link is None or self.kind == "none" or link.device_id in self.joined:
            return
        if self.owners[link.device_id] != link.user_id:
            return
        event = identity_event(self.kind, link, item.timestamp)
        state = self.rows.join(link, item)
        if state is not None:
            self.noted["a link that sets"] += 1
            event["properties"] = {**event["properties"], "$set": state}
        self.joined.add(link.device_id)
        yield event


def item_of(row: Json) -> OutgoingEvent:
    """Return the event of a row, on its way."""
    converted = CONVERTER.convert(row)
    assert isinstance(converted, Converted)
    item = prepare(converted, json.dumps(row).encode(), WIRE.fitted, FAR_AHEAD)
    assert isinstance(item, OutgoingEvent)
    return item
