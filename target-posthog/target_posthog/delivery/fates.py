"""What became of every record: the counts, the rejects, and when there are too many of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.delivery.kept_events import Kept, fingerprints_of
from target_posthog.errors import RejectsAtTheEnd, TooManyRejects
from target_posthog.model import BlockOfLines, Rejected, whole_record
from target_posthog.progress import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.capture.results import SendResult
    from target_posthog.delivery.interfaces import RejectsFile
    from target_posthog.model import Skipped
    from target_posthog.posthog.events import OutgoingEvent

#: The share of rejects says nothing about the first few records.
_RATIO_COUNTS_FROM = 10_000


class Fates:
    """Counts what becomes of records, and writes down the rejected ones.

    Args:
        rejects: where refused records go.
        max_reject_ratio: the share of them that a run may have.

    Attributes:
        counts: one number per fate.
    """

    def __init__(self, rejects: RejectsFile, max_reject_ratio: float) -> None:
        self.counts = Counts()
        self._rejects = rejects
        self._max_reject_ratio = max_reject_ratio
        self._kept = Kept()

    def skip(self, skipped: Skipped) -> None:
        """Count a record that is left out."""
        self.counts.skipped[skipped.rule] += 1

    def reject(self, rejected: Rejected, record: Any, index: int = 0) -> None:
        """Write down a record that cannot be sent.

        Args:
            rejected: why.
            record: see `OutgoingEvent.record`.
            index: see `OutgoingEvent.index`.
        """
        self._write(rejected, record, index)
        self.counts.rejected[rejected.code] += 1

    def reject_line(self, line: bytes, reason: str) -> None:
        """Write down a line that is no record."""
        text = line.decode("utf-8", "backslashreplace")
        self.reject(Rejected("bad_line", reason, "read"), text)

    def refuse(self, item: OutgoingEvent, reason: str) -> None:
        """Write down an event that PostHog refused.

        What stands beside an event is delivered on its own: of an event that we added, only that
        one is lost.
        """
        rejected = Rejected("refused_by_posthog", f"PostHog answered {reason}", "send")
        if item.is_derived:
            self.counts.added_rejected[rejected.code] += 1
            self._write(rejected, item.record, item.index)
        else:
            self.reject(rejected, item.record, item.index)

    def accept(self, items: Sequence[OutgoingEvent], result: SendResult) -> None:
        """Count what PostHog took; of two versions of an event it keeps one, the later."""
        if told := [item for item in items if item.is_derived]:
            links = sum(item.link is not None for item in told)
            self.counts.links += links
            self.counts.groups += len(told) - links
            items = [item for item in items if not item.is_derived]
        superseded = self._kept.repeats(fingerprints_of(items))
        self.counts.accepted += len(items) - superseded
        self.counts.superseded += superseded
        self.counts.warned.update(result.accepted.warned.values())

    def save(self) -> None:
        """Bring every reject to the disk."""
        self._rejects.save()

    def _write(self, rejected: Rejected, record: Any, index: int) -> None:
        is_block = isinstance(record, BlockOfLines)
        whole = record.record(index) if is_block else whole_record(record)
        self._rejects.write(rejected, rejected.stage, whole)

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
