"""What a plugin changes in the process that it runs in, and a test gives back."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Put handlers of signals, the recursion limit and the hook for lost errors back."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    limit, hook = sys.getrecursionlimit(), sys.unraisablehook
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.setrecursionlimit(limit)
        sys.unraisablehook = hook
