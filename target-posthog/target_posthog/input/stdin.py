"""Standard input as lines, with other work done while it is silent.

A tap can be silent for minutes. Workers must not wait for it, and neither must a state that could
be written by now.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from typing import IO, TYPE_CHECKING

from target_posthog.common.line_blocks import Lines

if sys.platform == "linux":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Called before each wait; returns the descriptors whose news must not wait, and how many seconds
#: of silence may pass before it wants to be called again.
OnIdle = Callable[[], tuple[Sequence[int], float | None]]

_BLOCK_BYTES = 256 * 1024
#: A pipe holds 64 KiB, which wakes writer and reader for each 30 rows. Linux gives anybody this
#: much (man 7 pipe, `/proc/sys/fs/pipe-max-size`).
_PIPE_BYTES = 1024 * 1024


class PollingStdin:
    """The lines of a pipe, a socket or a file.

    Args:
        file: what to read; only its descriptor is used, nothing may have been read from it.
        on_idle: see `OnIdle`.
        on_waited: called with the seconds of each wait.
    """

    def __init__(
        self,
        file: IO[bytes],
        on_idle: OnIdle,
        on_waited: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._descriptor = file.fileno()
        if sys.platform == "linux":
            with suppress(OSError):  # no pipe, or the system gives no more
                fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._on_idle = on_idle
        self._on_waited = on_waited

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines with their ends, until the input is closed."""
        lines = Lines()
        while block := self._next_block():
            yield from lines.feed(block)
        yield from lines.end()

    def _next_block(self) -> bytes:
        while True:
            others, seconds = self._on_idle()
            began = time.monotonic()
            ready = wait([self._descriptor, *others], seconds)
            self._on_waited(time.monotonic() - began)
            if self._descriptor in ready:
                return os.read(self._descriptor, _BLOCK_BYTES)
