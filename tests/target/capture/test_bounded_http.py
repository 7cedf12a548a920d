"""Peers that lie, drip, flood or stand in between: every one ends in words, and in time."""

from __future__ import annotations

import gzip
import os
import re
import resource
import ssl
import time
import tracemalloc
import zlib
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from target_posthog.capture.protocols import BatchWire, V1Wire
from target_posthog.errors import FixConfiguration, RunAgain
from tests.fakes.posthog_capture import PosthogCapture
from tests.support.deliveries import Clock, batch_of, capture_api, item
from tests.support.peers import answering, certificate, serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from target_posthog.capture.protocols import Wire
    from target_posthog.capture.results import SendResult

KEY = "phc_test"
WIRES: dict[str, Wire] = {"batch": BatchWire(KEY), "v1": V1Wire(KEY, "test/1")}
BOTH = pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES.keys())
OK = b'{"status":"Ok"}'
HEAD = b"HTTP/1.1 200 OK\r\n"


def send(host: str, clock: Clock, wire: Wire = WIRES["batch"], patience: float = 1) -> SendResult:
    """Send one event."""
    with capture_api(host, wire, patience=patience, sleep=clock.sleep) as api:
        return api.send(batch_of(item(1, wire), wire=wire))


def drip(piece: bytes, before: bytes = b"", pause: float = 0.05) -> Callable[[socket.socket], None]:
    """Return the manner of a peer that says the same again and again."""

    def manner(connection: socket.socket) -> None:
        connection.sendall(before)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return manner


@pytest.mark.parametrize(("encoding", "wire"), [("gzip", WIRES["batch"]), ("deflate", WIRES["v1"])])
def test_an_answer_that_unpacks_to_gigabytes_is_not_unpacked(
    encoding: str, wire: Wire, clock: Clock
) -> None:
    """Fifty kilobytes of gzip are fifty megabytes of zeros."""
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(50)) + packer.flush()
    tracemalloc.start()
    try:
        with (
            answering(200, {"Content-Encoding": encoding}, bomb) as (url, _),
            pytest.raises(RunAgain, match=f"{url}: its answer is longer than 1,048,576 bytes"),
        ):
            send(url, clock, wire)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@BOTH
