"""The summary of a run: one JSON file that says how it ended, where `summary_path` asks for it."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_amplitude.common.summary_file import class_of, put_json, rfc3339
from tap_amplitude.errors import FixConfiguration, RunAgain, no_room

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_amplitude.errors import TapError


class Summary:
    """Writes the summary of this process's run."""

    def __init__(
        self,
        version: str,
        utc_now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._version = version
        self._utc_now = utc_now
        self._started_at = utc_now()
        self._path: Path | None = None

    def begin(self, config: Mapping[str, Any]) -> None:
        """Say that the run goes on, in place of what an earlier one had said.

        The settings are as they were read; anything may be wrong with them.

        Raises:
            FixConfiguration: The file cannot be written.
            DiskFull: There is no room for it.
        """
        place = config.get("summary_path")
        if not isinstance(place, str) or not place or "\0" in place:
            return
        self._path = Path(place).expanduser()
        if problem := self._write(None, None):
            path, self._path = self._path, None
            full = OSError(problem.errno, problem.strerror)
            raise no_room(full, f"the summary {path}", setting="summary_path") or FixConfiguration(
                f"The summary cannot be written: {_why_not(path, problem)}.",
                remedy="Set `summary_path` to a file in a folder that you may write to.",
            )

    def end(self, exit_code: int, failure: TapError | None = None) -> RunAgain | None:
        """Write how the run ended; return what to report when that cannot be written."""
        problem = self._write(exit_code, failure)
        if problem is None:
            return None
        return RunAgain(
            f"The summary cannot be written: {_why_not(self._path, problem)}.",
            remedy="Make room or set `summary_path` to another place, and run again.",
        )

    def _write(self, exit_code: int | None, failure: TapError | None) -> OSError | None:
        """Write the file, if one is asked for; return what stands against it."""
        if self._path is None:
            return None
        now = rfc3339(self._utc_now())
        content = {
            "version": self._version,
            "process": os.getpid(),
            "started_at": rfc3339(self._started_at),
            "ended_at": None if exit_code is None else now,
            "exit_code": exit_code,
            "exit_class": class_of(exit_code),
            "error": None if failure is None else str(failure),
            "next": None if failure is None else failure.remedy or failure.happened,
        }
        try:
            put_json(self._path, content, is_last=exit_code is not None)
        except OSError as error:
            return error
        return None


def _why_not(path: Path | None, error: OSError) -> str:
    return f"{path} ({error.strerror})"
