"""What became of every record: the counts, the rejects, and when there are too many of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.delivery.kept_events import KeptEvents, fingerprints_of
from target_posthog.errors import RejectsAtTheEnd, TooManyRejects
from target_posthog.model import AddedEvent, BlockOfLines, Rejected, Skipped, whole_record
from target_posthog.progress import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.capture.results import SendResult
    from target_posthog.delivery.lanes import Put
    from target_posthog.identity.resolver import IdentityResolver
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.rejects.writer import Rejects

#: The share of rejects says nothing about the first few records.
_RATIO_COUNTS_FROM = 10_000


class Fates:
    """Counts what becomes of records, and writes down the rejected ones.

    Args:
        rejects: where refused records go.
        links: remembers what PostHog was told of people and groups.
        max_reject_ratio: the share of rejects that a run may have.

    Attributes:
        counts: one number per fate.
    """

    def __init__(self, rejects: Rejects, links: IdentityResolver, max_reject_ratio: float) -> None:
        self.counts = Counts()
        self._rejects = rejects
        self._links = links
        self._max_reject_ratio = max_reject_ratio
        self._kept = KeptEvents()

    def take(self, outcome: Skipped | Rejected, record: Any, index: int = 0) -> None:
        """Take a record that is not sent.

        Args:
            outcome: why.
            record: see `OutgoingEvent.record`.
            index: see `OutgoingEvent.index`.

        Raises:
            TooManyRejects: see `stop_at_too_many_rejects`.
        """
        self.counts.exported += 1
        if isinstance(outcome, Skipped):
            self.counts.skipped[outcome.rule] += 1
        else:
            self._reject(outcome, record, index)
            self.stop_at_too_many_rejects()

    def take_unreadable(self, line: bytes, reason: str) -> None:
        """Take a line that is not a record; it goes to the rejects as it is.

        Raises:
            TooManyRejects: see `stop_at_too_many_rejects`.
        """
        text = line.decode("utf-8", "backslashreplace")
        self.take(Rejected("bad_line", reason, "read"), text)

    def leave_out(self, item: OutgoingEvent, put: Put) -> None:
        """Count an event that was not new in its batch."""
        if put == "replaces":
            self.counts.superseded += 1
        elif not item.is_derived:
            self.counts.skipped["duplicate"] += 1

    def accept(self, items: Sequence[OutgoingEvent], result: SendResult) -> None:
        """Write down what PostHog accepted of a batch, and what it dropped."""
        dropped = result.accepted.dropped
        if dropped or result.left:
            for item in items:
                if item.uuid in dropped:
                    self.refuse(item, dropped[item.uuid])
            others = dropped.keys() | {item.uuid for item in result.left}
            items = [item for item in items if item.uuid not in others]
        if telling := [item for item in items if item.is_derived or item.joins]:
            self._accept_links(telling)
            items = [item for item in items if not item.is_derived]
        # Of two versions of an event PostHog keeps one, the later.
        superseded = self._kept.repeats(fingerprints_of(items))
        self.counts.accepted += len(items) - superseded
        self.counts.superseded += superseded
        self.counts.warned.update(result.accepted.warned.values())

    def refuse(self, item: OutgoingEvent, reason: str) -> None:
        """Write down an event that PostHog refused.

        What stands beside an event is delivered on its own: of an event that we added, only that
        one is lost.
        """
        rejected = Rejected("refused_by_posthog", f"PostHog answered {reason}", "send")
        if not item.is_derived:
            self._reject(rejected, item.record, item.index)
            return
        self.counts.added_rejected[rejected.code] += 1
        if item.link is not None:
            self._links.refuse([item.link])
        self._rejects.write(rejected, AddedEvent(item.record, item.link or item.groups[0]))

    def save(self) -> None:
        """Bring every reject to the disk."""
        self._rejects.save()

    def _accept_links(self, items: Sequence[OutgoingEvent]) -> None:
        """Remember what PostHog was told by events, and count those that we added."""
        links = [item.link for item in items if item.link is not None]
        derived = [item for item in items if item.is_derived]
        groups = [group for item in derived for group in item.groups]
        if links or groups:
            self._links.accept(links, groups)
        joined = sum(item.link is not None for item in derived)
        self.counts.links += joined
        self.counts.groups += len(derived) - joined

    def _reject(self, rejected: Rejected, record: Any, index: int) -> None:
        is_block = isinstance(record, BlockOfLines)
        self._rejects.write(rejected, record.record(index) if is_block else whole_record(record))
        self.counts.rejected[rejected.code] += 1

    def stop_at_too_many_rejects(self) -> None:
        """Stop the run when the share of rejects is above the limit.

        Raises:
            TooManyRejects: it is.
        """
        if self.counts.exported > _RATIO_COUNTS_FROM and self._has_too_many_rejects():
            self._rejects.save()
            raise TooManyRejects(
                self._too_many_rejects(),
                f"Look at {self._rejects.place}; a wrong mapping is the usual cause.",
            )

    def stop_at_the_end(self, *, is_preview: bool) -> None:
        """Do it when the run has come to its end, however short it was; its state is written.

        Raises:
            TooManyRejects: the share of rejects is above the limit.
        """
        if self._has_too_many_rejects():
            next_step = (
                "correct the cause, and preview again. Nothing was sent."
                if is_preview
                else self._after_rejects()
            )
            raise RejectsAtTheEnd(
                self._too_many_rejects(), f"Look at {self._rejects.place}, {next_step}"
            )

    def _after_rejects(self) -> str:
        """Return what to do about the rejects: a line that is no record cannot be sent again."""
        lines = self.counts.rejected["bad_line"]
        if lines == self.counts.rejected.total():
            next_step = "fix these lines where they came from, and have the tap read them again"
        else:
            next_step = (
                "correct the cause, and send the records with `target-posthog-replay`: no run "
                "reads them again"
            )
            if lines:
                next_step += (
                    f". {lines:,} of them are lines that are not records (`bad_line`): fix them "
                    "where they came from, and have the tap read those again"
                )
        return f"{next_step}. All others are delivered."

    def _has_too_many_rejects(self) -> bool:
        total = self.counts.rejected.total()
        return total > self.counts.exported * self._max_reject_ratio

    def _too_many_rejects(self) -> str:
        return (
            f"{self.counts.rejected.total():,} of {self.counts.exported:,} records were rejected, "
            f"more than `max_reject_ratio` ({self._max_reject_ratio:g}) allows."
        )
