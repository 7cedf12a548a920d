"""Answers that never end, trickle in or unpack to gigabytes: bounded, and told in words."""

from __future__ import annotations

import gzip
import logging
import time
from typing import TYPE_CHECKING

import pytest
import requests

from tap_amplitude.api.bodies import TooLong, TooSlow, beginning, blocks
from tap_amplitude.api.project import ProjectApi
from tap_amplitude.api.results import NoEvents
from tap_amplitude.errors import FixConfiguration, ForeignAnswer, RunAgain
from tests.support.peers import answering, serving
from tests.tap.api.test_export import ONE_HOUR, Client, connection

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from socket import socket


def trickle(head: bytes, *, every: float = 0.05) -> AbstractContextManager[tuple[str, list[bytes]]]:
    """A server that sends a head and then one byte at a time, without an end."""

    def send(peer: socket) -> None:
        peer.sendall(head)
        while True:
            time.sleep(every)
            peer.sendall(b" ")

    return serving(send)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\n\r\n"
REFUSED = b"HTTP/1.1 418 Teapot\r\n\r\nshort and stout"


def test_an_archive_that_trickles_in_is_given_up() -> None:
    """A byte now and then keeps every read alive; the whole download is bounded all the same."""
    with trickle(OK) as (url, _):
        client = Client(url, answer_seconds=1, retry_seconds=0)
        with pytest.raises(RunAgain, match="bytes arrived in 1 second"):
            client.api.fetch(ONE_HOUR)

    assert client.downloads == []


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 100 Continue\r\nX-Long: "]
)
def test_a_head_that_trickles_in_is_given_up(head: bytes) -> None:
    """As silence is: each byte would begin the socket's own time-out anew."""
    with trickle(head) as (url, _):
        client = Client(url, answer_seconds=1, retry_seconds=0)
        with pytest.raises(RunAgain, match="no answer within 1 second"):
            client.api.fetch(ONE_HOUR)


def test_a_body_may_take_longer_than_a_head() -> None:
    """The time of the head ends with it; that of a body is another one."""

    def send(peer: socket) -> None:
        peer.sendall(b"HTTP/1.1 404 X\r\nContent-Length: 17\r\n\r\n")
        for piece in (b"no data ", b"avail", b"able"):
            time.sleep(0.4)
            peer.sendall(piece)

    with serving(send) as (url, _):
        api = Client(url, answer_seconds=0.5, retry_seconds=0).api
        assert isinstance(api.fetch(ONE_HOUR), NoEvents)


def test_an_error_that_trickles_in_is_told_with_what_it_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The status decides; its words are worth a moment, not an eternity."""
    monkeypatch.setattr("tap_amplitude.api.connection._ERROR_SECONDS", 0.5)
    with trickle(REFUSED) as (url, _):
        client = connection(url)
        with client.get("/", {}) as response:
            assert client.error_text(response) == "short and stout"


def test_a_list_that_unpacks_to_gigabytes_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is that of the unpacked bytes: 0.5 MB on the wire took 2.1 GB of memory."""
    monkeypatch.setattr("tap_amplitude.api.project._MOST_BYTES", 1_000_000)
    body = gzip.compress(b"[" + b" " * 5_000_000)
    with answering(200, {"Content-Encoding": "gzip"}, body) as (url, _):
        api = ProjectApi(connection(url), retry_seconds=0, sleep=lambda _: None)
        with pytest.raises(ForeignAnswer, match="longer than 1,000,000 bytes"):
            api.rows("/", {}, inside="data", key="id", what="cohorts")


def test_the_beginning_of_a_bomb_is_read_in_bounded_memory() -> None:
    """Of the words of an error no more is unpacked than is told."""
    body = gzip.compress(b"x" * 50_000_000)
    with answering(500, {"Content-Encoding": "gzip"}, body) as (url, _):
        response = requests.get(url, stream=True, timeout=10)

        assert beginning(response, 1000, patience_seconds=10) == b"x" * 1000
        response.close()


@pytest.mark.parametrize(
    ("seconds", "error"),
    [([0, 30, 61], None), ([0, 1, 86_401], TooSlow)],
    ids=["a stretch with enough bytes", "more than a day"],
)
def test_a_slow_download_is_told_and_bounded(
    seconds: list[float], error: type[Exception] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A line a minute says how far it is; after a day it ends."""
    with answering(200, {}, b"x" * 3_000_000) as (url, _):
        response = requests.get(url, stream=True, timeout=10)
        ticks = iter([*seconds, *[seconds[-1]] * 10_000])
        reading = blocks(response, patience_seconds=60, what="hour 7", clock=lambda: next(ticks))
        with caplog.at_level(logging.INFO):
            if error is None:
                assert sum(map(len, reading)) == 3_000_000
                assert "Still receiving hour 7" in caplog.text
            else:
                with pytest.raises(error, match="longer than 24 hours"):
                    list(reading)
        response.close()


def test_a_body_beyond_its_bound_ends() -> None:
    """A peer may send without an end."""
    with answering(200, {}, b"x" * 100) as (url, _):
        response = requests.get(url, stream=True, timeout=10)
        with pytest.raises(TooLong):
            list(blocks(response, patience_seconds=60, what="it", most_bytes=99))
        response.close()


def test_silence_in_the_middle_of_a_body_is_a_failed_connection() -> None:
    """urllib3's own errors arrive as those of requests, which callers know."""
    with trickle(OK + b"x", every=30) as (url, _):
        response = requests.get(url, stream=True, timeout=0.3)
        with pytest.raises(requests.ReadTimeout):
            list(blocks(response, patience_seconds=60, what="it"))
        response.close()


def test_the_body_of_a_redirect_is_not_read() -> None:
    """It may have any length; only its address counts."""
    head = b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"
    with (
        trickle(head) as (url, _),
        pytest.raises(FixConfiguration, match="redirects"),
    ):
        Client(url, retry_seconds=0).api.fetch(ONE_HOUR)
