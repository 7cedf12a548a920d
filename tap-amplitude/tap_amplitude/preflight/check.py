"""Everything that can be known before the first event, asked in one go."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from tap_amplitude.common.checked_settings import settings_findings
from tap_amplitude.preflight.amplitude import AmplitudeQuestions
from tap_amplitude.preflight.files import archive_findings
from tap_amplitude.preflight.other_streams import stream_findings
from tap_amplitude.preflight.range import api_plan, dates_as_understood, state_findings
from tap_amplitude.preflight.room import room_findings
from tap_amplitude.settings import REGION_URLS, Settings
from tap_amplitude.streams.events import EventsStream
from tap_amplitude.windows import HOUR, ready_until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from tap_amplitude.common.checked_settings import Given
    from tap_amplitude.common.findings import Finding
    from tap_amplitude.state.bookmark import Bookmark


def check(
    given: Given,
    bookmark: Bookmark | None,
    now: datetime,
    user_agent: str,
    *,
    has_state: bool,
    selected: Collection[str] = (EventsStream.name,),
    merges: Bookmark | None = None,
    regions: Mapping[str, str] = MappingProxyType(REGION_URLS),
) -> Iterator[Finding]:
    """Yield what is found, in the order in which a user sets things up."""
    yield from settings_findings(given, "tap-amplitude")
    settings = _settings_of(given, regions)
    if EventsStream.name in selected:
        questions = AmplitudeQuestions(settings, user_agent, regions=regions)
        yield from _of_events(given, settings, bookmark, now, questions, has_state=has_state)
    yield from stream_findings(
        selected, given.config, settings, now, has_keys=_has_keys(given), merges=merges
    )
    yield from room_findings(settings)


def _of_events(
    given: Given,
    settings: Settings,
    bookmark: Bookmark | None,
    now: datetime,
    questions: AmplitudeQuestions,
    *,
    has_state: bool,
) -> Iterator[Finding]:
    is_archive = settings.archive_path is not None
    if not is_archive:
        yield from _of_project(given, settings, bookmark, now, questions)
    yield from state_findings(bookmark, is_given=has_state)
    if is_archive and _has_dates(given) and not _is_wrong(given, "archive_path"):
        yield from dates_as_understood(given.config)
        yield from archive_findings(bookmark, settings, now)


def _settings_of(given: Given, regions: Mapping[str, str]) -> Settings:
    settings = Settings.read(given.config)
    if given.config.get("api_url"):
        return settings
    return replace(settings, base_url=regions[settings.region])


def _of_project(
    given: Given,
    settings: Settings,
    bookmark: Bookmark | None,
    now: datetime,
    questions: AmplitudeQuestions,
) -> Iterator[Finding]:
    hour = ready_until(now) - HOUR
    findings: list[Finding] = []
    if _has_dates(given):
        findings = [*dates_as_understood(given.config)]
        plan, found = api_plan(bookmark, settings, now)
        findings += found
        if plan is not None and plan.window.hours > 0:
            hour = plan.window.start
    if _has_keys(given):
        yield from questions.findings(hour)
    yield from findings


def _has_keys(given: Given) -> bool:
    """Return True if Amplitude can be asked."""
    are_set = given.config.get("api_key") and given.config.get("secret_key")
    return bool(are_set) and not _is_wrong(given, "api_key", "secret_key", "api_url", "region")


def _has_dates(given: Given) -> bool:
    """Return True if the range is known; exported files need no dates."""
    begins = given.config.get("start_date") or given.config.get("archive_path")
    return bool(begins) and not _is_wrong(given, "start_date", "end_date")


def _is_wrong(given: Given, *names: str) -> bool:
    """Return True if something is wrong with one of some settings."""
    return any(
        problem.startswith(tuple(f"`{name}`" for name in names)) for problem in given.problems
    )
