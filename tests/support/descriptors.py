"""A process with many files open, as a service manager or a test runner may hand one on."""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What `select` can wait for at most (man 2 select, FD_SETSIZE).
_FD_SETSIZE = 1024


@contextmanager
def beyond_select() -> Iterator[None]:
    """Have so many descriptors open that `select` takes none of those that are opened now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as opened:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * _FD_SETSIZE), hard))
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        newest = 0
        while newest < _FD_SETSIZE:
            newest = os.open(os.devnull, os.O_RDONLY)
            opened.callback(os.close, newest)
        yield
