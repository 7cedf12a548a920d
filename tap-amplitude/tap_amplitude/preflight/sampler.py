"""Single hours of Amplitude's Export API, weighed: one request each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_amplitude.api.connection import Connection
from tap_amplitude.api.export import ExportApi
from tap_amplitude.api.results import Downloaded, TooLarge
from tap_amplitude.files.spool import Spool
from tap_amplitude.preflight.weight import Weight, weigh
from tap_amplitude.windows import HOUR, Window, WindowSize

if TYPE_CHECKING:
    from datetime import datetime

    from tap_amplitude.settings import Settings


@dataclass(frozen=True)
class SampledHour:
    """What came of one hour.

    Attributes:
        window: What was asked for: the hour, or its day where a file holds a day.
        weight: Of its events; nothing when it has none.
        seconds: How long it took to arrive.
    """

    window: Window
    weight: Weight
    seconds: float


class HourSampler:
    """Asks for hours; its downloads are gone when it is closed.

    Args:
        retry_seconds: How long to try while Amplitude or the network fails.
    """

    def __init__(self, settings: Settings, user_agent: str, retry_seconds: float) -> None:
        self._spool = Spool(settings.spool_path)
        self._api = ExportApi(
            Connection.of(settings, user_agent),
            spool=self._spool.path,
            max_member_bytes=settings.max_member_bytes,
            retry_seconds=retry_seconds,
        )

    def close(self) -> None:
        """Remove what is left of the downloads."""
        self._spool.close()

    def ask(self, hour: datetime) -> SampledHour:
        """Ask for one hour.

        Raises:
            TapError: It cannot be had.
        """
        window = WindowSize.start(1).next_window(hour, hour + HOUR)
        assert window is not None  # noqa: S101 - it has an hour
        begun = time.monotonic()
        arrived = self._api.fetch(window)
        seconds = time.monotonic() - begun
        assert not isinstance(arrived, TooLarge)  # noqa: S101 - of what can be split only
        if not isinstance(arrived, Downloaded):
            return SampledHour(window, Weight(), seconds)
        try:
            return SampledHour(window, weigh(arrived.archive.members), seconds)
        finally:
            arrived.discard()
