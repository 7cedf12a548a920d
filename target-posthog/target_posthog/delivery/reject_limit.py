"""When the share of rejects is too large: a wrong key or mapping must not fill a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.errors import RejectsAtTheEnd, TooManyRejects

if TYPE_CHECKING:
    from target_posthog.progress.counts import Counts
    from target_posthog.rejects.writer import Rejects

#: The share of rejects says nothing about the first few records.
_COUNTS_FROM = 10_000


class RejectLimit:
    """Stops a run with too many rejects."""

    def __init__(self, counts: Counts, rejects: Rejects, max_ratio: float) -> None:
        self._counts = counts
        self._rejects = rejects
        self._max_ratio = max_ratio

    def check(self) -> None:
        """Stop the run when the share of rejects is above the limit.

        Raises:
            TooManyRejects: it is.
        """
        if self._counts.exported > _COUNTS_FROM and self._is_exceeded:
            self._rejects.save()
            raise TooManyRejects(
                self._too_many_rejects(),
                f"Look at {self._rejects.place}; a wrong mapping is the usual cause.",
            )

    def check_at_the_end(self, *, trial: str | None = None) -> None:
        """Do the same when the run has come to its end, however short it was; its state is written.

        `trial` says what to do again after a run that sends nothing; None of one that sends.

        Raises:
            TooManyRejects: the share of rejects is above the limit.
        """
        if self._is_exceeded:
            next_step = (
                self._after_rejects()
                if trial is None
                else f"correct the cause, and {trial} again. Nothing was sent."
            )
            raise RejectsAtTheEnd(
                self._too_many_rejects(), f"Look at {self._rejects.place}, {next_step}"
            )

    def _after_rejects(self) -> str:
        """Return what to do about the rejects: a line that is no record cannot be sent again."""
        lines = self._counts.rejected["bad_line"]
        if lines == self._counts.rejected.total():
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

    @property
    def _is_exceeded(self) -> bool:
        total = self._counts.rejected.total()
        return total > self._counts.exported * self._max_ratio

    def _too_many_rejects(self) -> str:
        return (
            f"{self._counts.rejected.total():,} of {self._counts.exported:,} records were "
            f"rejected, more than `max_reject_ratio` ({self._max_ratio:g}) allows."
        )
