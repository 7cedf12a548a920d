"""What a user should know about the range of a run, where settings and state differ (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_amplitude.windows import hour_text

if TYPE_CHECKING:
    from datetime import datetime

    from tap_amplitude.bookmark import Bookmark


@dataclass(frozen=True)
class Note:
    """A sentence or two for the log.

    Attributes:
        text: What to say.
        is_warning: Whether something is left out, or may be.
    """

    text: str
    is_warning: bool = False


def gap_before(bookmark: Bookmark, start: datetime | None) -> Note | None:
    """Say that `start_date` lies before everything that the state knows of.

    Args:
        bookmark: What the state remembers.
        start: The hour of `start_date`.

    Returns:
        A warning; None when nothing is missing, or nobody can know.
    """
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
    """Say that the state wins over `start_date`.

    Args:
        next_hour: Where the state goes on.
        start: The hour of `start_date`.

    Returns:
        A note, a warning when more is read than `start_date` asks for; None when both mean the
        same hour.
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
    """Say that `end_date` asks for hours that cannot be read yet.

    Args:
        end: The hour of `end_date`.
        ready: First hour that Amplitude may not have finished loading.

    Returns:
        A note; None when everything can be read.
    """
    if end is None or end <= ready:
        return None
    return Note(
        f"`end_date` is {hour_text(end)}, but hours from {hour_text(ready)} on cannot be read yet: "
        "this run ends there, and a later one goes on."
    )


def state_is_adopted() -> Note:
    """Say that the state is taken for that of the project at hand."""
    return Note(
        "The state does not say whose hours it holds: an older version wrote it, or `meltano "
        "state`. It is taken for that of this project, and says so from now on."
    )


def switch_to_api(app: str, hour: datetime) -> Note:
    """Say that the API goes on where exported files end.

    Args:
        app: Whose files they were.
        hour: The first hour to ask for.
    """
    return Note(
        f"Hours before {hour_text(hour)} came from exported files{f' of app {app}' * bool(app)}; "
        "from there on Amplitude's API is asked."
    )
