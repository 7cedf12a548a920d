"""Where a people pass stands in for the order of rows; see docs/decisions/0018-free-order.md."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from target_posthog.books.unsent import require_sent, unsent_hours
from target_posthog.delivery.free_order_stage import FreeOrderStage
from target_posthog.delivery.identity_stage import IdentityStage
from target_posthog.delivery.people_collection import PeopleCollection
from target_posthog.identity.pass_agreement import PassAgreement, settings_of
from target_posthog.identity.pass_reader import PassReader
from target_posthog.identity.pass_writer import PassWriter

if TYPE_CHECKING:
    from target_posthog.books.read_hours import ReadHours
    from target_posthog.capture.protocols import Wire
    from target_posthog.delivery.delivery import Stage
    from target_posthog.identity.ledger import Ledger
    from target_posthog.identity.resolver import IdentityResolver
    from target_posthog.progress.counts import Counts
    from target_posthog.settings import Settings

logger = logging.getLogger("target-posthog")


class FreeOrder:
    """What a run has to do with the people pass of its project.

    Attributes:
        collection: what a run that collects finds of people; None of other runs.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, program: str, *, is_preview: bool
    ) -> None:
        mode = settings.free_order
        if is_preview and mode != "none":
            logger.info("A preview knows no people pass: it shows what a run in order sends.")
            mode = "none"
        self.collection: PeopleCollection | None = None
        self._ledger = ledger
        self._agreement: PassAgreement | None = None
        # With the other two, no event joins anybody.
        self._joins = settings.identity_events != "none" and settings.person_profiles != "never"
        if mode != "none":
            self._agreement = PassAgreement(ledger, settings_of(settings, program))
            if mode == "collect":
                writer = PassWriter(ledger, self._agreement)
                self.collection = PeopleCollection(writer, joins=self._joins)

    def begin(self) -> None:
        """Begin to collect or to apply, if this run does.

        Raises:
            FixConfiguration: other runs do the other, or the pass does not fit this run.
            RunAgain: the database failed.
        """
        if self.collection is not None:
            assert self._agreement is not None  # noqa: S101 - see above
            self._agreement.open()
        elif self._agreement is not None:
            self._agreement.close()

    def stage(self, links: IdentityResolver, wire: Wire, counts: Counts) -> Stage:
        """Return what completes stretches of events."""
        if self._agreement is None:
            return IdentityStage(links, wire, counts)
        if self.collection is not None:
            return self.collection.counting(counts)
        known = PassReader(self._ledger, self._agreement, joins=self._joins)
        return FreeOrderStage(links, wire, counts, known, joins=self._joins)

    def go_on_from(self, read: ReadHours | None) -> None:
        """Take what the state says is read that the run goes on from.

        Raises:
            FixConfiguration: it is the state of a run that collected.
            RunAgain: the database failed.
        """
        if read is not None and self._is_applied:
            require_sent(self._ledger, read)

    @property
    def _is_applied(self) -> bool:
        return self._agreement is not None and self.collection is None

    def unsent_hours(self) -> tuple[int, str]:
        """Return how many hours of the pass no run has sent, and the first; none if not applied.

        Raises:
            RunAgain: the database failed.
        """
        return unsent_hours(self._ledger) if self._is_applied else (0, "")
