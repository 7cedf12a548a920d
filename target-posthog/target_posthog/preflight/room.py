"""Room for what a run writes: preview, rejects, summary, ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from target_posthog.common.findings import Finding, Level
from target_posthog.common.places import disks_of, folder_finding, place_finding
from target_posthog.common.remote_lines import folder_of, is_address
from target_posthog.ledger_url import ledger_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.settings import Settings

_GB = 1_000_000_000
#: With less the next rejects, or the next pages of the ledger, may find no room.
_FULL_GB = 0.1
_TIGHT_GB = 2


def room_findings(settings: Settings, summary: Path | None) -> Iterator[Finding]:
    """Say whether what a run writes can be written, and how much room each disk has.

    What is written to one disk is reported together. `summary` is where the summary goes.
    """
    preview, rejects = settings.preview_path, settings.rejects_place
    places: list[tuple[str, Path]] = []
    if preview and "://" not in preview:
        yield folder_finding("preview", "preview_path", Path(preview))
        places.append(("the preview", Path(preview)))
    yield place_finding("rejects", "rejects_path", rejects)
    if not is_address(rejects):
        places.append(("rejects", Path(folder_of(rejects))))
    if not preview and summary is not None:
        yield _summary_finding(summary)
    if not preview and (ledger := ledger_file(settings.ledger_url)) is not None:
        places.append(("the ledger", ledger))
    for there, kinds, free in disks_of(places):
        yield _disk_finding(" and ".join(kinds), there, free)


def _summary_finding(file: Path) -> Finding:
    if file.is_dir():
        text = f"{file} is a folder, not a file."
        return Finding("summary", Level.FIX, text, "Set `summary_path` to a file.")
    return folder_finding("summary", "summary_path", file.parent)


def _disk_finding(what: str, place: Path, free: int) -> Finding:
    """Return whether there is room for what grows slowly."""
    room = f"{free / _GB:,.1f} GB free for {what} ({place})."
    if free < _FULL_GB * _GB:
        return Finding("disk", Level.FIX, f"The disk is full: {room}", "Make room.")
    if free < _TIGHT_GB * _GB:
        return Finding(
            "disk", Level.NOTE, f"Only {room}", "Make room before a migration of many users."
        )
    return Finding("disk", Level.OK, room)
