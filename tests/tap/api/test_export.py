"""The client of the Export API against the strict stand-in: every status, every fault."""

from __future__ import annotations

import base64
import html
import json
import logging
import ssl
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests

from tap_amplitude.api.connection import Connection, _next_url
from tap_amplitude.api.export import ExportApi
from tap_amplitude.api.responses import RULES, Action, action_for
from tap_amplitude.api.results import Downloaded, NoEvents, TooLarge
from tap_amplitude.common.lenient_json import strict_object
from tap_amplitude.common.object_cutter import as_it_is
from tap_amplitude.errors import (
    FixConfiguration,
    FixSource,
    ForeignArchive,
    HostileArchive,
    RunAgain,
    TapError,
    WrongCredentials,
)
from tap_amplitude.windows import Window
from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.export_files import file_name, packed, write_zip
from tests.support.rows import HOUR, START, hour_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ONE_HOUR = Window(START, START + HOUR)
FOUR_HOURS = Window(START, START + 4 * HOUR)


def connection(url: str, **changes: Any) -> Connection:
    """A connection with the test's keys."""
    given: dict[str, Any] = {
        "base_url": url,
        "api_key": "test-amplitude-key",
        "secret_key": "test-amplitude-secret",
        "user_agent": "tap-amplitude/test",
        "answer_seconds": 30,
    }
    return Connection(**(given | changes))


class Client:
    """A client with a recorded clock: `waits` holds every pause that it asked for."""

    def __init__(self, url: str, spool: Path, **changes: Any) -> None:
        self.waits: list[float] = []
        options: dict[str, Any] = {
            "spool": spool,
            "max_member_bytes": 1024**3,
            "retry_seconds": 600,
            "sleep": self.waits.append,
            "raw": False,
        }
        options |= {name: changes.pop(name) for name in options.keys() & changes.keys()}
        self.api = ExportApi(connection(url, **changes), **options)

    def events(self, window: Window = ONE_HOUR) -> int:
        """Fetch a window that must have an archive, and count its events."""
        answer = self.api.fetch(window)
        assert isinstance(answer, Downloaded)
        return sum(
            1 for member in answer.archive.members for _ in member.take(strict_object, as_it_is)
        )


