"""A migration in free order without requests: runs that collect and runs that apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.delivery.free_order_stage import FreeOrderStage
from target_posthog.identity.pass_agreement import PassAgreement
from target_posthog.identity.pass_reader import PassReader
from target_posthog.identity.pass_tables import Hour
from target_posthog.identity.pass_writer import PassWriter
from target_posthog.identity.people_pass import Gathered
from target_posthog.identity.resolver import IdentityResolver
from target_posthog.json_codec import loads
from target_posthog.progress.counts import Counts
from tests.support.deliveries import WIRE
from tests.support.reference_delivery import item_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.identity.ledger import Ledger
    from target_posthog.model import Json
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.settings import IdentityEvents

SETTINGS = {"user_properties": "1"}


class CollectingRun:
    """A run that collects.

    Args:
        ledger: the ledger of all runs.
        kind: how PostHog is told who is who.
    """

    def __init__(self, ledger: Ledger, kind: IdentityEvents = "alias") -> None:
        self.agreement = PassAgreement(ledger, SETTINGS)
        self.agreement.open()
        self._writer = PassWriter(ledger, self.agreement)
        self._joins = kind != "none"

    def read(self, rows: Sequence[Json], *, is_whole: bool = True) -> None:
        """Read some rows, and the ends of their hours."""
        items = [item_of(row) for row in rows]
        gathered = Gathered(joins=self._joins)
        gathered.add(items)
        hours = {Hour.of_origin(item.origin) for item in items}
        self._writer.write(gathered, hours if is_whole else ())


class ApplyingRun:
    """A run that applies what was collected.

    Args:
        ledger: the ledger of all runs.
        kind: how PostHog is told who is who.
    """

    def __init__(self, ledger: Ledger, kind: IdentityEvents = "alias") -> None:
        self.counts = Counts()
        agreement = PassAgreement(ledger, SETTINGS)
        agreement.close()
        joins = kind != "none"
        known = PassReader(ledger, agreement, joins=joins)
        self.links = IdentityResolver(ledger, kind)
        self._stage = FreeOrderStage(self.links, WIRE, self.counts, known, joins=joins)

    def completed(self, rows: Sequence[Json]) -> list[OutgoingEvent]:
        """Return the events of a stretch of rows as they go out."""
        return self._stage.completed([item_of(row) for row in rows])

    def accept(self, items: Sequence[OutgoingEvent]) -> None:
        """Note that PostHog took events."""
        told = [item for item in items if item.is_derived]
        self.links.accept(
            [item.link for item in told if item.link is not None],
            [group for item in told for group in item.groups],
        )


def bodies(items: Sequence[OutgoingEvent]) -> list[Json]:
    """Return events as PostHog receives them."""
    return [loads(item.body) for item in items]
