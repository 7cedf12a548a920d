"""Requests under way: threads that wait on sockets, and the responses back in the main thread.

A batch is compressed in the thread that sends it: compression lets go of the interpreter. Counts,
ledger and rejects stay in the main thread: two threads of Python do not compute at once.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.capture.batches import Batch, Transport
    from target_posthog.capture.results import SendResult


class InFlight(Protocol):
    """Carries requests out and brings back what became of them."""

    def begin(self, lane: int, batch: Batch) -> None:
        """Send a request; a lane has one at a time."""

    def next_done(self, timeout: float | None = None) -> tuple[int, SendResult | Exception] | None:
        """Return what became of a request, with its lane; None when none ends in time."""

    def descriptors(self) -> Sequence[int]:
        """Return what can be read from once a request has ended."""

    def close(self) -> None:
        """Begin nothing more, and let go of the threads."""


class InlineRequests:
    """Sends each request at once, while the caller waits; for a preview."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._done: list[tuple[int, SendResult | Exception]] = []

    def begin(self, lane: int, batch: Batch) -> None:
        """Send a request."""
        self._done.append((lane, _outcome(self._transport, batch)))

    def next_done(self, timeout: float | None = None) -> tuple[int, SendResult | Exception] | None:  # noqa: ARG002 - see InFlight
        """Return what became of the oldest request."""
        return self._done.pop(0) if self._done else None

    def descriptors(self) -> Sequence[int]:
        """Return none: a request has ended when `begin` returns."""
        return ()

    def close(self) -> None:
        """Do nothing: there are no threads."""


class ThreadedRequests:
    """Sends the requests of several lanes at once, with a thread for each lane that has any.

    The threads are daemons: a run that is to end does not wait for a response.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._done: queue.SimpleQueue[tuple[int, SendResult | Exception]] = queue.SimpleQueue()
        self._inboxes: dict[int, queue.SimpleQueue[Batch | None]] = {}
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)
        # A thread may write to it after `close`, and holds this object for as long.
        for descriptor in (self._wake, self._waker):
            weakref.finalize(self, os.close, descriptor).atexit = False

    def begin(self, lane: int, batch: Batch) -> None:
        """Hand a request to the thread of its lane."""
        if lane not in self._inboxes:
            inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
            self._inboxes[lane] = inbox
            threading.Thread(
                target=self._serve, args=(lane, inbox), name=f"lane-{lane}", daemon=True
            ).start()
        self._inboxes[lane].put(batch)

    def next_done(self, timeout: float | None = None) -> tuple[int, SendResult | Exception] | None:
        """Return what became of a request; wait for it, at most so many seconds."""
        with suppress(BlockingIOError):
            os.read(self._wake, 4096)
        try:
            return self._done.get(block=timeout != 0, timeout=timeout or None)
        except queue.Empty:
            return None

    def descriptors(self) -> Sequence[int]:
        """Return the end of a pipe that gets a byte for each request that ends."""
        return (self._wake,)

    def close(self) -> None:
        """End the threads, each after the try that it is in."""
        for inbox in self._inboxes.values():
            inbox.put(None)
        self._transport.stop()

    def _serve(self, lane: int, inbox: queue.SimpleQueue[Batch | None]) -> None:
        while (batch := inbox.get()) is not None:
            self._done.put((lane, _outcome(self._transport, batch)))
            with suppress(BlockingIOError):  # full: there is enough to wake up for
                os.write(self._waker, b".")


def _outcome(transport: Transport, batch: Batch) -> SendResult | Exception:
    try:
        return transport.send(batch)
    except Exception as error:  # noqa: BLE001 - raised again in the main thread
        return error
