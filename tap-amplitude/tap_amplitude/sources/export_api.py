"""A project as a source: windows of the Export API, in order; `archive_source` reads files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tap_amplitude.api.connection import Connection
from tap_amplitude.api.export import ExportApi
from tap_amplitude.api.results import Downloaded
from tap_amplitude.files.left_out import LeftOut
from tap_amplitude.files.spool import Spool
from tap_amplitude.sources.downloads import Downloads
from tap_amplitude.windows import HOUR, WindowSize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tap_amplitude.files.member import Member
    from tap_amplitude.settings import Settings
    from tap_amplitude.windows import Window


@dataclass(frozen=True)
class VerifiedHours:
    """A run of hours, all of whose events are at hand and verified.

    Attributes:
        window: The hours; those without files have no events.
        hours: The hours that have files, in order.
        window_hours: The size of the next window, to be remembered in the state.
    """

    window: Window
    hours: Sequence[tuple[datetime, Sequence[Member]]] = field(default=())
    window_hours: int | None = None


class ApiSource:
    """Reads a project through the Export API.

    Args:
        settings: Keys, address and bounds.
        user_agent: How to introduce the tap to Amplitude.
        remembered_hours: The window size that the state remembers.
        just_one: Ask for a single hour, and no more: for a test of the connection.
        raw: Events are handed over undecoded: check files as `Member.verify` says.

    Attributes:
        left_out: Which files are not read, and why.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        user_agent: str,
        remembered_hours: int | None,
        just_one: bool,
        raw: bool = False,
    ) -> None:
        self.left_out = LeftOut()
        self._settings = settings
        self._just_one = just_one
        self._size = WindowSize.start(
            1 if just_one else settings.max_window_hours,
            remembered_hours,
            settings.parallel_downloads,
        )
        self._spool = Spool(settings.spool_path)
        self._api = ExportApi(
            Connection.of(settings, user_agent),
            spool=self._spool.path,
            max_member_bytes=settings.max_member_bytes,
            raw=raw,
            retry_seconds=settings.retry_seconds,
        )

    def verified_hours(self, start: datetime, until: datetime) -> Iterator[VerifiedHours]:
        """Give all verified_hours from `start` to `until`, exclusive, in order and without a gap.

        Windows are downloaded, some of them ahead; each is deleted when the next one is asked for.
        """
        downloads = Downloads(
            self._api.fetch,
            self._size,
            start,
            min(until, start + HOUR) if self._just_one else until,
            parallel=self._settings.parallel_downloads,
            max_bytes=self._settings.max_spool_bytes,
        )
        try:
            for arrival in downloads:
                window, answer = arrival.window, arrival.answer
                if isinstance(answer, Downloaded):
                    self.left_out.absorb(answer.archive.left_out)
                    yield VerifiedHours(window, list(answer.archive.hours()), arrival.window_hours)
                else:
                    yield VerifiedHours(window, window_hours=arrival.window_hours)
        finally:
            downloads.close()
            self._spool.close()
