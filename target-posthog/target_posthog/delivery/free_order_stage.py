"""Between conversion and lanes in a run with `free_order: apply`: rows may come in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from target_posthog.delivery.identity_stage import IdentityStage
from target_posthog.identity.newest_by_pass import NewestByPass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.capture.protocols import Wire
    from target_posthog.identity.observations import DerivedEvent
    from target_posthog.identity.pass_reader import PassReader
    from target_posthog.identity.resolver import IdentityResolver
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.progress.counts import Counts


class FreeOrderStage(IdentityStage):
    """Completes stretches of events as the people pass has it, whichever comes first."""

    def __init__(
        self,
        links: IdentityResolver,
        wire: Wire,
        counts: Counts,
        known: PassReader,
        *,
        joins: bool,
    ) -> None:
        self._by_pass = NewestByPass(known, joins=joins)
        super().__init__(links, wire, counts, self._by_pass)

    @override
    def completed(self, items: list[OutgoingEvent]) -> list[OutgoingEvent]:
        """Return a stretch of events as they go out.

        Raises:
            FixConfiguration: the pass has not read one of them.
        """
        self._links.give(self._by_pass.begin(items))
        return super().completed(items)

    @override
    def _outgoing(
        self, derived: Sequence[DerivedEvent], item: OutgoingEvent, apart_yet: set[str]
    ) -> Iterator[OutgoingEvent]:
        for added in derived:
            # PostHog keeps one event by its day, too: whichever run tells of it, it is the same.
            if added.link is not None and (time := self._by_pass.time_of(added.link.device_id)):
                added.event["timestamp"] = time
        yield from super()._outgoing(derived, item, apart_yet)
