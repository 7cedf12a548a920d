"""The estimate as a person and as a machine read it. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from target_posthog.common.quantities import count
from target_posthog.estimate.numbers import between, number_of, rounded, size_of, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.estimate.arithmetic import Estimate
    from target_posthog.estimate.weights import Weights
    from target_posthog.settings import Settings

_UNKNOWN = "not known"
_SOURCES = {"api": "Amplitude", "archive": "the files"}
#: docs/identity.md.
_BYTES_OF_A_PAIR = 100


def as_text(
    weights: Weights,
    estimate: Estimate,
    settings: Settings,
    *,
    speed_is_measured: bool,
    request: str,
) -> str:
    """Return a table, and below it the support request."""
    rows = list(_rows(weights, estimate, settings, speed_is_measured=speed_is_measured))
    names, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{name:<{names}}  {value:>{values}}  {note}".rstrip() for name, value, note in rows]
    parts = [
        [_head(weights)],
        lines,
        list(_advice(estimate, settings)),
        ["What PostHog asks you to tell, in a support request in its app:"],
        [request],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def as_json(weights: Weights, estimate: Estimate, request: str) -> dict[str, Any]:
    """Return the same for a machine."""
    return {
        "source": weights.source,
        "first_hour": weights.first,
        "end_hour": weights.end,
        "hours": weights.hours,
        "sample_hours": len(weights.samples),
        **asdict(estimate),
        "support_request": request,
    }


def _head(weights: Weights) -> str:
    samples = len(weights.samples)
    by = (
        f"{count(samples, 'hour')} of the book"
        if weights.source == "book"
        else f"{count(samples, 'sample hour')} of {weights.place}"
    )
    return (
        f"{weights.first} to {weights.end} ({count(weights.hours, 'hour')}), estimated from {by}."
    )


def _rows(
    weights: Weights, estimate: Estimate, settings: Settings, *, speed_is_measured: bool
) -> Iterator[tuple[str, str, str]]:
    source = _SOURCES.get(weights.source, "the source")
    yield "events", number_of(estimate.events), between(estimate.events)
    yield "of the last 48 hours", number_of(estimate.young), ""
    yield f"from {source}", _size(estimate.packed_bytes), _unpacked(estimate)
    sent = estimate.sent_bytes
    yield "to PostHog", _size(sent.likely if sent else None), "before compression" if sent else ""
    if weights.source == "api":
        yield f"requests to {source}", _number(estimate.source_requests), "at least"
    batch = f"{settings.max_batch_events:,} events or {size_of(settings.max_batch_bytes)}"
    yield "requests to PostHog", number_of(estimate.requests), f"at least, of {batch} at most"
    if estimate.source_seconds is not None:
        together = f", {weights.parallel} at a time" if weights.parallel > 1 else ""
        yield "time to read", time_of(estimate.source_seconds), f"as the samples came{together}"
    if estimate.agreed_seconds is not None:
        speed = f"{settings.max_events_per_second:,.10g} events a second, as agreed"
        yield "time to send", time_of(estimate.agreed_seconds), speed
    measured = "as the last run did" if speed_is_measured else "measured on two cores"
    yield (
        "time to send, unlimited",
        time_of(estimate.measured_seconds),
        f"{rounded(estimate.measured_speed):,} events a second, {measured}",
    )
    if estimate.disk_bytes is None:
        yield "disk", _UNKNOWN, ""
    else:
        pairs = f"{_BYTES_OF_A_PAIR} bytes for each pair of user and device (`ledger_url`)"
        yield "disk", _size(estimate.disk_bytes), f"at most, and {pairs}"


def _unpacked(estimate: Estimate) -> str:
    if estimate.unpacked_bytes is None:
        return ""
    return f"packed, {size_of(rounded(estimate.unpacked_bytes.likely))} unpacked"


def _size(size: int | None) -> str:
    return _UNKNOWN if size is None else size_of(rounded(size))


def _number(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{rounded(number):,}"


def _advice(estimate: Estimate, settings: Settings) -> Iterator[str]:
    """Yield what to do before the request goes out."""
    if estimate.young.likely:
        yield (
            "Some events are of the last 48 hours, and PostHog may bill them: end the tap's range "
            "earlier (`end_date`), and estimate again."
        )
    if settings.max_events_per_second is None:
        yield "Set `max_events_per_second` once PostHog has named a speed."
