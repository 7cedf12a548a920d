"""Files of Singer BATCH messages: read in blocks of lines, and removed.

The Meltano SDK lets no one remove them (github.com/meltano/sdk/issues/3064); the target does, once
every event of a file is accepted or in the rejects.
"""

from __future__ import annotations

import re
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from isal import igzip

from target_posthog.common.lenient_json import strict_object
from target_posthog.common.line_blocks import Lines
from target_posthog.common.object_cutter import LONG_LINE_BYTES, NotUtf8, as_it_is, taken_from
from target_posthog.errors import BrokenInput, FixConfiguration
from target_posthog.input.batch_places import FIX_MANIFEST, BatchPlace, nowhere
from target_posthog.input.blocks import in_blocks
from target_posthog.settings import DEFAULT_MAX_GB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from target_posthog.common.object_cutter import Found
    from target_posthog.model import Json

GB = 1024**3
#: The same bounds as the tap's, for what other taps hand over and for what is damaged on the way.
#: Who raises the size above its default trusts the files: then it alone counts.
_MAX_RATIO, _RATIO_FREE_BYTES = 200, 64 * 1024 * 1024
#: What a file may unpack to and be kept until its checksum was seen. A larger one is unpacked
#: twice, which costs 0.8 µs more for an event of 2 kB.
_IN_MEMORY_BYTES = 32 * 1024 * 1024
_USUAL_RATIO = 10
#: What is unpacked at a time: small, so that it stays in the processor's cache.
_BLOCK_BYTES = 256 * 1024
#: The first bytes of a gzip file. The Meltano SDK's writer compresses without a look at what
#: `compression` says (singer_sdk/contrib/batch_encoder_jsonl.py).
_GZIP = b"\x1f\x8b"
#: Whoever writes a manifest would choose what is asked, and of whom; of a chain of drivers, too.
_NOT_READ_FROM = re.compile(r"https?://|::", re.IGNORECASE)


@dataclass(frozen=True)
class BatchFile:
    """One file of a manifest.

    Attributes:
        url: where it lies; a path or a URL that fsspec knows.
        is_gzip: its tap says that it is compressed; see `is_packed`.
        source: what its tap calls it, when it says so.
        stops_at_bad_line: a line that is no record stops the run; else it goes to the rejects.
        is_removed: it is removed once it is delivered, wherever it lies.
        is_kept: it is never removed, wherever it lies.
        max_bytes: what it may unpack to.
    """

    url: str
    is_gzip: bool
    source: str = ""
    stops_at_bad_line: bool = False
    is_removed: bool = False
    is_kept: bool = False
    max_bytes: int = DEFAULT_MAX_GB * GB

    @cached_property
    def place(self) -> BatchPlace:
        """Where it lies."""
        return BatchPlace(self.url, self.source)

    @cached_property
    def is_packed(self) -> bool:
        """Whether it is compressed, whatever its tap says."""
        return self.is_gzip or self.place.begins_with(_GZIP)

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self.place.name

    def rejected(self, found: Found) -> tuple[bytes, str]:
        """Return what the rejects hold of a text that is no record, and the reason in words.

        Raises:
            BrokenInput: its tap wants to stop there.
        """
        if self.stops_at_bad_line:
            raise BrokenInput(
                f"The batch file {self.name}, {found.place}, is not a record: {found.reason}.",
                "Set the tap's `on_bad_line` to `reject` to keep such lines aside, or fix the "
                "file. Then run again.",
            )
        return found.text, f"{self.name}, {found.place}: {found.reason}"

    def not_utf8(self, error: NotUtf8) -> BrokenInput:
        """Return what to say of a file in another coding."""
        return BrokenInput(
            f"The batch file {self.name} is {error} text, not UTF-8.",
            "Convert the source to UTF-8, or take it out, and run again.",
        )

    def size(self) -> int:
        """Return its size in bytes.

        Raises:
            TargetPosthogError: it is not there.
        """
        with self.place.errors_in_words():
            return self.place.size()

    def blocks(self) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the file's lines, many at a time, in constant memory.

        Nothing comes of a gzip file whose checksum was not seen.

        Yields:
            The number of the first line, from 1, and the lines with their ends. A line that is
            longer than `LONG_LINE_BYTES` may come in parts.

        Raises:
            TargetPosthogError: the file is gone, cut off, damaged, or unpacks to too much.
        """
        with self.place.errors_in_words():
            lines = Lines(LONG_LINE_BYTES)
            for block in self._verified() if self.is_packed else self._unpacked():
                number = lines.number
                yield number, lines.feed(block)
            yield lines.number, lines.end()

    def raw_blocks(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the file's lines in blocks; see `blocks.in_blocks`.

        Raises:
            TargetPosthogError: see `blocks`.
        """
        with self.place.errors_in_words():
            yield from in_blocks(
                self._verified() if self.is_packed else self._unpacked(), LONG_LINE_BYTES
            )

    def records(self) -> Iterator[Json | Found]:
        """Yield each record, and each text that is none.

        Raises:
            TargetPosthogError: see `blocks`; or the file is in another coding.
        """
        try:
            yield from taken_from(self.blocks(), strict_object, as_it_is)
        except NotUtf8 as error:
            raise self.not_utf8(error) from error

    def _verified(self) -> Iterator[bytes]:
        """Yield the content once its end was seen: a small file from memory, another anew."""
        size = self.size()
        if not size:
            raise EOFError  # to igzip it would be a sound file without records
        is_small = size * _USUAL_RATIO <= _IN_MEMORY_BYTES
        blocks: deque[bytes] = deque()
        left = _IN_MEMORY_BYTES if is_small else 0
        for block in self._unpacked():
            left -= len(block)
            if left >= 0:
                blocks.append(block)
            else:
                blocks.clear()
        if left < 0:
            yield from self._unpacked()
        while blocks:
            yield blocks.popleft()

    def _unpacked(self) -> Iterator[bytes]:
        bound = self.max_bytes
        if self.is_packed and bound <= DEFAULT_MAX_GB * GB:
            bound = min(bound, max(_RATIO_FREE_BYTES, self.size() * _MAX_RATIO))
        with self._opened() as stream:
            while block := stream.read(_BLOCK_BYTES):
                bound -= len(block)
                if bound < 0:
                    raise _too_large(self)
                yield block

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with self.place.opened() as packed:
            if self.is_packed:
                # No buffer around it: blocks are read, not lines.
                yield cast("BinaryIO", igzip.IGzipFile(fileobj=packed, mode="rb"))  # type: ignore[no-untyped-call]
            else:
                yield packed

    def remove(self) -> None:
        """Remove the file once it is delivered, if it is ours."""
        if not self.is_kept and (self.is_removed or self.place.is_of_a_run):
            self.place.remove()


