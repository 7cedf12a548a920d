"""Which hours the next run reads, and whose the state is. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tap_amplitude.common.findings import Finding, Level
from tap_amplitude.common.quantities import count
from tap_amplitude.errors import FixConfiguration
from tap_amplitude.sources.api_plan import plan_project
from tap_amplitude.state.coverage import NAMELESS_PROJECT
from tap_amplitude.state.notes import end_is_ahead, nothing_to_do
from tap_amplitude.validation import rounded_dates
from tap_amplitude.windows import HOUR, Window, ceil_to_hour, hour_text, ready_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from tap_amplitude.settings import Settings
    from tap_amplitude.sources.api_plan import ProjectPlan
    from tap_amplitude.state.bookmark import Bookmark

#: Younger events are not history to some targets (posthog.com, docs/migrate).
HISTORICAL_AFTER = timedelta(hours=48)
_NO_STATE = (
    "No state was given to the check: Meltano hands none to a command. `meltano run` goes on from "
    "its own, if there is one (`meltano state list`)."
)
_GIVE_STATE = (
    "To check it, too: `meltano state get <state id> > state.json`, and `--state state.json`."
)


def dates_as_understood(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Say which dates are not on the hour, and what becomes of them."""
    for sentence in rounded_dates(config):
        yield Finding("dates", Level.NOTE, sentence)


def api_plan(
    bookmark: Bookmark | None, settings: Settings, now: datetime
) -> tuple[ProjectPlan | None, list[Finding]]:
    """Return the plan of a run through the API, and what to say of it.

    There is no plan when the state does not allow one. The settings have a first hour.
    """
    try:
        plan = plan_project(bookmark, settings, now)
    except FixConfiguration as error:
        return None, [Finding("state", Level.FIX, error.happened, error.remedy)]
    ready = ready_until(now)
    # `range_findings` says the same with more.
    said = {end_is_ahead(settings.end, ready), nothing_to_do(plan.new_from, settings.end, ready)}
    notes = [Finding("dates", Level.NOTE, note.text) for note in plan.notes if note not in said]
    return plan, [*range_findings(plan.window, now, end=settings.end), *notes]


def range_findings(
    window: Window, now: datetime, *, end: datetime | None = None
) -> Iterator[Finding]:
    """Say which hours are read, and which not yet."""
    ready = ready_until(now)
    if window.hours <= 0:
        yield _nothing_to_read(window.start, ready, now, end)
        return
    last = window.end - HOUR
    yield Finding(
        "dates",
        Level.OK,
        f"The first hour is {hour_text(window.start)}, the last {hour_text(last)}, both UTC and "
        f"by the time of upload: {count(window.hours, 'hour')}.",
    )
    if end is not None and end > ready:
        yield Finding(
            "dates",
            Level.NOTE,
            f"`end_date` is {hour_text(end)}: {count((end - ready) // HOUR, 'hour')} from "
            f"{hour_text(ready)} on cannot be read yet. A later run goes on there.",
        )
    limit = ceil_to_hour(now - HISTORICAL_AFTER)
    if young := hours_under_48(window, now):
        yield Finding(
            "dates",
            Level.NOTE,
            f"{count(young, 'hour')} of them {'is' if young == 1 else 'are'} of the last 48 hours, "
            "which PostHog does not take for history, and may bill.",
            f"For a migration set `end_date` to {hour_text(min(limit, window.end))}, or earlier.",
        )


def hours_under_48(window: Window, now: datetime) -> int:
    """Return how many hours of a window are of the last 48."""
    limit = ceil_to_hour(now - HISTORICAL_AFTER)
    return max(0, (window.end - max(window.start, limit)) // HOUR)


def _nothing_to_read(
    start: datetime, ready: datetime, now: datetime, end: datetime | None
) -> Finding:
    if start > now:
        return Finding(
            "dates",
            Level.FIX,
            f"Nothing can be read: the first hour, {hour_text(start)}, lies in the future.",
            "Correct `start_date`.",
        )
    if end is not None and start >= end:
        return Finding(
            "dates", Level.OK, f"Nothing is left to read before `end_date`, {hour_text(end)}."
        )
    return Finding(
        "dates",
        Level.NOTE,
        f"Nothing can be read yet: the next hour is {hour_text(start)}, and Amplitude has finished "
        f"loading those before {hour_text(ready)}.",
    )


def state_findings(bookmark: Bookmark | None, *, is_given: bool) -> Iterator[Finding]:
    """Say what a state holds."""
    if not is_given:
        yield Finding("state", Level.NOTE, _NO_STATE, _GIVE_STATE)
        return
    if bookmark is None:
        yield Finding("state", Level.OK, "It is empty: the next run begins at the first hour.")
        return
    covered = [] if bookmark.covered is None else bookmark.covered.apps
    ranges = [
        f"{_whose(app)} from {hour_text(span.start)} to {hour_text(span.end)}"
        for app in covered
        for span in (bookmark.covered.of(app) if bookmark.covered else ())
    ]
    holds = f" It holds {'; '.join(ranges)} (exclusive)." if ranges else ""
    yield Finding(
        "state",
        Level.OK,
        f"Its next hour is {hour_text(bookmark.next_export_hour)}.{holds}",
    )


def _whose(app: str) -> str:
    if app == NAMELESS_PROJECT:
        return "hours of the API's project"
    return f"hours of app {app}" if app else "hours of files without an app"