@contextmanager
def another_server(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server that answers all requests alike and keeps their headers."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(str(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_window_comes_as_a_verified_archive(tmp_path: Path) -> None:
    """All rows of the window are on disk, and no unfinished file."""
    with AmplitudeExportApi(hour_rows(0, 1, 2, 3)) as server:
        client = Client(server.url, tmp_path)

        assert client.events(FOUR_HOURS) == 12
    assert [path.suffix for path in tmp_path.iterdir()] == [".zip"]


def test_both_ways_to_say_no_data_are_an_empty_window(tmp_path: Path) -> None:
    """A 404 with the no-data text, plain or in the JSON envelope, is an answer, not a failure."""
    with AmplitudeExportApi([]) as server:
        client = Client(server.url, tmp_path)

        assert client.api.fetch(ONE_HOUR) == NoEvents()
        assert client.api.fetch(ONE_HOUR) == NoEvents()
        assert client.waits == []


@pytest.mark.parametrize(
    ("status", "body", "action"),
    [
        (200, "", Action.READ),
        (204, "", Action.WAIT),
        (206, "", Action.WAIT),
        (400, "The file size of the exported data is too large.", Action.SPLIT),
        (400, "Shorten the time ranges and try again. The limit size is 4GB.", Action.SPLIT),
        (400, "Invalid user property country", Action.REFUSED),
        (401, "", Action.UNAUTHORIZED),
        (403, "Invalid API Key", Action.UNAUTHORIZED),
        (404, "Raw data files were not found.", Action.EMPTY),
        (404, "No data available for the time range requested.", Action.EMPTY),
        (404, "404: Not Found", Action.CHECK_ADDRESS),
        (405, "", Action.REFUSED),
        (408, "", Action.WAIT),
        (429, "", Action.WAIT),
        (500, "", Action.WAIT),
        (502, "", Action.WAIT),
        (503, "", Action.WAIT),
        (504, "", Action.SPLIT),
        (599, "", Action.WAIT),
        (304, "", Action.REFUSED),
    ],
)
def test_each_status_has_its_action(status: int, body: str, action: Action) -> None:
    """The table says what an answer asks for."""
    assert action_for(status, body) is action


def test_every_rule_of_the_table_can_fire() -> None:
    """No rule is hidden behind an earlier one."""
    says = {Action.SPLIT: "too large", Action.EMPTY: "no data available"}
    for rule in RULES:
        reached = [
            action_for(status, says.get(rule.action, "") if rule.says else "")
            for status in range(rule.first, rule.last + 1)
        ]

        assert rule.action in reached


def test_keys_are_refused_at_once_with_the_likely_cause(tmp_path: Path) -> None:
    """A wrong secret is no reason to wait; the message names all that may be wrong."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        client = Client(server.url, tmp_path, secret_key="s3cr3t-of-another-region")
        with pytest.raises(WrongCredentials) as caught:
            client.api.fetch(ONE_HOUR)

        assert len(server.requests) == 1
    told = str(caught.value)
    for name in ("api_key", "secret_key", "region", "`eu`"):
        assert name in told
    assert "s3cr3t" not in told
    assert caught.value.exit_code == 2


def test_a_401_is_refused_at_once_too(tmp_path: Path) -> None:
    """The status for missing credentials is handled like wrong ones."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.UNAUTHORIZED_401)
        client = Client(server.url, tmp_path)
        with pytest.raises(WrongCredentials):
            client.api.fetch(ONE_HOUR)

        assert client.waits == []


@pytest.mark.parametrize("form", ["json", "plain"])
def test_a_size_refusal_asks_for_less(tmp_path: Path, form: str) -> None:
    """A 400 that speaks of size splits the window, without waiting."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.SIZE_400, form=form)
        client = Client(server.url, tmp_path)

        assert isinstance(client.api.fetch(FOUR_HOURS), TooLarge)
        assert client.waits == []


def test_a_single_hour_that_is_too_large_points_to_the_bucket_export(tmp_path: Path) -> None:
    """No smaller request exists, so the error names the way out."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.SIZE_400)
        with pytest.raises(FixSource, match="archive_path") as caught:
            Client(server.url, tmp_path).api.fetch(ONE_HOUR)
    assert "2024-01-01T00Z" in str(caught.value)
    assert "4GB" in str(caught.value)


def test_another_400_stops_with_its_own_words(tmp_path: Path) -> None:
    """A refusal that no smaller window mends is not split and not tried again."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.OTHER_400, details="Invalid user property country")
        client = Client(server.url, tmp_path)
        with pytest.raises(FixConfiguration, match="Invalid user property country"):
            client.api.fetch(FOUR_HOURS)

        assert len(server.requests) == 1


def test_a_gateway_time_out_splits_a_window_and_repeats_an_hour(tmp_path: Path) -> None:
    """504 means too much at once; for one hour it may pass."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.GATEWAY_TIMEOUT_504, times=2)
        client = Client(server.url, tmp_path)

        assert isinstance(client.api.fetch(FOUR_HOURS), TooLarge)
        assert client.events(ONE_HOUR) == 3
        assert len(client.waits) == 1


def test_silence_splits_a_window_and_repeats_an_hour(tmp_path: Path) -> None:
    """A read time-out before the answer is treated like 504."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.SLOW, times=2, seconds=3)
        client = Client(server.url, tmp_path, answer_seconds=0.5)

        assert isinstance(client.api.fetch(FOUR_HOURS), TooLarge)
        assert client.events(ONE_HOUR) == 3
        assert len(client.waits) == 1


def test_an_odd_404_is_tried_a_few_times_and_then_the_address_is_wrong(tmp_path: Path) -> None:
    """A page that does not speak of data is no empty hour: an empty hour would lose events."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.NOT_FOUND_ODD, times=2)
        assert Client(server.url, tmp_path).events() == 3

        server.fail(Fault.NOT_FOUND_ODD, times=None)
        with pytest.raises(FixConfiguration, match="api_url"):
            Client(server.url, tmp_path).api.fetch(ONE_HOUR)
        assert len(server.requests) == 6


def test_a_page_in_mid_run_is_no_wrong_address_and_no_wrong_key(tmp_path: Path) -> None:
    """What worked a moment ago is not wrong now: something in between answers, and that passes."""
    with AmplitudeExportApi(hour_rows(0, 1)) as server:
        client = Client(server.url, tmp_path)
        assert client.events(ONE_HOUR) == 3

        next_hour = Window(START + HOUR, START + 2 * HOUR)
        server.fail(Fault.NOT_FOUND_ODD, times=4)
        server.fail(Fault.FORBIDDEN_PAGE, times=4)
        assert client.events(next_hour) == 3
        assert len(client.waits) == 8


@pytest.mark.parametrize("fault", [Fault.NOT_FOUND_ODD, Fault.FORBIDDEN_PAGE])
def test_a_page_that_stays_in_mid_run_is_to_be_run_again(tmp_path: Path, fault: Fault) -> None:
    """The run ends with exit code 1: there is nothing to change in the configuration."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        client = Client(server.url, tmp_path, retry_seconds=0)
        client.events(ONE_HOUR)
        server.fail(fault, times=None)
        with pytest.raises(RunAgain, match="earlier in this run"):
            client.api.fetch(ONE_HOUR)


def test_keys_that_are_revoked_in_mid_run_stop_at_once(tmp_path: Path) -> None:
    """Amplitude's own words about the keys hold at any time."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        client = Client(server.url, tmp_path)
        client.events(ONE_HOUR)
        server.fail(Fault.FORBIDDEN_403, times=None)
        with pytest.raises(WrongCredentials):
            client.api.fetch(ONE_HOUR)


@pytest.mark.parametrize(
    ("form", "told"),
    [("json", "Exceeded concurrent limit with query of cost 415"), ("html", "Access Denied")],
)
def test_an_error_with_status_200_keeps_its_words(tmp_path: Path, form: str, told: str) -> None:
    """A message in place of the archive says more than that the archive is damaged."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.NOT_A_ZIP_200, times=None, form=form)
        with pytest.raises(RunAgain, match=told):
            Client(server.url, tmp_path, retry_seconds=0).api.fetch(ONE_HOUR)


@pytest.mark.parametrize("status", [200, 203, 206])
def test_events_in_place_of_an_archive_do_not_get_into_a_message(
    tmp_path: Path, status: int
) -> None:
    """A proxy that unpacks archives would otherwise put a person's data into the log."""
    body = b'{"event_type": "Bought", "user_id": "ann@x.example", "message": "hello ann"}'
    with another_server(status, body) as (url, _), pytest.raises(RunAgain) as caught:
        Client(url, tmp_path, retry_seconds=0).api.fetch(ONE_HOUR)

    assert "ann" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        (Fault.RATE_LIMIT_429, {}),
        (Fault.SERVER_5XX, {"status": 500}),
        (Fault.SERVER_5XX, {"status": 502}),
        (Fault.SERVER_5XX, {"status": 503}),
        (Fault.NOT_A_ZIP_200, {"form": "html"}),
        (Fault.NOT_A_ZIP_200, {"form": "json"}),
        (Fault.NOT_A_ZIP_200, {"form": "zip-typed"}),
        (Fault.EMPTY_BODY_200, {}),
        (Fault.TRUNCATED_ZIP, {"length": "whole"}),
        (Fault.TRUNCATED_ZIP, {"length": "cut"}),
        (Fault.TRUNCATED_ZIP, {"length": "none"}),
        (Fault.CORRUPT_MEMBER, {}),
        (Fault.TRUNCATED_GZIP, {}),
        (Fault.CUT_CONNECTION, {}),
        (Fault.CUT_CONNECTION, {"after_bytes": 100}),
        (Fault.CUT_CONNECTION, {"after_bytes": 100, "reset": True}),
    ],
)
def test_what_can_get_better_is_tried_again(
    tmp_path: Path, fault: Fault, details: dict[str, Any]
) -> None:
    """Two failures, then the whole hour; nothing of the broken downloads stays on disk."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(fault, times=2, **details)
        client = Client(server.url, tmp_path)

        assert client.events() == 3
        assert server.pending_faults() == []
        assert len(client.waits) == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_waits_are_short_at_first_and_grow(tmp_path: Path) -> None:
    """Most failures are over at once; the others must not be hammered."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.SERVER_5XX, times=9)
        client = Client(server.url, tmp_path)
        client.events()

    assert 0.5 <= client.waits[0] <= 1
    assert all(wait <= 60.5 for wait in client.waits)
    assert client.waits[5] >= 16


