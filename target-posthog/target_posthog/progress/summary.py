"""The summary of a run: one JSON file, written anew when it begins, now and then, and at each exit.

It says which exit code the process had, and what to do about it; Meltano hides both.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from target_posthog.common.remote_lines import folder_of
from target_posthog.common.summary_file import class_of, put_json, rfc3339
from target_posthog.errors import NO_ROOM, FixConfiguration, NotBegun, RunAgain
from target_posthog.ledger_url import ledger_file
from target_posthog.progress.counts import Counts
from target_posthog.progress.speed import per_second

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_posthog.errors import TargetPosthogError
    from target_posthog.model import Json

#: The variable by which `meltano el` is given a state id; plugins inherit it.
STATE_ID = "MELTANO_STATE_ID"
_LONGEST_ID = 100
_IN_A_PREVIEW = "summary.json"
_USUAL_LEDGER = Path("target-posthog.db")


class RunProgress(Protocol):
    """What can tell of a run that has begun."""

    counts: Counts
    next_step: str

    def as_json(self) -> Json:
        """Return what is known of the run, besides its counts."""

    def stop(self) -> None:
        """Say what the run had come to, if it did not come to its end."""


class _Problem(NamedTuple):
    """Why the summary is not written."""

    path: Path
    error: OSError

    def __str__(self) -> str:
        return f"{self.path} ({self.error.strerror})"


class Summary:
    """Writes the summary of this process's run.

    Attributes:
        config: the settings, as far as they could be read; without any there is no file.
        progress: how far the run is; None before it has begun.
        run: what names it, in the book, too.
    """

    def __init__(
        self,
        version: str,
        utc_now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config: Mapping[str, Any] | None = None
        self.progress: RunProgress | None = None
        self.run = uuid.uuid4().hex
        self._version = version
        self._state_id = os.environ.get(STATE_ID, "")
        self._utc_now = utc_now
        self._clock = clock
        self._started_at = utc_now()
        self._started = clock()
        #: That it cannot be written is said.
        self._is_told = False

    def begin(self) -> None:
        """Say that the run goes on, in place of what an earlier one had said.

        Raises:
            FixConfiguration: the file that the user asked for cannot be written.
            NotBegun: the disk is full.
        """
        problem = self._write(None)
        # The preview itself tells when its folder cannot be written.
        if problem is None or self.is_preview or self._setting is None:
            return
        self._is_told = True
        if problem.error.errno in NO_ROOM:
            raise NotBegun(f"The summary cannot be written: {problem}.", self._elsewhere)
        raise FixConfiguration(
            f"The summary cannot be written: {problem}.",
            "Set `summary_path` to a file in a folder that you may write to.",
        )

    def go_on(self) -> None:
        """Write how far the run is."""
        self._write(None)

    def end(
        self, exit_code: int, failure: TargetPosthogError | None = None
    ) -> TargetPosthogError | None:
        """Write how the run ended; return what to report when that cannot be written."""
        problem = self._write(exit_code, failure)
        # A read-only folder stops no run whose user asked for no summary.
        if problem is None or self._setting is None or self._is_told:
            return None
        if self.is_preview and failure is not None:
            return None  # one full disk is enough
        ended = RunAgain(f"The summary cannot be written: {problem}.", self._elsewhere)
        if self.is_preview:
            ended.saved = ""
        return ended

    @property
    def is_preview(self) -> bool:
        """Whether the run sends nothing, by its settings."""
        return self._setting == "preview_path"

    @property
    def _elsewhere(self) -> str:
        return f"Make room or set `{self._setting}` to another place, and run again."

    @property
    def _setting(self) -> str | None:
        """The setting that says where it goes, if one does."""
        config = self.config or {}
        return next((name for name in ("preview_path", "summary_path") if config.get(name)), None)

    def _write(
        self, exit_code: int | None, failure: TargetPosthogError | None = None
    ) -> _Problem | None:
        """Write the file in one step; return what stands against it."""
        path = None if self.config is None else place_of(self.config, self._state_id)
        if path is None:
            return None
        try:
            put_json(path, self._as_json(exit_code, failure), is_last=exit_code is not None)
        except OSError as error:
            return _Problem(path, error)
        return None

    def _as_json(self, exit_code: int | None, failure: TargetPosthogError | None) -> Json:
        counts = Counts() if self.progress is None else self.progress.counts
        seconds = self._clock() - self._started
        now = self._utc_now()
        known = _NOT_BEGUN if self.progress is None else self.progress.as_json()
        # All that came is delivered, so the exit code is 0; but more was to come.
        is_early = known["tap_ended"] is False
        return {
            "run": self.run,
            "version": self._version,
            "process": os.getpid(),
            "started_at": rfc3339(self._started_at),
            "updated_at": rfc3339(now),
            "ended_at": None if exit_code is None else rfc3339(now),
            "exit_code": exit_code,
            "exit_class": "retry" if is_early and exit_code == 0 else class_of(exit_code),
            "error": None if failure is None else str(failure),
            "next": self._next_step(failure),
            "seconds": round(seconds, 3),
            "events_per_second": per_second(counts.exported, seconds),
            **counts.as_json(),
            **known,
        }

    def _next_step(self, failure: TargetPosthogError | None) -> str | None:
        if failure is not None:
            return failure.remedy or failure.happened
        return None if self.progress is None else self.progress.next_step or None


#: What is known of a run that has not begun; see `monitor`.
_NOT_BEGUN: Mapping[str, Any] = MappingProxyType(
    {
        "project": None,
        "destination": None,
        "is_preview": None,
        "rejects": None,
        "hours": None,
        "tap_ended": None,
        "tap_end": None,
        "speed": [],
    }
)


def place_of(config: Mapping[str, Any], state_id: str = "") -> Path | None:
    """Return where the summary of a run with these settings goes; None when it is not known.

    A preview keeps its own beside what it shows: it must not replace that of the last real run.
    `state_id` is that of the range which the run moves; see `STATE_ID`: ranges in one folder must
    not replace each other's.
    """
    preview, place = config.get("preview_path"), config.get("summary_path")
    if preview:
        return _file(preview, _IN_A_PREVIEW)
    if place:
        return _file(place)
    ledger = ledger_file(config.get("ledger_url")) or _USUAL_LEDGER
    of_range = f"-{_file_name(state_id)}" if state_id else ""
    return ledger.with_name(f"{ledger.stem}-summary{of_range}.json")


def _file_name(state_id: str) -> str:
    """Return a state id as a part of a file's name; those of two ids differ."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", state_id)[-_LONGEST_ID:]
    if plain == state_id:
        return plain
    return f"{plain}-{hashlib.sha256(state_id.encode()).hexdigest()[:8]}"


def _file(place: Any, *inside: str) -> Path | None:
    if not isinstance(place, str) or "://" in place or "\0" in place:
        return None
    return Path(folder_of(place), *inside)
