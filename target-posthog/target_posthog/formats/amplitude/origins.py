"""Whose a row is in the book: Amplitude's project, and the hour in which it was exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.posthog.times import any_time

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How much of a time is its hour.
HOUR = len("2024-01-31T05")


def app_part(app: object) -> bytes:
    """Return the first part of an origin; see `OutgoingEvent`."""
    return f"{app}/".encode() if isinstance(app, int | str) else b"/"


def origin_of(app: object, uploaded: str | None) -> bytes:
    """Return the origin of a row.

    `uploaded` is the row's `server_upload_time`, as `to_rfc3339` writes it.
    """
    return app_part(app) + ("" if uploaded is None else uploaded[:HOUR]).encode()


def origin_of_row(row: Mapping[str, Any]) -> bytes:
    """Return the origin of a row that became no event."""
    return origin_of(row.get("app"), any_time(row.get("server_upload_time")))