def _too_large(file: BatchFile) -> BrokenInput:
    return BrokenInput(
        f"The batch file {file.name} unpacks to far more than an export does (limits: "
        f"{file.max_bytes:,} bytes, {_MAX_RATIO} times its size).",
        "If you trust it, raise `max_member_gb`; otherwise have it exported again.",
    )


def files_of(
    message: Mapping[str, Any],
    *,
    keep_all: bool = False,
    remove_all: bool = False,
    max_gb: int = DEFAULT_MAX_GB,
) -> list[BatchFile]:
    """Return the files of a BATCH message.

    Beside what the Meltano SDK writes, `tap-amplitude` says in `on_bad_line` whether a bad line
    stops the run, and in `names` what its files are called in the source; other taps may do so,
    too. With `keep_all` no file is removed, with `remove_all` each, wherever it lies. `max_gb` is
    what one may unpack to.

    Raises:
        FixConfiguration: they have a format that is not read, or lie where none is read.
        BrokenInput: the message is not a sound one.
    """
    encoding, manifest = message.get("encoding"), message.get("manifest")
    if not isinstance(encoding, dict) or not isinstance(manifest, list):
        raise BrokenInput(
            "The tap sent a BATCH message that is not valid.",
            "Fix the tap or take its `batch_config` out, and run again.",
        )
    form, compression = encoding.get("format"), encoding.get("compression")
    if form != "jsonl" or compression not in {"gzip", "none", None}:
        raise FixConfiguration(
            f"The tap's batch files are {form or 'of no format'}, compressed by "
            f"{compression or 'nothing'}.",
            "Set the tap's `batch_config.encoding` to the format `jsonl`, with `gzip`.",
        )
    names = message.get("names")
    if not isinstance(names, list) or len(names) != len(manifest):
        names = [""] * len(manifest)
    return [
        BatchFile(
            _address(url),
            is_gzip=compression == "gzip",
            source=name if isinstance(name, str) else "",
            stops_at_bad_line=message.get("on_bad_line") == "fail",
            is_removed=remove_all,
            is_kept=keep_all,
            max_bytes=max_gb * GB,
        )
        for url, name in zip(manifest, names, strict=True)
    ]


def _address(value: Any) -> str:
    """Return the address of a file.

    Raises:
        BrokenInput: it is none.
        FixConfiguration: no file is read from there.
    """
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise BrokenInput(
            "The manifest of a BATCH message holds something that is not the address of a file.",
            FIX_MANIFEST,
        )
    if ".." in re.split(r"[/\\]", unquote(value)):
        raise BrokenInput(
            "The manifest of a BATCH message holds an address with `..` in it.", FIX_MANIFEST
        )
    if _NOT_READ_FROM.search(value):
        raise nowhere(value.partition("://")[0])
    return value
