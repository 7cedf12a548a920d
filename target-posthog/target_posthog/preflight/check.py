"""Everything that can be known before the first event, asked in one go."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from target_posthog.capture.hosts import REGIONS, app_host
from target_posthog.common.checked_settings import settings_findings
from target_posthog.common.findings import Finding, Level
from target_posthog.common.places import disk_findings, file_finding, folder_finding, place_finding
from target_posthog.common.remote_lines import folder_of, is_address
from target_posthog.errors import FixConfiguration
from target_posthog.ledger_url import ledger_file
from target_posthog.preflight.ledger import ledger_findings
from target_posthog.preflight.migration import migration_findings
from target_posthog.preflight.peers import (
    PATIENCE_SECONDS,
    PosthogQuestions,
    host_findings,
    token_form_finding,
)
from target_posthog.preflight.project import project_findings
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
        *_place_findings(settings, place_of(given.config)),
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


def _place_findings(settings: Settings, summary: Path | None) -> Iterator[Finding]:
    preview = settings.preview_path
    places: list[tuple[str, Path]] = []
    if preview and "://" not in preview:
        yield folder_finding("preview", "preview_path", Path(preview))
        places.append(("the preview", Path(preview)))
    rejects = settings.rejects_place
    yield place_finding("rejects", "rejects_path", rejects)
    if not is_address(rejects):
        places.append(("rejects", Path(folder_of(rejects))))
    if not preview and summary is not None:
        yield file_finding("summary", "summary_path", summary)
    if not preview and (ledger := ledger_file(settings.ledger_url)) is not None:
        places.append(("the ledger", ledger))
    yield from disk_findings(places)
