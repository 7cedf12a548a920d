"""Rejects files in a bucket: listed, read, and replayed as files of this machine."""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING

import fsspec  # type: ignore[import-untyped]

from target_posthog.common.remote_lines import keep_drivers_quiet
from target_posthog.errors import FixConfiguration
from target_posthog.rejects.files import free_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ENDING = ".jsonl"


class RemoteRejectFiles:
    """The rejects files at an address.

    Args:
        place: a file or a folder, for fsspec.
        folder: an empty folder of this machine, for copies.

    Raises:
        FixConfiguration: the storage cannot be reached.
    """

    def __init__(self, place: str, folder: Path) -> None:
        self._place = place
        self._folder = folder
        #: What the files were, as digests.
        self._fetched: dict[str, bytes] = {}
        keep_drivers_quiet()
        with self._explained():
            self._files, self._root = fsspec.core.url_to_fs(place)

    def names(self) -> Sequence[str]:
        """Return the files in the order of the runs.

        Raises:
            FixConfiguration: they cannot be listed.
        """
        if self._root.endswith(_ENDING):
            return [self._root]
        with self._explained():
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._root, detail=False)
            except FileNotFoundError:
                return []  # without rejects no run makes it
            return sorted(name for name in found if name.endswith(_ENDING))

    def fetch(self, name: str) -> Path:
        """Return a copy of a file.

        Raises:
            FixConfiguration: it cannot be read.
        """
        path = self._local(name)
        with self._explained():
            self._files.get_file(name, str(path))
        self._fetched[name] = _digest_of(path)
        return path

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a file.

        Raises:
            FixConfiguration: it cannot be read.
        """
        with self._explained(), self._files.open(name, "rb") as file:
            yield from file

    def is_there(self, name: str) -> bool:
        """Return True if a file is still there: another replay may have been through with it.

        Raises:
            FixConfiguration: the storage cannot be asked.
        """
        with self._explained():
            self._files.invalidate_cache()
            return bool(self._files.exists(name))

    def put_back(self, name: str) -> None:
        """Do with a file what became of its copy: it went, or holds fewer lines, or is as it was.

        What it was stays as `<name>.replayed`, with a number if it is not the first of them.

        Raises:
            FixConfiguration: it cannot be written.
        """
        path = self._local(name)
        left = _digest_of(path) if path.exists() else None
        if left == self._fetched[name]:
            return
        with self._explained():
            self._files.invalidate_cache()
            # Not through memory: a file may be large.
            self._files.copy(name, free_name(f"{name}.replayed", self._files.exists))
            if left is None:
                self._files.rm_file(name)
            else:
                self._files.put_file(str(path), name)

    def _local(self, name: str) -> Path:
        return self._folder / name.rpartition("/")[2]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the drivers' errors have no common class
            reason = str(error) or type(error).__name__
            raise FixConfiguration(
                f"The rejects at {self._place} cannot be used: {reason}.",
                "Check the address, the bucket's credentials, and that its driver is installed.",
            ) from error


def _digest_of(path: Path) -> bytes:
    with path.open("rb") as file:
        digest = blake2b()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()
