"""How many lines of a run were rejected, and whether that is more than the user allows (pure).

The rules are those of `target-posthog`, so that a run ends alike whichever of the two reads the
lines: by RECORD messages the tap does, by BATCH messages the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_amplitude.common.quantities import count
from tap_amplitude.errors import TooManyRejects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_amplitude.settings import Settings

#: The share of rejects says nothing about the first few lines.
_RATIO_COUNTS_FROM = 10_000


@dataclass(frozen=True)
class RejectShare:
    """How many lines of a stream were rejected in a run.

    Attributes:
        records: How many records came of the others. As in the target, each object of a line that
            holds several counts as a line.
        place: Where the rejected lines are.
    """

    stream: str
    rejected: int
    records: int
    place: str

    @property
    def lines(self) -> int:
        """How many lines were read."""
        return self.rejected + self.records

    def __str__(self) -> str:
        """Return how many of how many, and the share."""
        percent = 100 * self.rejected / self.lines
        lines = count(self.lines, "line")
        return f"{self.rejected:,} of {lines} of `{self.stream}` ({percent:.4g} %)"


class RejectLimit:
    """Ends a run that rejects too much."""

    def __init__(self, settings: Settings) -> None:
        self._max_ratio = settings.max_reject_ratio
        self._is_of_files = settings.archive_path is not None

    def stop_at_too_many_rejects(self, share: RejectShare) -> None:
        """Stop the run when the share of rejects is above the limit: it must not fill a disk.

        Raises:
            TooManyRejects: It is.
        """
        if share.lines > _RATIO_COUNTS_FROM and self._is_passed_by(share):
            cause = (
                "files of another kind are the usual cause. Fix them or take them out"
                if self._is_of_files
                else "Amplitude sent these lines so. Report them to its support"
            )
            raise TooManyRejects(
                self._too_many_rejects([share]),
                remedy=f"Look at {share.place}; {cause}, and run the same command again.",
            )

    def stop_at_the_end(self, shares: Sequence[RejectShare]) -> None:
        """Do it when the run has come to its end, however short it was; its state is written.

        Raises:
            TooManyRejects: A stream is above the limit.
        """
        passed = [share for share in shares if self._is_passed_by(share)]
        if not passed:
            return
        next_step = (
            "fix the files that these lines came from, and read their hours again"
            if self._is_of_files
            else "Amplitude sent these lines so. Report them to its support, and export their "
            "hours again once it sends them well"
        )
        places = " and ".join(share.place for share in passed)
        failure = TooManyRejects(
            self._too_many_rejects(passed),
            remedy=f"Look at {places}; {next_step}, with a "
            "state of their own (`--state-id-suffix=<name>`), as the state is past them.",
        )
        failure.saved = "All others are out; the state keeps those that the target has taken."
        raise failure

    def _is_passed_by(self, share: RejectShare) -> bool:
        return share.rejected > share.lines * self._max_ratio

    def _too_many_rejects(self, shares: Sequence[RejectShare]) -> str:
        return (
            f"{' and '.join(str(share) for share in shares)} were rejected, more than "
            f"`max_reject_ratio` ({self._max_ratio:g}) allows."
        )
