"""Requests under way: each goes once, its outcome comes back once, with its lane."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from target_posthog.capture.results import SendResult
from target_posthog.delivery.requests import InlineRequests, ThreadedRequests
from target_posthog.errors import RunAgain
from tests.support.deliveries import batch_of, item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.capture.batches import Batch

SECONDS = 10.0


def batch(number: int) -> Batch:
    """Return a batch of one event."""
    return batch_of(item(number))


class GatedTransport:
    """Ends a request when its test says so, as `SendResult` or as an error."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.most_under_way = 0
        self.stopped = threading.Event()
        self._gates: dict[str, threading.Event] = {}
        self._under_way = 0
        self._lock = threading.Lock()

    def send(self, batch: Batch) -> SendResult:
        """Wait at the gate of the batch's event."""
        uuid = batch.items[0].uuid
        with self._lock:
            self.sent.append(uuid)
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
        self.gate(batch).wait(SECONDS)
        with self._lock:
            self._under_way -= 1
        if uuid in self.errors:
            raise self.errors[uuid]
        record = batch.items[0].record
        assert isinstance(record, dict)
        return SendResult(seconds=float(record["row"]))

    def stop(self) -> None:
        """Open all gates."""
        self.stopped.set()

    def close(self) -> None:
        """Have nothing to close."""

    def gate(self, batch: Batch) -> threading.Event:
        """Return what a batch waits for."""
        with self._lock:
            return self._gates.setdefault(batch.items[0].uuid, threading.Event())


@pytest.fixture
def transport() -> GatedTransport:
    """A transport that waits."""
    return GatedTransport()


@pytest.fixture
def threaded(transport: GatedTransport) -> Iterator[ThreadedRequests]:
    """Lanes with threads, ended with the test."""
    made = ThreadedRequests(transport)
    yield made
    made.close()


def wait_for_sent(transport: GatedTransport, count: int) -> None:
    """Wait until so many requests are at their gates."""
    end = time.monotonic() + SECONDS
    while len(transport.sent) < count:
        assert time.monotonic() < end
        time.sleep(0.002)


def test_lanes_send_side_by_side_and_come_back_as_they_end(
    transport: GatedTransport, threaded: ThreadedRequests
) -> None:
    """The quick one does not wait for the slow one."""
    batches = [batch(number) for number in range(3)]
    for lane, one in enumerate(batches):
        threaded.begin(lane, one)
    wait_for_sent(transport, 3)
    assert transport.most_under_way == 3
    for lane in (1, 2, 0):
        transport.gate(batches[lane]).set()
        assert threaded.next_done(SECONDS) == (lane, SendResult(seconds=float(lane)))


def test_a_lane_sends_one_after_the_other(
    transport: GatedTransport, threaded: ThreadedRequests
) -> None:
    """In the order in which they were begun."""
    batches = [batch(number) for number in range(3)]
    for one in batches:
        threaded.begin(0, one)
        transport.gate(one).set()
    for number in range(3):
        assert threaded.next_done(SECONDS) == (0, SendResult(seconds=float(number)))
    assert transport.sent == [one.items[0].uuid for one in batches]
    assert transport.most_under_way == 1


def test_an_error_comes_back_as_the_outcome(
    transport: GatedTransport, threaded: ThreadedRequests
) -> None:
    """The main thread raises it; the thread of the lane lives on."""
    first, second = batch(1), batch(2)
    error = RunAgain("It is down.", "Wait.")
    transport.errors[first.items[0].uuid] = error
    for one in (first, second):
        transport.gate(one).set()
        threaded.begin(0, one)
    assert threaded.next_done(SECONDS) == (0, error)
    assert threaded.next_done(SECONDS) == (0, SendResult(seconds=2.0))


def test_nothing_ended_is_told_at_once_or_in_time(
    transport: GatedTransport, threaded: ThreadedRequests
) -> None:
    """Without a wait when none is wanted."""
    assert threaded.next_done(timeout=0) is None
    one = batch(1)
    threaded.begin(0, one)
    started = time.monotonic()
    assert threaded.next_done(timeout=0) is None
    assert threaded.next_done(timeout=0.05) is None
    assert time.monotonic() - started >= 0.05
    transport.gate(one).set()
    assert threaded.next_done() == (0, SendResult(seconds=1.0))


def test_closing_stops_the_sender_and_ends_the_threads(
    transport: GatedTransport, threaded: ThreadedRequests
) -> None:
    """Each after the try that it is in; nobody waits for them."""
    one = batch(1)
    threaded.begin(7, one)
    wait_for_sent(transport, 1)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "lane-7"]
    assert thread.daemon
    threaded.close()
    assert transport.stopped.is_set()
    transport.gate(one).set()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_a_pipe_is_closed_once_its_threads_are_done(transport: GatedTransport) -> None:
    """Not at once: what is under way may still tell that it has ended."""
    requests, one = ThreadedRequests(transport), batch(1)
    (pipe,) = requests.descriptors()
    requests.begin(99, one)
    (lane,) = [thread for thread in threading.enumerate() if thread.name == "lane-99"]
    requests.close()
    del requests
    os.fstat(pipe)
    transport.gate(one).set()
    lane.join(SECONDS)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pipe)


def test_one_by_one_sends_while_the_caller_waits(transport: GatedTransport) -> None:
    """A preview is written in order."""
    in_flight = InlineRequests(transport)
    assert in_flight.next_done() is None
    error = RunAgain("The disk is full.", "Make room.")
    for number in (1, 2):
        one = batch(number)
        transport.gate(one).set()
        if number == 2:
            transport.errors[one.items[0].uuid] = error
        in_flight.begin(number, one)
    assert len(transport.sent) == 2
    assert in_flight.next_done(timeout=0) == (1, SendResult(seconds=1.0))
    assert in_flight.next_done() == (2, error)
    assert in_flight.next_done() is None
    in_flight.close()
