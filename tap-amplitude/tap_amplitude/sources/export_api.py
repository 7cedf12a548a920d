"""A project as a source: windows of the Export API, in order; `archive` reads files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_amplitude.api.connection import Connection
from tap_amplitude.api.export import ExportApi
from tap_amplitude.api.results import Downloaded
from tap_amplitude.files.left_out import LeftOut
from tap_amplitude.files.spool import Spool
from tap_amplitude.sources.api_plan import plan_project
from tap_amplitude.sources.downloads import Downloads
from tap_amplitude.sources.hour_range import HourRange, VerifiedHours
from tap_amplitude.windows import HOUR, WindowSize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_amplitude.settings import Settings
    from tap_amplitude.sources.api_plan import ProjectPlan
    from tap_amplitude.state.bookmark import Bookmark


def hours_of_project(
    bookmark: Bookmark | None,
    settings: Settings,
    now: datetime,
    *,
    user_agent: str,
    just_one: bool,
    raw: bool,
) -> HourRange:
    """Return the hours of a project that a run reads through the Export API.

    With `just_one` a single hour is asked for, as a test of the connection. With `raw` files are
    checked as `Member.verify` says: events are handed over undecoded.

    Raises:
        FixConfiguration: The state is another project's, or another range's.
    """
    plan = plan_project(bookmark, settings, now)
    if plan.window.hours <= 0:
        return HourRange(None, plan.notes)
    left_out = LeftOut()
    verified = _verified_hours(
        plan, settings, left_out, user_agent=user_agent, just_one=just_one, raw=raw
    )
    return HourRange(plan.window, plan.notes, verified, left_out)


def _verified_hours(
    plan: ProjectPlan,
    settings: Settings,
    left_out: LeftOut,
    *,
    user_agent: str,
    just_one: bool,
    raw: bool,
) -> Iterator[VerifiedHours]:
    """Yield all hours of a plan; windows are downloaded ahead, and deleted when they are out."""
    state, window = plan.bookmark, plan.window
    spool = Spool(settings.spool_path)
    api = ExportApi(
        Connection.of(settings, user_agent),
        spool=spool.path,
        max_member_bytes=settings.max_member_bytes,
        raw=raw,
        retry_seconds=settings.retry_seconds,
    )
    downloads = Downloads(
        api.fetch,
        WindowSize.start(
            1 if just_one else settings.max_window_hours,
            state.window_hours,
            settings.parallel_downloads,
        ),
        window.start,
        min(window.end, window.start + HOUR) if just_one else window.end,
        parallel=settings.parallel_downloads,
        max_bytes=settings.max_spool_bytes,
    )
    try:
        for arrival in downloads:
            if isinstance(arrival.result, Downloaded):
                archive = arrival.result.archive
                left_out.absorb(archive.left_out)
                for hour, files in archive.hours():
                    state = plan.checked(state, {member.app for member in files})
                    state = plan.after(state, hour + HOUR, arrival.window_hours)
                    yield VerifiedHours(files, 0, state, hour + HOUR)
            state = plan.after(state, arrival.window.end, arrival.window_hours)
            yield VerifiedHours((), arrival.window.hours, state, arrival.window.end)
    finally:
        downloads.close()
        spool.close()
