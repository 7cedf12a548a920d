"""What a user should know about the range of a run, where settings and state differ (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_amplitude.common.quantities import count
from tap_amplitude.windows import HOUR, READY_AFTER, hour_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tap_amplitude.state.bookmark import Bookmark
    from tap_amplitude.state.coverage import Covered


_SHOWN = 5


@dataclass(frozen=True)
class Note:
    """A sentence or two for the log.

    Attributes:
        is_warning: Whether something is left out, or may be.
    """

    text: str
    is_warning: bool = False


def gap_before(bookmark: Bookmark, start: datetime | None) -> Note | None:
    """Return a warning if `start_date` lies before everything that the state knows of."""
    if not (bookmark.export_from and start and start < bookmark.export_from):
        return None
    began = hour_text(bookmark.export_from)
    return Note(
        f"`start_date` is {hour_text(start)}, but the export of this state began at {began}: the "
        "hours between are not exported, and this run leaves them out, too. To get them, run once "
        f"with `end_date` {began} and a state of its own, by adding `--state-id-suffix=earlier` to "
        "`meltano run`; or export everything again with `--full-refresh`.",
        is_warning=True,
    )


def start_has_no_effect(next_hour: datetime, start: datetime | None) -> Note | None:
    """Return the note that the state wins over `start_date`; None when both mean the same hour.

    It is a warning when more is read than `start_date` asks for.
    """
    if not start or start == next_hour:
        return None
    return Note(
        f"The state goes on at {hour_text(next_hour)}, so `start_date` has no "
        "effect. To start at it again, add `--full-refresh` to `meltano run`; to go on elsewhere, "
        "use `meltano state set`.",
        is_warning=next_hour < start,
    )


def end_is_ahead(end: datetime | None, ready: datetime) -> Note | None:
    """Return the note that `end_date` asks for hours which cannot be read yet, if it does."""
    if end is None or end <= ready:
        return None
    return Note(
        f"`end_date` is {hour_text(end)}, but hours from {hour_text(ready)} on cannot be read yet: "
        "this run ends there, and a later one goes on."
    )


def nothing_to_do(next_hour: datetime, end: datetime | None, ready: datetime) -> Note:
    """Return why no hour is read.

    `ready` is the first hour that Amplitude may not have finished loading.
    """
    if end and next_hour >= end and end <= ready:
        return Note(f"All hours before `end_date`, {hour_text(end)}, are in the state.")
    return Note(
        f"The next hour is {hour_text(next_hour)}, which can be read from "
        f"{hour_text(next_hour + READY_AFTER)} on."
    )


def state_is_adopted() -> Note:
    """Return the note that the state is taken for that of the project at hand."""
    return Note(
        "The state does not say whose hours it holds: an older version wrote it, or `meltano "
        "state`. It is taken for that of this project, and says so from now on."
    )


def switch_to_api(app: str, hour: datetime) -> Note:
    """Return the note that the API goes on at an hour, where exported files of an app end."""
    return Note(
        f"Hours before {hour_text(hour)} came from exported files{_of_app(app)}; "
        "from there on Amplitude's API is asked."
    )


def reads_again(first: datetime, new_from: datetime) -> Note | None:
    """Return the note that hours before the state's come again, if any do."""
    hours = (new_from - first) // HOUR
    if hours <= 0:
        return None
    return Note(
        f"`lookback_hours`: {count(hours, 'hour')} before the state's {hour_text(new_from)} come "
        "again, with the same `uuid`s."
    )


def files_again(files: int, hour: datetime) -> Note:
    """Return the note that files of hours from one on come again."""
    return Note(
        f"`lookback_hours`: {count(files, 'file')} of hours from {hour_text(hour)} on come again, "
        "with the same `uuid`s."
    )


def files_are_adopted(bookmark: Bookmark, apps: Sequence[str]) -> Note:
    """Return the note that hours are taken as read, of a state that does not say whose it has."""
    return Note(
        "The state does not say whose hours it holds: an older version wrote it, or `meltano "
        f"state`. Hours before {hour_text(bookmark.next_export_hour)} are taken as read"
        f"{f' for {_apps(apps)}' if apps else ''}. If they are not, give these files a state of "
        "their own with `--state-id-suffix=<name>`."
    )


def switch_to_files(app: str) -> Note:
    """Return the note that files go on where the API was read."""
    return Note(
        f"The state has hours{_of_app(app)} that were read from Amplitude's API; of exported "
        "files, those of other hours are read."
    )


def apps_are_new(first: Mapping[str, datetime]) -> Note:
    """Return the note that apps are read from the first hour of each."""
    begin = min(first.values())
    return Note(
        f"New to the state: {_apps(sorted(first))}. Their files are read from their own first hour "
        f"on, which is {hour_text(begin)}{' at the earliest' if len(first) > 1 else ''}."
    )


def gap_after(app: str, end: datetime, begin: datetime) -> Note:
    """Return a warning that the files of an app begin after the end of what is out."""
    return Note(
        f"The files{_of_app(app)} begin at {hour_text(begin)}, but the next hour in the state is "
        f"{hour_text(end)}: the hours between are not exported. Files of them are read when they "
        "are there.",
        is_warning=True,
    )


def all_anew(app: str, files: int) -> Note:
    """Return the note that files are taken for copies of those that were read."""
    return Note(
        f"{count(files, 'file')}{_of_app(app)} of hours that are in the state "
        "were written after they were read. They are all that there are, and as many as were "
        "read, so they are taken for copies. If not, export them again with `--full-refresh`.",
        is_warning=not app,  # another project's may have the same names
    )


def more_files(app: str, files: int, covered: Covered, came: str = "came") -> Note:
    """Return a warning that an app has more or other files in a range of hours than were read."""
    return Note(
        f"Left out: {count(files, 'file')}{_of_app(app)} that {came} after the "
        f"hours from {hour_text(covered.start)} to {hour_text(covered.end)} were read; nothing "
        "tells which, and they would come after newer hours. "
        f"{_to_bring(covered.start, covered.end)}.",
        is_warning=True,
    )


def late_files(first: datetime, last: datetime) -> str:
    """Return how to bring files that came late, from a first to a last hour."""
    return f"which would come after newer hours. {_to_bring(first, last + HOUR)}"


def not_listed(days: Sequence[str]) -> Note | None:
    """Return the note that objects of some ranges of days were not listed, if there are any."""
    if not days:
        return None
    return Note(
        f"Not listed, because their hours are in the state: objects of {shown(days)}. To look for "
        "parts that came late there, export them again with `--full-refresh` or with dates and a "
        "state of their own."
    )


def shown(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _to_bring(first: datetime, end: datetime) -> str:
    return (
        "To bring what came late, run "
        f"`TAP_AMPLITUDE_START_DATE={hour_text(first)} TAP_AMPLITUDE_END_DATE={hour_text(end)} "
        "meltano run --state-id-suffix=<name> tap-amplitude target-posthog`, or everything again "
        "with `--full-refresh`: PostHog keeps an event that comes again once"
    )


def _of_app(app: str) -> str:
    return f" of app {app}" if app else ""


def _apps(apps: Sequence[str]) -> str:
    return shown([f"app {app}" if app else "files without an app" for app in apps])
