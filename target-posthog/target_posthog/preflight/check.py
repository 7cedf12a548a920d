"""Everything that can be known before the first event, asked in one go."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from target_posthog.capture.hosts import REGIONS, app_host
from target_posthog.common.checked_settings import settings_findings
from target_posthog.common.findings import Finding, Level
from target_posthog.errors import FixConfiguration
from target_posthog.preflight.ledger import ledger_findings
from target_posthog.preflight.migration import migration_findings
from target_posthog.preflight.peers import (
    PATIENCE_SECONDS,
    PosthogQuestions,
    host_findings,
    token_form_finding,
)
from target_posthog.preflight.project import project_findings
from target_posthog.preflight.room import room_findings
from target_posthog.progress.summary import place_of
from target_posthog.settings import Settings
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.common.checked_settings import Given


def check(given: Given, program: str, *, regions: Mapping[str, str] = REGIONS) -> list[Finding]:
    """Return what was found, in the order in which a user sets things up."""
    settings = Settings.read(given.config, has_own_rejects="rejects_path" in given.names)
    now = datetime.now(timezone.utc)
    own = list(_posthog_findings(settings, program, regions))
    elsewhere = frozenset(
        f"{finding.text} {finding.remedy}" for finding in own if finding.level is Level.FIX
    )
    return [
        *settings_findings(given, "target-posthog", found_elsewhere=elsewhere),
        *own,
        *_project_findings(settings, program, now),
        *migration_findings(settings, now),
        *_ledger_findings(settings),
        *room_findings(settings, place_of(given.config)),
    ]


def _posthog_findings(
    settings: Settings, program: str, regions: Mapping[str, str]
) -> Iterator[Finding]:
    if settings.preview_path:
        yield Finding(
            "preview",
            Level.NOTE,
            f"`preview_path` is set: a run sends nothing, and writes to {settings.preview_path}.",
            "Take `preview_path` out to send.",
        )
        if not settings.api_key:
            return
    form = token_form_finding(settings)
    hosts = list(host_findings(settings.host, regions))
    yield from (form, *hosts)
    if any(finding.level is Level.FIX for finding in hosts):
        return
    questions = PosthogQuestions(settings, program, regions=regions)
    if form.level is Level.OK:
        yield questions.token_finding()
    yield questions.ingestion_finding()


def _project_findings(settings: Settings, program: str, now: datetime) -> Iterator[Finding]:
    try:
        app_host(settings.app_host, settings.host)
    except FixConfiguration:
        # Told of the settings.
        return
    yield from project_findings(settings, program, now=now, patience_seconds=PATIENCE_SECONDS)


def _ledger_findings(settings: Settings) -> Iterator[Finding]:
    if settings.preview_path:
        # It has one of its own, which goes with it.
        return
    try:
        api_key: str | None = api_key_of(settings)
    except FixConfiguration:
        api_key = None
    yield from ledger_findings(settings.ledger_url, api_key)
