"""The files that rejects are kept in: found, read once, and replaced in one step."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import IO, TYPE_CHECKING

from target_posthog.common.remote_lines import folder_of, is_address
from target_posthog.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def places_of(rejects_path: str) -> list[str]:
    """Return where the runs' rejects are; without rejects no run makes a folder."""
    there = is_address(rejects_path) or Path(folder_of(rejects_path)).exists()
    return [rejects_path] if there else []


def files_in(paths: Sequence[Path]) -> Iterable[Path]:
    """Return each file once, in order of its name below a folder: that is in order of the runs.

    Raises:
        FixConfiguration: a path is not there, or cannot be listed.
    """
    found: dict[Path, None] = {}
    for path in paths:
        try:
            path.stat()
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError as error:
            raise unreadable(path, error) from error
        for file in inside:
            if file == path or (file.suffix == ".jsonl" and file.is_file()):
                found.setdefault(file.resolve())
    return found


def is_at(file: IO[bytes], path: Path) -> bool:
    """Tell whether a file is still the one at its path, and no other replay put another there."""
    return os.path.samestat(os.fstat(file.fileno()), path.stat())


def replayed_name(path: Path) -> Path:
    """Return `<name>.replayed`, or with a number when that is taken."""
    return Path(free_name(f"{path}.replayed", lambda name: Path(name).exists()))


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """Return a name, or with a number when that is taken."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(one for one in names if not is_taken(one))


def give_second_name(path: Path, to: Path) -> None:
    """Give a file a second name, or copy it where the disk knows no second names."""
    try:
        to.hardlink_to(path)
    except OSError:
        shutil.copy2(path, to)


def save_folder(folder: Path) -> None:
    """Bring new names to the disk, where a folder can be opened for it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def unreadable(path: Path, error: OSError) -> FixConfiguration:
    """Return what to tell the user when a path cannot be read, or not be replaced."""
    return FixConfiguration(
        f"The rejects in {path} cannot be used: {error.strerror}.",
        "Give files or folders that can be read and written.",
    )
