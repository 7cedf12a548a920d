"""Which hours of whom a run reads, and what it says of it (pure: no clock, no I/O)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tap_amplitude.errors import FixConfiguration
from tap_amplitude.state.bookmark import Bookmark, project_digest
from tap_amplitude.state.coverage import NAMELESS_PROJECT, Coverage
from tap_amplitude.state.notes import (
    Note,
    end_is_ahead,
    gap_before,
    nothing_to_do,
    reads_again,
    start_has_no_effect,
    state_is_adopted,
    switch_to_api,
)
from tap_amplitude.windows import Window, hour_text, ready_until

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from tap_amplitude.settings import Settings

_TWO_WAYS = (
    "To export it beside the other one, give it a state of its own: add `--state-id-suffix=<name>` "
    "to `meltano run`. If the project is the same and only its key or address changed, go on with "
    '`meltano state merge <state id> \'{"singer_state": {"bookmarks": {"events": {"project": ""'
    "}}}}'` (`meltano state list` shows the id)."
)


@dataclass(frozen=True)
class ProjectPlan:
    """What a run reads through Amplitude's API.

    Attributes:
        window: The hours to ask for.
        bookmark: The state that the run begins with.
        new_from: From this hour on, hours are new; earlier ones are read again.
        expected_app: Whose files have to come; empty when any may.
        notes: What to say.
    """

    window: Window
    bookmark: Bookmark
    new_from: datetime
    expected_app: str = ""
    notes: Sequence[Note] = field(default=())

    def checked(self, bookmark: Bookmark, apps: Collection[str]) -> Bookmark:
        """Return the bookmark with the project's app, as the files of an hour tell it.

        Raises:
            FixConfiguration: They are another project's.
        """
        named = sorted(filter(None, apps))
        if self.expected_app and named and self.expected_app not in named:
            raise FixConfiguration(
                f"The state holds hours of app {self.expected_app}, and the keys are those of app "
                f"{named[0]}.",
                remedy="Give this project a state of its own: add `--state-id-suffix=<name>` to "
                "`meltano run`. Or correct `api_key` and `secret_key`.",
            )
        if bookmark.project_app or not named:
            return bookmark
        app = self.expected_app or named[0]
        covered = (bookmark.covered or Coverage()).renamed(NAMELESS_PROJECT, app)
        return replace(bookmark, project_app=app, covered=covered)

    def after(self, bookmark: Bookmark, hour: datetime, window_hours: int | None) -> Bookmark:
        """Return the bookmark when all hours before one are out."""
        moved = bookmark.moved_to(hour, self.window.end, window_hours)
        if hour <= self.new_from:
            return moved
        app = moved.project_app or NAMELESS_PROJECT
        covered = (moved.covered or Coverage()).reaching(app, self.new_from, hour)
        return replace(moved, covered=covered)


def plan_project(bookmark: Bookmark | None, settings: Settings, now: datetime) -> ProjectPlan:
    """Decide which hours to ask Amplitude's API for; none when there is nothing to do.

    Raises:
        FixConfiguration: The state is another project's, or another range's.
    """
    assert settings.start is not None  # noqa: S101 - the configuration was checked
    project = project_digest(settings.region, settings.base_url, settings.api_key)
    ready = ready_until(now)
    until = min(ready, settings.end or ready)
    notes = [end_is_ahead(settings.end, ready)]
    if bookmark is None:
        new = Bookmark(
            settings.start, export_from=settings.start, project=project, covered=Coverage()
        )
        window = Window(settings.start, until)
        if window.hours <= 0:
            notes.append(nothing_to_do(settings.start, settings.end, ready))
        return ProjectPlan(window, new, settings.start, notes=_said(notes))
    _refuse_another_project(bookmark, project)
    _refuse_another_range(bookmark, settings)
    new_from, expected_app = _where_to_go_on(bookmark)
    if expected_app and _has_files(bookmark, expected_app):
        notes.append(switch_to_api(expected_app, new_from))
    elif not bookmark.project:
        notes.append(state_is_adopted())
    notes.append(
        gap_before(bookmark, settings.start) or start_has_no_effect(new_from, settings.start)
    )
    known = replace(bookmark, project=project, covered=_of_project(bookmark))
    first = replace(known, next_export_hour=new_from).first_hour(
        settings.lookback_hours, settings.start
    )
    window = Window(first, until)
    notes.append(
        reads_again(first, new_from)
        if window.hours > 0
        else nothing_to_do(new_from, settings.end, ready)
    )
    return ProjectPlan(window, known, new_from, expected_app, _said(notes))


def _of_project(bookmark: Bookmark) -> Coverage:
    """Return the coverage of a state; of one that does not say, all is the project's."""
    if bookmark.covered is not None:
        return bookmark.covered
    first, last = bookmark.export_from, bookmark.next_export_hour
    covered = Coverage()
    return covered.reaching(NAMELESS_PROJECT, first, last) if first and first < last else covered


def _has_files(bookmark: Bookmark, app: str) -> bool:
    """Return True if hours of an app came from exported files, and not only from the API."""
    return not all(span.is_uncounted for span in (bookmark.covered or Coverage()).of(app))


def _where_to_go_on(bookmark: Bookmark) -> tuple[datetime, str]:
    """Return the first hour that this project lacks, and whose files have to come then."""
    covered = bookmark.covered or Coverage()
    if bookmark.project:
        app = bookmark.project_app or NAMELESS_PROJECT
        return covered.end_of(app) or bookmark.next_export_hour, ""
    if covered.apps in ((), (NAMELESS_PROJECT,)):
        return bookmark.next_export_hour, ""
    if len(covered.apps) > 1:
        named = ", ".join(app or "one without a number" for app in covered.apps)
        raise FixConfiguration(
            f"The state holds exported files of {len(covered.apps)} apps "
            f"({named}), and the API exports one of them: its next hour is not known.",
            remedy="Give the API a state of its own: add `--state-id-suffix=<name>` to `meltano "
            "run`, and set `start_date` to the hour at which the files of its app end.",
        )
    return bookmark.next_export_hour, covered.apps[0]


def _refuse_another_project(bookmark: Bookmark, project: str) -> None:
    if bookmark.project and bookmark.project != project:
        raise FixConfiguration(
            "The state holds hours of another Amplitude project: they were read with another "
            "`api_key`, `region` or `api_url`.",
            remedy=_TWO_WAYS,
        )


def _refuse_another_range(bookmark: Bookmark, settings: Settings) -> None:
    """Refuse a state beyond `end_date` that lacks hours of the range that is asked for.

    Two `meltano run` in one folder read each other's state
    (https://github.com/meltano/meltano/issues/8763): one then exported nothing, and said so only
    in passing.
    """
    start, end, held = settings.start, settings.end, bookmark.export_from
    if not (start and end and held and start < held and bookmark.next_export_hour >= end):
        return
    raise FixConfiguration(
        f"The state is that of another range: it has the hours from {hour_text(held)} to "
        f"{hour_text(bookmark.next_export_hour)}, and `start_date` and `end_date` ask for "
        f"{hour_text(start)} to {hour_text(end)}.",
        remedy="Give each range a state of its own: add `--state-id-suffix=<name>` to `meltano "
        "run`. Ranges that run at the same time in one folder share Meltano's files: use "
        "`meltano el --state-id=<name> tap-amplitude target-posthog`, or a folder for each. To "
        "export this range with this state all the same, add `--full-refresh`.",
    )


def _said(notes: Sequence[Note | None]) -> Sequence[Note]:
    return tuple(note for note in notes if note)
