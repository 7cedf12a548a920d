"""Places on disks and in buckets: whether they can be written, and how much room is left."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]

from target_posthog.common.findings import Finding, Level
from target_posthog.common.remote_lines import folder_of, is_address, keep_drivers_quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: What is written to a bucket and removed at once.
_PROBE = ".check-of-a-singer-plugin"


def place_finding(area: str, setting: str, place: str, **options: Any) -> Finding:
    """Return whether files can be written to a folder, or to an address for fsspec.

    `setting` names the place; `options` are those of the address's driver.
    """
    if is_address(place):
        return _address_finding(area, setting, place, options)
    return folder_finding(area, setting, Path(folder_of(place)))


def folder_finding(area: str, setting: str, folder: Path) -> Finding:
    """Return whether files can be written to a folder, made when needed."""
    folder = folder.expanduser().absolute()
    there = existing(folder)
    remedy = f"Make it writable, or set `{setting}` to another folder."
    if not there.is_dir():
        return Finding(area, Level.FIX, f"{there} is a file, not a folder.", remedy)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Finding(area, Level.FIX, f"{there} cannot be written: {error.strerror}.", remedy)
    made = "" if there == folder else " (made when it is needed)"
    return Finding(area, Level.OK, f"{folder} can be written{made}.")


def _address_finding(area: str, setting: str, place: str, options: dict[str, Any]) -> Finding:
    keep_drivers_quiet()
    try:
        files, folder = fsspec.core.url_to_fs(place, **options)
        path = f"{folder.rstrip('/')}/{_PROBE}"
        files.makedirs(folder, exist_ok=True)
        files.pipe_file(path, b"")
        files.rm_file(path)
    except Exception as error:  # noqa: BLE001 - the drivers' errors have no common class
        # An address may hold a password.
        reason = str(error).replace(place, f"`{setting}`") or type(error).__name__
        return Finding(
            area,
            Level.FIX,
            f"`{setting}` cannot be written: {reason}.",
            "Check the address, the bucket's credentials, and that its driver is installed.",
        )
    return Finding(
        area, Level.OK, f"`{setting}` can be written (a file was put there and removed)."
    )


def existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    path = folder.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def disks_of(places: Iterable[tuple[str, Path]]) -> Iterator[tuple[Path, list[str], int]]:
    """Yield of each disk a folder, what is written there, and how many bytes are free."""
    disks: dict[int, tuple[Path, list[str]]] = {}
    for what, path in places:
        there = existing(path)
        disks.setdefault(os.stat(there).st_dev, (there, []))[1].append(what)  # noqa: PTH116 - an int
    for there, kinds in disks.values():
        yield there, kinds, shutil.disk_usage(there).free
