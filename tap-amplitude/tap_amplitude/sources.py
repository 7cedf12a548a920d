"""Where events come from: windows of the Export API, or the user's own archive."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tap_amplitude.archive import Archive, open_archive
from tap_amplitude.config_checks import sends_keys_in_clear
from tap_amplitude.errors import ForeignArchive
from tap_amplitude.export_api import Downloaded, ExportApi, TooLarge
from tap_amplitude.spool import Spool
from tap_amplitude.windows import HOUR, Window, WindowSize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tap_amplitude.members import Member
    from tap_amplitude.settings import Settings

logger = logging.getLogger("tap-amplitude.sources")


@dataclass(frozen=True)
class Portion:
    """A run of hours, all of whose events are at hand and verified.

    Attributes:
        window: The hours; those without files have no events.
        hours: The hours that have files, in order.
        window_hours: The size of the next window, to be remembered in the state.
    """

    window: Window
    hours: Sequence[tuple[datetime, Sequence[Member]]] = field(default=())
    window_hours: int | None = None


class Source(Protocol):
    """Gives the events of a range, portion by portion, in order and without a gap."""

    def portions(self, start: datetime, until: datetime) -> Iterator[Portion]:
        """Give all portions from `start` to `until`, exclusive.

        A portion's files may be gone as soon as the next one is asked for.
        """


class ApiSource:
    """Reads a project through the Export API.

    Args:
        settings: Keys, address and bounds.
        user_agent: How to introduce the tap to Amplitude.
        remembered_hours: The window size that the state remembers.
        just_one: Ask for a single hour, and no more: for a test of the connection.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        user_agent: str,
        remembered_hours: int | None,
        just_one: bool,
    ) -> None:
        self._size = WindowSize.start(
            1 if just_one else settings.max_window_hours, remembered_hours
        )
        self._just_one = just_one
        if sends_keys_in_clear(settings.base_url):
            logger.warning(
                "The keys and the events travel unencrypted: %s is plain http. Use https.",
                settings.base_url,
            )
        self._spool = Spool(settings.spool_path)
        self._api = ExportApi(
            base_url=settings.base_url,
            api_key=settings.api_key,
            secret_key=settings.secret_key,
            user_agent=user_agent,
            spool=self._spool.path,
            max_member_bytes=settings.max_member_bytes,
            answer_seconds=settings.answer_seconds,
            retry_seconds=settings.retry_seconds,
        )

    def portions(self, start: datetime, until: datetime) -> Iterator[Portion]:
        """Download window after window; each is deleted when the next one is asked for."""
        try:
            while window := self._size.next_window(start, until):
                answer = self._api.fetch(window)
                if isinstance(answer, TooLarge):
                    logger.debug("Too much at once, %s: %s", window, answer.reason)
                    self._size = self._size.too_large(window)
                    continue
                size = answer.size if isinstance(answer, Downloaded) else 0
                self._size = self._size.delivered(window, size)
                if isinstance(answer, Downloaded):
                    _report_unknown(answer.archive)
                    yield Portion(window, list(answer.archive.hours()), self._size.hours)
                    answer.archive.close()
                    answer.path.unlink(missing_ok=True)
                else:
                    yield Portion(window, window_hours=self._size.hours)
                if self._just_one:
                    return
                start = window.end
        finally:
            self._spool.close()


class ArchiveSource:
    """Reads exported files.

    Args:
        settings: Where the files lie, and bounds.

    Raises:
        TapError: The archive cannot be read, or holds no events.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.archive_path is not None  # noqa: S101 - the caller chose this source
        self._archive = open_archive(
            settings.archive_path, max_member_bytes=settings.max_member_bytes
        )
        _report_unknown(self._archive)
        if not self._archive.members:
            raise ForeignArchive(
                f"{self._archive.origin} holds no export files of Amplitude.",
                remedy="Event files are named like 187520_2020-01-25_17#1.json.gz.",
            )

    @property
    def window(self) -> Window:
        """From the first hour that has a file to the last."""
        members = self._archive.members
        return Window(members[0].hour, members[-1].hour + HOUR)

    def portions(self, start: datetime, until: datetime) -> Iterator[Portion]:
        """Give hour after hour; each is verified before it is given.

        Hours without files between two that have some are taken as empty: bucket exports may
        leave no mark for them.
        """
        for hour, members in self._archive.hours():
            if hour < start:
                continue
            if hour >= until:
                break
            self._archive.verify(members)
            yield Portion(Window(start, hour + HOUR), [(hour, members)])
            start = hour + HOUR
        if start < until:
            yield Portion(Window(start, until))


def _report_unknown(archive: Archive) -> None:
    if archive.merged_ids:
        logger.info(
            "%s holds %d lists of merged users beside the events; they are left out.",
            archive.origin,
            archive.merged_ids,
        )
    if archive.unknown:
        logger.warning(
            "%s holds %d files that are no exported events; they are left out. The first: %r",
            archive.origin,
            len(archive.unknown),
            archive.unknown[0],
        )
