"""The lines of a run that are no records: kept aside, counted, or the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_amplitude.common.quantities import count
from tap_amplitude.errors import BadLine, TooManyRejects
from tap_amplitude.output.rejects import rejects_at
from tap_amplitude.streams.reject_share import RejectLimit, RejectShare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_amplitude.common.object_cutter import Found
    from tap_amplitude.files.member import Member
    from tap_amplitude.settings import Settings


class BadLines:
    """What becomes of bad lines, as `on_bad_line` says.

    Args:
        thing: What a record is, for messages.
    """

    def __init__(self, stream: str, thing: str, settings: Settings, started: datetime) -> None:
        self._stream = stream
        self._thing = thing
        self._limit = RejectLimit(settings)
        place = settings.rejects_path
        self._rejects = rejects_at(place, started) if place else None

    def take(self, member: Member, bad: Found, *, records: int) -> None:
        """Keep a bad line aside; stop when it must not be, or when there are too many.

        Raises:
            TapError: It cannot be kept, or the run must not go on.
        """
        if self._rejects is None:
            raise BadLine(
                f"{member.place!r}, {bad.place}, is not {self._thing}: {bad.reason}.",
                remedy="Set `on_bad_line` to `reject` to keep such lines aside, or fix the file.",
            )
        self._rejects.add(bad.text, reason=f"{member.place!r}, {bad.place}: {bad.reason}")
        share = RejectShare(self._stream, self._rejects.count, records, self._rejects.place)
        try:
            self._limit.stop_at_too_many_rejects(share)
        except TooManyRejects:
            self.sync()
            self.close()
            raise

    def share(self, records: int) -> RejectShare | None:
        """Return how much was rejected beside some records; None when nothing was."""
        rejects = self._rejects
        if rejects is None or not rejects.count:
            return None
        return RejectShare(self._stream, rejects.count, records, rejects.place)

    def result(self) -> Iterator[str]:
        """Yield how many lines were rejected, if any, in a few words."""
        if self._rejects and self._rejects.count:
            rejected = count(self._rejects.count, "line")
            yield f"{rejected} rejected, kept in {self._rejects.place}"

    def sync(self) -> None:
        """Bring what was kept to the disk. Call it before the state moves past it."""
        if self._rejects:
            self._rejects.sync()

    def close(self) -> None:
        """Close the file."""
        if self._rejects:
            self._rejects.close()
