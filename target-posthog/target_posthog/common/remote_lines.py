"""Lines kept in a bucket, or wherever fsspec writes to, as objects that are never changed.

An object cannot be appended to. So each `save` makes a new one, of the lines since the last.
"""

from __future__ import annotations

import logging
import os
import secrets
from urllib.parse import urlsplit, urlunsplit

import fsspec  # type: ignore[import-untyped]

#: So many bytes of lines wait in memory at most.
_MOST_BYTES = 8 * 1024 * 1024
_FILE = "file://"
#: The drivers log each request, and botocore on `debug` the signed headers with it.
_TALKATIVE = ("aiobotocore", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs")


class CannotWrite(Exception):
    """The storage does not take lines; the text says why."""


def is_address(place: str) -> bool:
    """Return True if a place is an address for fsspec, and not a folder of this machine."""
    return "://" in place and not place.startswith(_FILE)


def folder_of(place: str) -> str:
    """Return a place that is no address as a path, also of `file://…` and `~/…`.

    No shell has read what a settings file says.
    """
    if place.startswith(_FILE):
        return str(fsspec.core.url_to_fs(place)[1])
    return os.path.expanduser(place)  # noqa: PTH111 - Path's raises where there is no such home


def begins_as_address(place: str) -> bool:
    """Return True if a place is meant as an address: whole, or with a slip such as `s3:/bucket`.

    Taken for a path, a slip would make a folder called `s3:`.
    """
    scheme, colon, _ = place.partition(":")
    return "://" in place or bool(colon and scheme.lower() in fsspec.available_protocols())


def problem_of(place: str) -> str | None:
    """Return why fsspec cannot write to a place, without asking the network; None if it can."""
    if begins_as_address(place) and not place.partition("://")[2].strip("/"):
        scheme = place.partition(":")[0].lower()
        whole = _FILE + "/folder" if _FILE.startswith(scheme) else f"{scheme}://bucket/folder"
        return f"an address looks like {whole}"
    if not is_address(place):
        return None
    scheme = place.partition("://")[0]
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        return f"{error}"
    except ValueError:
        return f"no driver knows {scheme}:// addresses"
    return None


def keep_drivers_quiet() -> None:
    """Keep requests and signed headers out of the log, whatever its level.

    What fails comes back as an exception, for the plugin to report in its words: so not even
    errors, which gcsfs logs with a traceback each time that it tries again.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class RemoteLines:
    """Lines on their way to a storage.

    Args:
        place: An address for fsspec, such as `s3://bucket/folder`.
        name: What the objects' names begin with.

    Attributes:
        address: What the objects' addresses begin with, as it may be shown.
    """

    def __init__(self, place: str, name: str) -> None:
        keep_drivers_quiet()
        parts = urlsplit(place)
        shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        # Several machines may begin in the same second with the same process id.
        self._name = f"{name}-{secrets.token_hex(3)}"
        self.address = f"{shown.rstrip('/')}/{self._name}"
        self._place = place.rstrip("/")
        self._lines: list[bytes] = []
        self._size = 0
        self._saved = 0

    def add(self, line: bytes) -> None:
        """Take a line, without its end.

        Raises:
            CannotWrite: the storage does not take the lines that came so far.
        """
        self._lines.append(line + b"\n")
        self._size += len(line)
        if self._size >= _MOST_BYTES:
            self.save()

    def save(self) -> None:
        """Bring every line to the storage.

        Raises:
            CannotWrite: it does not take them.
        """
        if not self._lines:
            return
        try:
            files, folder = fsspec.core.url_to_fs(self._place)
            files.makedirs(folder, exist_ok=True)
            path = f"{folder}/{self._name}-{self._saved + 1:06d}.jsonl"
            files.pipe_file(path, b"".join(self._lines))
        except Exception as error:  # the drivers' errors have no common class
            raise CannotWrite(str(error) or type(error).__name__) from error
        self._saved += 1
        self._lines.clear()
        self._size = 0
