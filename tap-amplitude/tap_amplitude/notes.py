"""What a user should know about the range of a run, where settings and state differ (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_amplitude.windows import hour_text

if TYPE_CHECKING:
    from datetime import datetime

    from tap_amplitude.windows import Bookmark


def gap_before(bookmark: Bookmark | None, start: datetime | None) -> str | None:
    """Say that `start_date` lies before everything that the state knows of.

    Args:
        bookmark: What the state remembers.
        start: The hour of `start_date`.

    Returns:
        A sentence or two for a warning; None when nothing is missing, or nobody can know.
    """
    if not (bookmark and bookmark.export_from and start and start < bookmark.export_from):
        return None
    began = hour_text(bookmark.export_from)
    return (
        f"`start_date` is {hour_text(start)}, but the export of this state began at {began}: the "
        "hours between are not exported, and this run leaves them out, too. To get them, run once "
        f"with `end_date` {began} and a state of its own, by adding `--state-id-suffix=earlier` to "
        "`meltano run`; or export everything again with `--full-refresh`."
    )


def start_has_no_effect(bookmark: Bookmark | None, start: datetime | None) -> str | None:
    """Say that the state wins over `start_date`.

    Args:
        bookmark: What the state remembers.
        start: The hour of `start_date`.

    Returns:
        A sentence or two; None when both mean the same hour.
    """
    if not (bookmark and start) or start == bookmark.next_export_hour:
        return None
    return (
        f"The state goes on at {hour_text(bookmark.next_export_hour)}, so `start_date` has no "
        "effect. To start at it again, add `--full-refresh` to `meltano run`; to go on elsewhere, "
        "use `meltano state set`."
    )


def end_is_ahead(end: datetime | None, ready: datetime) -> str | None:
    """Say that `end_date` asks for hours that cannot be read yet.

    Args:
        end: The hour of `end_date`.
        ready: First hour that Amplitude may not have finished loading.

    Returns:
        A sentence; None when everything can be read.
    """
    if end is None or end <= ready:
        return None
    return (
        f"`end_date` is {hour_text(end)}, but hours from {hour_text(ready)} on cannot be read yet: "
        "this run ends there, and a later one goes on."
    )