def test_retry_after_in_seconds_is_a_minimum(tmp_path: Path) -> None:
    """The server knows better than the back-off, but is never asked earlier than it allows."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.RATE_LIMIT_429, retry_after=40)
        server.fail(Fault.RATE_LIMIT_429, retry_after=0)
        client = Client(server.url, tmp_path)
        client.events()

    assert client.waits[0] == 40
    assert client.waits[1] >= 1


def test_retry_after_as_a_date_is_a_minimum(tmp_path: Path) -> None:
    """HTTP allows a date in the same header."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=50)
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.RATE_LIMIT_429, retry_after=format_datetime(moment, usegmt=True))
        client = Client(server.url, tmp_path)
        client.events()

    assert 40 < client.waits[0] <= 50


def test_trying_ends_and_can_be_taken_up_again(tmp_path: Path) -> None:
    """What does not get better in time stops the run; the same run works later."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.SERVER_5XX, times=None, status=503)
        client = Client(server.url, tmp_path, retry_seconds=0)
        with pytest.raises(RunAgain, match="503") as caught:
            client.api.fetch(ONE_HOUR)

        assert len(server.requests) == 1
    assert caught.value.exit_code == 1


def test_a_retry_after_beyond_the_limit_stops_at_once(tmp_path: Path) -> None:
    """There is no use in waiting for a moment that lies beyond the time to wait."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.RATE_LIMIT_429, retry_after=3600)
        client = Client(server.url, tmp_path, retry_seconds=600)
        with pytest.raises(RunAgain, match="come back in 60 minutes, later than") as caught:
            client.api.fetch(ONE_HOUR)

        assert client.waits == []
    assert "Run again after that time" in str(caught.value)
    assert "Tried for" not in str(caught.value)


