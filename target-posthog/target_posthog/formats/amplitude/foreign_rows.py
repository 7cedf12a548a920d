"""Amplitude's rows as a warehouse or another tap writes them → as Amplitude exports them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.common.amplitude_columns import as_exported
from target_posthog.model import Json, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping


def exported_row(row: Mapping[str, Any], fields: Mapping[str, str]) -> tuple[Json, Rejected | None]:
    """Return a row as Amplitude exports it, and why it cannot be an event.

    `fields` is what `fields_of` tells of its keys. The row is never changed.
    """
    exported, unreadable = as_exported(row, fields)
    if not unreadable:
        return exported, None
    return exported, Rejected(
        "bad_object",
        f"Amplitude has an object in {', '.join(sorted(unreadable))}; this text is not JSON of "
        "one, but another language's notation ({'a': None}, {a=1}), or was cut off.",
    )