@pytest.mark.parametrize("head", [b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n10000\r\n"])
def test_an_answer_without_an_end_is_not_read_on(wire: Wire, head: bytes, clock: Clock) -> None:
    """Whether the peer says how much comes or not."""
    flood = drip(bytes(65536), HEAD + head, pause=0)
    with serving(flood) as (url, _), pytest.raises(RunAgain) as raised:
        send(url, clock, wire)
    assert f"{url}: " in str(raised.value)


@pytest.mark.parametrize(
    ("manner", "wire"),
    [
        pytest.param(drip(b"H"), "batch", id="status"),
        pytest.param(drip(b"X-A: b\r\n", HEAD), "v1", id="headers"),
        pytest.param(drip(b"HTTP/1.1 100 Continue\r\n\r\n"), "batch", id="continue"),
        pytest.param(drip(b" ", HEAD + b"Content-Length: 1000\r\n\r\n"), "v1", id="body"),
        pytest.param(
            drip(b"1\r\n \r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), "batch", id="chunks"
        ),
    ],
)
def test_an_answer_of_one_byte_at_a_time_ends_in_time(
    manner: Callable[[socket.socket], None],
    wire: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each byte would begin the time-out of a socket anew."""
    monkeypatch.setattr("target_posthog.capture.bounded_http._ANSWER_SECONDS", 0.15)
    began = time.monotonic()
    with (
        serving(manner) as (url, requests),
        pytest.raises(RunAgain, match=f"{url}: no answer within the time-out"),
    ):
        send(url, clock, WIRES[wire])
    assert len(requests) > 1
    assert time.monotonic() - began < 2 * len(requests)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\xff garbage\r\n\r\n",
        b"HTTP/1.1 abc X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: many\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(500)) + b"\r\n",
        HEAD + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        HEAD + b": no name\r\n\x1b[31m\r\n\r\n",
        HEAD + b"Set-Cookie: " + b"a=b; " * 1000 + b"\r\n\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip",
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(OK, mtime=0)[:-5],
        HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_an_answer_that_is_no_http_is_told_in_words(
    answer: bytes, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again, and then the run stops."""
    with (
        serving(lambda one: one.sendall(answer)) as (url, requests),
        pytest.raises(RunAgain, match=url),
    ):
        send(url, clock)
    assert len(requests) > 1
    assert [one.message for one in caplog.records if one.exc_info] == []
    assert "\x1b" not in caplog.text


@pytest.mark.parametrize("packed", [gzip.compress(OK, mtime=0), zlib.compress(OK)])
def test_a_packed_answer_is_unpacked(packed: bytes, clock: Clock) -> None:
    """PostHog's load balancers may pack."""
    encoding = "gzip" if packed[:2] == b"\x1f\x8b" else "deflate"
    with answering(200, {"Content-Encoding": encoding}, packed) as (url, _):
        assert send(url, clock).refused is None


@BOTH
def test_no_netrc_takes_the_place_of_the_key(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """`requests` would read one, and write its password over v1's header."""
    path = tmp_path / ".netrc"
    path.write_text("machine 127.0.0.1 login hush password hushhush\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    with PosthogCapture() as capture:
        assert send(capture.url, clock, wire).refused is None
        (request,) = capture.requests
    bearer = f"Bearer {KEY}" if wire is WIRES["v1"] else None
    assert request.headers.get("Authorization") == bearer


def test_user_and_password_of_the_host_still_count(clock: Clock) -> None:
    """A proxy of one's own may want them."""
    with answering(200, {}, OK) as (url, requests):
        send(url.replace("http://", "http://me:secret@"), clock)
    assert b"Authorization: Basic bWU6c2VjcmV0" in requests[0]


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Many networks have no other way out."""
    _without_exceptions(monkeypatch)
    with answering(200, {}, OK) as (url, requests):
        monkeypatch.setenv("http_proxy", url)
        assert send("http://posthog.invalid", clock).refused is None
    assert requests[0].startswith(b"POST http://posthog.invalid/batch/ HTTP/1.1")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (407, "refused the connection (407)"),
        (403, "refused the connection (403)"),
        (None, "cannot be reached: the connection was refused"),
    ],
)
def test_a_proxy_that_fails_is_named(
    status: int | None, words: str, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """Without its password; it is the proxy that somebody has to see to."""
    _without_exceptions(monkeypatch)
    with answering(status or 200, {}, b"") as (url, _):
        proxy = url
        monkeypatch.setenv("https_proxy", url.replace("http://", "http://me:hushhush@"))
        if status is not None:
            with pytest.raises(RunAgain) as raised:
                send("https://posthog.invalid", clock)
    if status is None:
        with pytest.raises(RunAgain) as raised:
            send("https://posthog.invalid", clock)
    assert f"https://posthog.invalid: the proxy {proxy} {words}" in str(raised.value)
    assert "hushhush" not in str(raised.value)


@pytest.mark.parametrize("proxy", ["http://", "http://:::", "socks9://127.0.0.1:1", "ftp://proxy"])
def test_a_proxy_that_is_none_is_a_matter_of_configuration(
    proxy: str, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """The host is right, so it is not blamed."""
    _without_exceptions(monkeypatch)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(FixConfiguration, match=r"the proxy .* cannot be used\. Correct HTTP_PROXY"):
        send("http://posthog.invalid", clock)
    assert clock.waits == []


def test_a_name_that_nobody_knows_is_told_as_such(clock: Clock) -> None:
    """A typing mistake in the host, or no DNS."""
    with pytest.raises(RunAgain, match=r"http://posthog\.invalid: the name cannot be resolved"):
        send("http://posthog.invalid", clock)


@contextmanager
def tls_peer(folder: Path, name: str, days: int = 1) -> Iterator[tuple[str, Path, list[bytes]]]:
    """Serve PostHog's yes by TLS; give the address, the certificate, and the requests so far."""
    path = certificate(folder, name, ends=datetime.now(timezone.utc) + timedelta(days=days))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    yes = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(OK), OK)
    with serving(lambda one: one.sendall(yes), context=context) as (url, requests):
        yield url.replace("http://127.0.0.1", "https://localhost"), path, requests


@pytest.mark.parametrize(
    ("name", "days", "variable", "words"),
    [
        ("localhost", 1, "NOT_SET", "self-signed certificate"),
        ("localhost", -1, "REQUESTS_CA_BUNDLE", "certificate has expired"),
        ("elsewhere", 1, "REQUESTS_CA_BUNDLE", "certificate is not valid for 'localhost'"),
    ],
)
def test_a_certificate_that_is_not_trusted_stops_the_run_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    name: str,
    days: int,
    variable: str,
    words: str,
) -> None:
    """To wait would not help; the message names what would."""
    with tls_peer(tmp_path, name, days=days) as (url, path, requests):
        monkeypatch.setenv(variable, str(path))
        told = f"The certificate of {url} is not trusted: .*{words}.*REQUESTS_CA_BUNDLE"
        with pytest.raises(FixConfiguration, match=re.compile(told, re.IGNORECASE)):
            send(url, clock, patience=1000)
    assert requests == []
    assert clock.waits == []


def test_a_certificate_that_the_environment_trusts_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """The remedy helps."""
    with tls_peer(tmp_path, "localhost") as (url, path, _):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        assert send(url, clock).refused is None


def test_certificates_that_cannot_be_read_are_a_matter_of_configuration(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """The file that the environment names is not there."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/not/there.pem")
    with pytest.raises(FixConfiguration, match=r"cannot be read.*REQUESTS_CA_BUNDLE"):
        send("https://localhost:1", clock)
    assert clock.waits == []


def test_no_more_open_files_are_told_in_words(clock: Clock) -> None:
    """And waited for: others may close theirs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with answering(200, {}, OK) as (url, _), ExitStack() as spare:
        used = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        spare.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with suppress(OSError):
            while True:
                spare.enter_context(open(os.devnull))  # noqa: PTH123 - to have it open
        with pytest.raises(RunAgain, match=f"{url}: this process may not open more files"):
            send(url, clock)


def _without_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
