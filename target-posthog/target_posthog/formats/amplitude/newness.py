"""Where a row stands in the order in which Amplitude processed its user's rows.

A row carries its user's properties as they were when it was processed. Which of two rows is the
newer one, and why these parts decide: docs/decisions/0011-newest-row.md.
"""

from __future__ import annotations

_ID_BYTES = 8
_NO_ID = bytes(_ID_BYTES)


def id_bytes(event_id: object) -> bytes:
    """Return an `event_id` as bytes that compare as it does; those of 0 when it is none."""
    if type(event_id) is not int:
        return _NO_ID
    try:
        return event_id.to_bytes(_ID_BYTES, "big")
    except OverflowError:
        return _NO_ID


def place_of(uploaded: str | None, timestamp: str, event_id: object, state: bytes) -> bytes:
    """Return a row's place: of two rows the one with the greater place is the newer one.

    Times are as `to_rfc3339` writes them; `state` is what `state_of` says of what the row sets on
    its person, or `NO_STATE`.

    Returns:
        No bytes when the row does not say when it was ingested: then it has no place.
    """
    if uploaded is None:
        return b""
    return b"".join((uploaded.encode(), timestamp.encode(), id_bytes(event_id), state))
