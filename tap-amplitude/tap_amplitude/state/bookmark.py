"""What the state of a stream remembers (pure: no clock, no I/O, no randomness)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR
from typing import TYPE_CHECKING, Any

from tap_amplitude.state.coverage import Coverage
from tap_amplitude.times import parse
from tap_amplitude.windows import HOUR, floor_to_hour, hour_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_DIGEST_LETTERS = 16


def project_digest(region: str, address: str, api_key: str) -> str:
    """Return what the state calls the project of an API key.

    It names no key: Amplitude's are 128 random bits, too many to try out, and of the SHA-256
    only 64 bits stay, which fit countless keys. The secret key is no part of it: to renew that
    does not make another project.
    """
    text = "\n".join(("tap-amplitude project", region, address.rstrip("/"), api_key))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LETTERS]


@dataclass(frozen=True)
class Bookmark:
    """What the state of a stream remembers.

    Attributes:
        next_export_hour: First hour that was not exported yet.
        window_hours: Size of a window that fits this project.
        export_until: First hour that the run does not read, so that a target can tell progress.
        export_from: Where the export began. None in older states.
        project: The digest of the project that was read by the API; empty when none was.
        project_app: The number of that project, once a file of it has shown it.
        covered: Whose hours are out; None in a state that does not say: an older one, or one that
            was set by hand.
    """

    next_export_hour: datetime
    window_hours: int | None = None
    export_until: datetime | None = None
    export_from: datetime | None = None
    project: str = ""
    project_app: str = ""
    covered: Coverage | None = None

    def first_hour(self, lookback_hours: int, start: datetime | None) -> datetime:
        """Return the hour at which the next run begins; it is not after the bookmark.

        `lookback_hours` before it are read again; neither `start` nor the beginning of the export
        is passed.
        """
        bounds = [bound for bound in (start, self.export_from) if bound]
        back = max([self.next_export_hour - lookback_hours * HOUR, *bounds])
        return min(back, self.next_export_hour)

    def moved_to(self, hour: datetime, until: datetime, window_hours: int | None) -> Bookmark:
        """Move on after an hour that is out; hours that were only read again move nothing."""
        return replace(
            self,
            next_export_hour=max(hour, self.next_export_hour),
            export_until=max(until, self.next_export_hour),
            window_hours=window_hours or self.window_hours,
        )

    def to_state(self) -> dict[str, str | int]:
        """Write it as JSON: strings and integers only, because a float stops SDK targets.

        Whose hours they are is always written, empty or not: Meltano merges the state of a
        `--full-refresh` into the old one, and what is missing in the new one would stay.
        """
        state: dict[str, str | int] = {"next_export_hour": hour_text(self.next_export_hour)}
        if self.window_hours is not None:
            state["window_hours"] = self.window_hours
        if self.export_until is not None:
            state["export_until"] = hour_text(self.export_until)
        if self.export_from is not None:
            state["export_from"] = hour_text(self.export_from)
        if self.covered is not None:
            state["project"] = f"{self.project} {self.project_app}".strip()
            state["apps"] = self.covered.to_text()
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Bookmark | None:
        """Read the bookmark in a stream's part of the Singer state; None when there is none yet.

        Raises:
            ValueError: A value cannot be read; the text names it.
        """
        if "next_export_hour" not in state:
            return None
        hours = state.get("window_hours")
        if hours is not None and (isinstance(hours, bool) or not isinstance(hours, int)):
            raise ValueError(f"`window_hours` is {hours!r}, which is not a whole number")
        until, first = (
            _read_hour(name, state[name]) if state.get(name) is not None else None
            for name in ("export_until", "export_from")
        )
        next_hour = _read_hour("next_export_hour", state["next_export_hour"])
        project, _, app = (_read_text("project", state.get("project")) or "").partition(" ")
        apps = _read_text("apps", state.get("apps"))
        return cls(
            next_export_hour=next_hour,
            window_hours=hours,
            export_until=until,
            export_from=first,
            project=project,
            project_app=app,
            covered=None if apps is None else Coverage.from_text(apps).until(next_hour),
        )


def _read_text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`{name}` is {value!r}, which is not text")
    return value


def _read_hour(name: str, value: object) -> datetime:
    moment = parse(value) if isinstance(value, str) else None
    # At both ends of time there are no hours before or after one.
    if moment is None or moment.year in {MINYEAR, MAXYEAR}:
        raise ValueError(f"`{name}` is {value!r}, which is not a time")
    # Down, never up: reading an hour again is harmless, leaving one out is not.
    return floor_to_hour(moment)