def test_waiting_is_said_once_for_a_window(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning when it starts, none for each try."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.SERVER_5XX, times=5)
        with caplog.at_level(logging.WARNING):
            Client(server.url, tmp_path).events()

    assert len(caplog.records) == 1


def test_a_refused_connection_is_tried_again(tmp_path: Path) -> None:
    """A server that is not there is a network failure, bounded like the others."""
    with pytest.raises(RunAgain, match="connection failed"):
        Client("http://127.0.0.1:9", tmp_path, retry_seconds=0).api.fetch(ONE_HOUR)


def test_a_redirect_to_another_host_does_not_carry_the_keys(tmp_path: Path) -> None:
    """The keys are for Amplitude only."""
    archive = write_zip(tmp_path / "other.zip", {file_name(0): packed(hour_rows(0))})
    spool = tmp_path / "spool"
    spool.mkdir()
    with (
        another_server(200, archive.read_bytes()) as (url, seen),
        AmplitudeExportApi(hour_rows(0)) as server,
    ):
        server.fail(Fault.REDIRECT, to=f"{url}/elsewhere")
        client = Client(server.url, spool)

        assert client.events() == 3
    assert len(seen) == 1
    assert "authorization" not in seen[0].lower()


@pytest.mark.parametrize(
    "location",
    ["http://[", "https://host:port/", "ftp://elsewhere/", "http://\xff\xfe.example/"],
)
def test_a_redirect_to_no_address_is_told_in_words(tmp_path: Path, location: str) -> None:
    """Exit code 2: the address of the API leads nowhere."""
    with (
        another_server(302, b"", Location=location) as (url, _),
        pytest.raises(FixConfiguration, match="redirects to an invalid address"),
    ):
        Client(url, tmp_path, retry_seconds=0).api.fetch(ONE_HOUR)


def test_a_redirect_within_the_host_keeps_the_keys(tmp_path: Path) -> None:
    """A proxy may move the path; relative addresses count from the one that was asked."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.REDIRECT, to="/api/2/export?start=20240101T00&end=20240101T00")

        assert Client(server.url, tmp_path).events() == 3


def test_https_is_not_left_for_http() -> None:
    """The exported events would travel unencrypted, and to whoever answers there."""
    with pytest.raises(requests.exceptions.InvalidURL, match="from https to plain http"):
        _next_url("https://amplitude.com/api/2/export", "http://amplitude.com/api/2/export")


def test_netrc_is_not_asked_for_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's passwords for a host are for nobody that Amplitude redirects to."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password s3cr3t\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    archive = write_zip(tmp_path / "other.zip", {file_name(0): packed(hour_rows(0))})
    with (
        another_server(200, archive.read_bytes()) as (url, seen),
        AmplitudeExportApi(hour_rows(0)) as server,
    ):
        server.fail(Fault.REDIRECT, to=url.replace("127.0.0.1", "localhost"))
        Client(server.url, tmp_path).events()

    assert "authorization" not in seen[0].lower()


def test_a_certificate_that_is_not_trusted_stops_at_once() -> None:
    """It does not change while the tap waits; the message says what helps."""
    error = requests.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed certificate"))

    failure = connection("https://amplitude.example").failure(error)

    assert failure.tries == 1
    assert "REQUESTS_CA_BUNDLE" in str(failure.final)


@pytest.mark.parametrize(
    "write",
    [
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: quote(text, safe=""),
        json.dumps,
        lambda text: text.encode().hex(),
        html.escape,
    ],
    ids=["base64", "url", "json", "hex", "html"],
)
def test_keys_are_hidden_however_they_are_written(write: Callable[[str], str]) -> None:
    """A proxy's page can repeat the request's header or address."""
    key, secret = 'k&y/1"', "s\u00e9cret+ 2"
    client = connection("http://x.example", api_key=key, secret_key=secret)

    for text in (key, secret, f"{key}:{secret}"):
        assert write(text) not in client.redact(f"You sent {write(text)}.")


def test_a_circle_of_redirects_is_a_wrong_address(tmp_path: Path) -> None:
    """It ends with an error that names the setting."""
    with AmplitudeExportApi(hour_rows(0)) as server:
        server.fail(Fault.REDIRECT, times=None, to=f"{server.url}/api/2/export?start=a")
        with pytest.raises(TapError, match="api_url"):
            Client(server.url, tmp_path).api.fetch(ONE_HOUR)


def test_an_error_body_is_bounded_and_never_repeats_a_key(tmp_path: Path) -> None:
    """A server that echoes the request cannot put a secret into the log."""
    body = b"test-amplitude-secret and test-amplitude-key " + b"x" * 1_000_000
    with another_server(418, body) as (url, _), pytest.raises(TapError) as caught:
        Client(url, tmp_path).api.fetch(ONE_HOUR)

    told = str(caught.value)
    assert "***" in told
    assert "test-amplitude" not in told
    assert len(told) < 1000


def test_the_tap_introduces_itself(tmp_path: Path) -> None:
    """Amplitude can tell who asks."""
    with another_server(404, b"no data available") as (url, seen):
        Client(url, tmp_path).api.fetch(ONE_HOUR)

    assert "User-Agent: tap-amplitude/test" in seen[0]


def test_hours_that_were_not_asked_for_stop_the_run(tmp_path: Path) -> None:
    """An archive of other hours would put the state out of step with what was exported."""
    archive = write_zip(tmp_path / "a.zip", {file_name(7): packed(hour_rows(7))}).read_bytes()
    with another_server(200, archive) as (url, _), pytest.raises(ForeignArchive, match="_7#70"):
        Client(url, tmp_path).api.fetch(FOUR_HOURS)


def test_a_bomb_is_not_downloaded_again(tmp_path: Path) -> None:
    """A file that unpacks to more than it may is no transmission error."""
    bomb = packed([{"filler": "0" * 200_000}] * 20)
    archive = write_zip(tmp_path / "a.zip", {file_name(0): bomb}).read_bytes()
    with another_server(200, archive) as (url, seen), pytest.raises(HostileArchive):
        Client(url, tmp_path, max_member_bytes=1_000_000).api.fetch(ONE_HOUR)

    assert len(seen) == 1


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "It is empty"),
        ({"error.html": b"<html>"}, "'error.html'"),
        ({"-9_2024-01-01_0.json.gz": packed([{"merged_amplitude_id": 1}])}, "'-9_2024-01-01_0"),
        ({str(n): b"x" for n in range(9)}, "and 4 more"),
    ],
)
def test_a_zip_without_events_is_no_empty_hour(
    tmp_path: Path, files: dict[str, bytes], told: str, *, raw: bool
) -> None:
    """Amplitude says in other words that an hour has no events; the message names what came."""
    body = write_zip(tmp_path / "sent.zip", files).read_bytes()
    spool = tmp_path / "spool"
    spool.mkdir()
    with (
        another_server(200, body, Content_Type="application/zip") as (url, _),
        pytest.raises(ForeignArchive, match="holds no file of events") as error,
    ):
        Client(url, spool, raw=raw).api.fetch(ONE_HOUR)

    assert told in error.value.happened
    assert not list(spool.iterdir())


def test_a_zip_of_zips_is_read_by_the_api_too(tmp_path: Path) -> None:
    """What a file is, its bytes say, wherever it comes from."""
    inner = write_zip(tmp_path / "inner.zip", {file_name(0): packed(hour_rows(0))}).read_bytes()
    body = write_zip(tmp_path / "sent.zip", {"day.zip": inner}).read_bytes()
    spool = tmp_path / "spool"
    spool.mkdir()
    with another_server(200, body, Content_Type="application/zip") as (url, _):
        client = Client(url, spool)
        answer = client.api.fetch(ONE_HOUR)

    assert isinstance(answer, Downloaded)
    assert (
        sum(1 for member in answer.archive.members for _ in member.take(strict_object, as_it_is))
        == 3
    )
    answer.discard()
    assert not list(spool.iterdir())
