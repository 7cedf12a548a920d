"""Room for what a run writes: spool, batch files, rejects."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tap_amplitude.common.findings import Finding, Level
from tap_amplitude.common.places import disks_of, folder_finding, place_finding
from tap_amplitude.common.remote_lines import folder_of, is_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_amplitude.settings import Settings

_GB = 1024**3
#: With less not even a quiet project's hours find room.
_FULL_BYTES = 200_000_000


def room_findings(settings: Settings) -> Iterator[Finding]:
    """Say whether what a run writes can be written, and has room."""
    wanted: list[tuple[str, Path]] = []
    if settings.archive_path is None:
        spool = settings.spool_path or Path(tempfile.gettempdir())
        yield folder_finding("spool", "spool_path", spool)
        wanted.append(("downloads", spool))
    if (batch := settings.batch) is not None:
        root = batch.storage.root
        yield place_finding("batch", "batch_config.storage.root", root, **batch.storage.params)
        if not is_address(root):
            wanted.append(("batch files", Path(folder_of(root))))
    for there, kinds, free in disks_of(wanted):
        yield disk_finding(kinds, there, free, settings.max_spool_bytes)
    if settings.rejects_path is None:
        yield Finding("rejects", Level.OK, "A bad line stops the run (`on_bad_line: fail`).")
    else:
        yield place_finding("rejects", "rejects_path", settings.rejects_path)


def disk_finding(kinds: list[str], place: Path, free: int, most: int) -> Finding:
    """Return whether a disk has room for all that may wait there at once. Pure.

    Each kind has at most `most` bytes there.
    """
    needed = most * len(kinds)
    room = (
        f"{free / _GB:,.1f} GB free for {' and '.join(kinds)} ({place}); at most "
        f"{needed / _GB:,.0f} GB are used (`max_spool_gb`)."
    )
    if free < _FULL_BYTES:
        return Finding("disk", Level.FIX, f"The disk is full: {room}", "Make room.")
    if free < needed:
        fits = free // len(kinds) // _GB
        other = f"Set `max_spool_gb` to {fits}, or make" if fits else "Make"
        return Finding("disk", Level.NOTE, room, f"{other} room: a full disk stops the run.")
    return Finding("disk", Level.OK, room)
