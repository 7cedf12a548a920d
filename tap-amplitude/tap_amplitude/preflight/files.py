"""The user's own exported files: whether they can be reached, what they hold, what is left out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_amplitude.common.findings import Finding, Level
from tap_amplitude.common.quantities import count
from tap_amplitude.errors import TapError
from tap_amplitude.preflight.amplitude import finding_of, weight_findings
from tap_amplitude.preflight.range import range_findings
from tap_amplitude.preflight.weight import weigh
from tap_amplitude.sources.archive import ArchiveSource
from tap_amplitude.sources.file_plan import plan_files
from tap_amplitude.state.notes import not_listed
from tap_amplitude.state.reach import Reach
from tap_amplitude.windows import HOUR, Window, hour_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_amplitude.settings import Settings
    from tap_amplitude.sources.file_plan import FilePlan
    from tap_amplitude.state.bookmark import Bookmark

_AREA = "archive"


def archive_findings(
    bookmark: Bookmark | None, settings: Settings, now: datetime
) -> Iterator[Finding]:
    """Say what the next run would read of the archive, after reading its first hour."""
    reach = Reach.of(bookmark, settings)
    try:
        source = ArchiveSource(settings, reach, now)
        plan = plan_files(bookmark, reach, source.listing)
        yield from _of_plan(plan, source, now)
        # Some hours follow the last file and have none.
        with_files = [step for step in plan.steps if step.files]
        for members in source.read(step.files for step in with_files[:1]):
            what = f"The first hour, {hour_text(with_files[0].hour)}"
            yield from weight_findings(_AREA, what, weigh(members))
    except TapError as error:
        yield finding_of(error, _AREA)


def _of_plan(plan: FilePlan, source: ArchiveSource, now: datetime) -> Iterator[Finding]:
    files = [member for step in plan.steps for member in step.files]
    apps = sorted({member.app for member in files})
    whose = f" of {', '.join(f'app {app}' if app else 'no app' for app in apps)}" if apps else ""
    hours = sum(1 for step in plan.steps if step.files)
    size = sum(member.packed_bytes for member in files)
    yield Finding(
        _AREA,
        Level.OK if files else Level.NOTE,
        f"{count(len(files), 'file')}{whose} would be read, {size / 1e6:,.1f} MB packed: "
        f"{count(hours, 'hour')} with events."
        if files
        else "It can be read, and holds no file that the next run would read.",
    )
    if plan.steps:
        window = Window(plan.steps[0].since, plan.steps[-1].hour + HOUR)
        yield from range_findings(window, now)
    left_out = source.left_out
    for why, member, until in plan.left_out:
        left_out.add(why, member.place, until)
    for level, sentence in left_out.sentences():
        is_warning = level >= logging.WARNING
        yield Finding(_AREA, Level.NOTE if is_warning else Level.OK, sentence)
    for note in (*plan.notes, not_listed(source.not_listed())):
        if note is not None:
            yield Finding("state", Level.NOTE, note.text)
