"""The text of the support request that PostHog asks for before a migration. Pure.

PostHog wants to know where events go to, how, how many there are, and how fast (posthog.com,
docs/migrate: "Raise an in-app support request (Target Area: Data Management)").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.capture.hosts import REGIONS, ingestion_host, without_credentials
from target_posthog.capture.protocols import BatchWire, V1Wire
from target_posthog.common.quantities import count
from target_posthog.errors import FixConfiguration
from target_posthog.estimate.numbers import in_words, rounded, size_of, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.estimate.arithmetic import Estimate
    from target_posthog.estimate.weights import Weights
    from target_posthog.settings import Settings

_SOURCES = {
    "api": "Amplitude's Export API",
    "archive": "Amplitude's exported files",
    "book": "Amplitude",
}


def support_request(weights: Weights, estimate: Estimate, settings: Settings, program: str) -> str:
    """Return the text, to be copied as it is."""
    lines = [
        "Target area: Data Management",
        "",
        f"We would like to migrate {_volume(estimate)} from Amplitude to {_project(settings)}.",
        "",
        *(f"- {line}" for line in _lines(weights, estimate, settings, program)),
        "",
        "Please tell us when we may begin.",
    ]
    return "\n".join(lines)


def _volume(estimate: Estimate) -> str:
    events = estimate.events
    if events.is_exact:
        return count(events.likely, "event")
    return (
        f"about {in_words(events.likely)} events (between {in_words(events.low)} and "
        f"{in_words(events.high)})"
    )


def _project(settings: Settings) -> str:
    number = settings.project_id
    whose = f"project {number} in " if number else ""
    try:
        host = ingestion_host(settings.host)
    except FixConfiguration:
        return f"{whose}PostHog"
    return f"{whose}PostHog {REGIONS.get(host, f'at {without_credentials(host)}')}"


def _lines(weights: Weights, estimate: Estimate, settings: Settings, program: str) -> Iterator[str]:
    yield f"From: {_SOURCES.get(weights.source, weights.source)}, {weights.first} to {weights.end}."
    path = (V1Wire if settings.protocol == "v1" else BatchWire).path
    sizes = f"up to {settings.max_batch_events:,} events or {size_of(settings.max_batch_bytes)}"
    yield (
        f"How: the Singer target {program}, which posts to {path}, gzip, {sizes} in a request, the "
        "oldest hours first."
    )
    if estimate.sent_bytes is not None:
        yield (
            f"Volume: {size_of(rounded(estimate.sent_bytes.likely))} of JSON. Requests: about "
            f"{rounded(estimate.requests.likely):,}. Identity and group events, and repeats after "
            "failures, come on top."
        )
    yield _speed(estimate, settings.max_events_per_second)
    yield _history(estimate, settings.historical_migration)


def _speed(estimate: Estimate, agreed: float | None) -> str:
    if agreed is None or estimate.agreed_seconds is None:
        return "Speed: which one may we use? The target holds to the one that you name."
    return (
        f"Speed: at most {agreed:,.10g} events per second over all requests, for about "
        f"{time_of(estimate.agreed_seconds)}."
    )


def _history(estimate: Estimate, flag: str) -> str:
    young = estimate.young.likely
    flagged = {
        "true": "Every request has historical_migration: true.",
        "auto": "Requests with events older than 48 hours have historical_migration: true.",
        "false": "No request has historical_migration.",
    }[flag]
    if young:
        return f"{flagged} About {in_words(young)} events are not 48 hours old yet."
    return f"{flagged} All events are older than 48 hours."
