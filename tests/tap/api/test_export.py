"""The client of the Export API against the strict stand-in: every status, every fault."""

from __future__ import annotations

import base64
import html
import json
import logging
import ssl
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
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
from tests.support.export_files import file_name, packed, zipped
from tests.support.peers import answering
from tests.support.rows import HOUR, START, hour_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_amplitude.api.results import FetchResult

ONE_HOUR = Window(START, START + HOUR)
FOUR_HOURS = Window(START, START + 4 * HOUR)
#: An archive of the hour 0.
ARCHIVE = zipped({file_name(0): packed(hour_rows(0))})


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

    def __init__(self, url: str, **changes: Any) -> None:
        self.waits: list[float] = []
        self._spool = Path("spool")
        self._spool.mkdir(exist_ok=True)
        options: dict[str, Any] = {
            "spool": self._spool,
            "max_member_bytes": 1024**3,
            "retry_seconds": 600,
            "sleep": self.waits.append,
            "raw": False,
        }
        options |= {name: changes.pop(name) for name in options.keys() & changes.keys()}
        self.api = ExportApi(connection(url, **changes), **options)

    def events(self, window: Window = ONE_HOUR) -> int:
        """Fetch a window that must have an archive, and count its events."""
        return events_in(self.api.fetch(window))

    @property
    def downloads(self) -> list[Path]:
        """What lies in its spool."""
        return list(self._spool.iterdir())


def events_in(answer: FetchResult) -> int:
    """Count the events of what must be an archive."""
    assert isinstance(answer, Downloaded)
    return sum(1 for member in answer.archive.members for _ in member.take(strict_object, as_it_is))


@pytest.fixture
def server() -> Iterator[AmplitudeExportApi]:
    """Amplitude with three events in the first hour."""
    with AmplitudeExportApi(hour_rows(0)) as running:
        yield running


@pytest.fixture
def client(server: AmplitudeExportApi) -> Client:
    """A client of this server."""
    return Client(server.url)


def test_a_window_comes_as_a_verified_archive() -> None:
    """All rows of the window are on disk, and no unfinished file."""
    with AmplitudeExportApi(hour_rows(0, 1, 2, 3)) as server:
        client = Client(server.url)

        assert client.events(FOUR_HOURS) == 12
    assert [path.suffix for path in client.downloads] == [".zip"]


def test_both_ways_to_say_no_data_are_an_empty_window() -> None:
    """A 404 with the no-data text, plain or in the JSON envelope, is an answer, not a failure."""
    with AmplitudeExportApi([]) as server:
        client = Client(server.url)

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


def test_keys_are_refused_with_the_likely_cause(server: AmplitudeExportApi) -> None:
    """The message names all that may be wrong, and no key."""
    with pytest.raises(WrongCredentials) as caught:
        Client(server.url, secret_key="s3cr3t-of-another-region").api.fetch(ONE_HOUR)

    assert len(server.requests) == 1
    for name in ("api_key", "secret_key", "region", "`eu`"):
        assert name in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "details", "options", "error", "told"),
    [
        (Fault.UNAUTHORIZED_401, {}, {}, WrongCredentials, "refused the keys"),
        # No smaller request exists, so the error names the way out.
        (Fault.SIZE_400, {}, {}, FixSource, "2024-01-01T00Z.*4GB.*archive_path"),
        (Fault.OTHER_400, {"details": "Invalid"}, {}, FixConfiguration, "chart definition - Inv"),
        (Fault.SERVER_5XX, {"status": 503}, {"retry_seconds": 0}, RunAgain, "503"),
        # A message in place of the archive says more than that the archive is damaged.
        (
            Fault.NOT_A_ZIP_200,
            {"form": "json"},
            {"retry_seconds": 0},
            RunAgain,
            "Exceeded concurrent limit with query of cost 415",
        ),
        (Fault.NOT_A_ZIP_200, {"form": "html"}, {"retry_seconds": 0}, RunAgain, "Access Denied"),
        # There is no use in waiting for a moment that lies beyond the time to wait.
        (
            Fault.RATE_LIMIT_429,
            {"retry_after": 3600},
            {},
            RunAgain,
            "^(?!.*Tried for).*back in 60 minutes, later than.*Run again after that time",
        ),
    ],
)
def test_what_no_further_try_mends_stops_at_once(
    server: AmplitudeExportApi,
    fault: Fault,
    details: dict[str, Any],
    options: dict[str, Any],
    error: type[TapError],
    told: str,
) -> None:
    """With its own words; nothing is waited for, and no further request is made."""
    server.fail(fault, **details)
    client = Client(server.url, **options)
    with pytest.raises(error, match=told):
        client.api.fetch(ONE_HOUR)

    assert (client.waits, len(server.requests)) == ([], 1)


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        (Fault.SIZE_400, {"form": "json"}),
        (Fault.SIZE_400, {"form": "plain"}),
        (Fault.GATEWAY_TIMEOUT_504, {}),
        (Fault.SLOW, {"seconds": 3}),
    ],
)
def test_too_much_at_once_is_asked_for_in_parts(
    server: AmplitudeExportApi, fault: Fault, details: dict[str, Any]
) -> None:
    """A 400 that speaks of size, 504 and silence split the window, without waiting."""
    server.fail(fault, **details)
    client = Client(server.url, answer_seconds=0.5)

    assert isinstance(client.api.fetch(FOUR_HOURS), TooLarge)
    assert client.waits == []


def test_another_400_splits_no_window(server: AmplitudeExportApi, client: Client) -> None:
    """No smaller window mends it."""
    server.fail(Fault.OTHER_400)
    with pytest.raises(FixConfiguration):
        client.api.fetch(FOUR_HOURS)


def test_an_odd_404_is_tried_a_few_times_and_then_the_address_is_wrong(
    server: AmplitudeExportApi,
) -> None:
    """A page that does not speak of data is no empty hour: an empty hour would lose events."""
    server.fail(Fault.NOT_FOUND_ODD, times=2)
    assert Client(server.url).events() == 3

    server.fail(Fault.NOT_FOUND_ODD, times=None)
    with pytest.raises(FixConfiguration, match="api_url"):
        Client(server.url).api.fetch(ONE_HOUR)
    assert len(server.requests) == 6


def test_a_page_in_mid_run_is_no_wrong_address_and_no_wrong_key(
    server: AmplitudeExportApi, client: Client
) -> None:
    """What worked a moment ago is not wrong now: something in between answers, and that passes."""
    client.events()
    server.fail(Fault.NOT_FOUND_ODD, times=4)
    server.fail(Fault.FORBIDDEN_PAGE, times=4)

    assert client.events() == 3
    assert len(client.waits) == 8


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        # There is nothing to change in the configuration.
        (Fault.NOT_FOUND_ODD, RunAgain, "earlier in this run"),
        (Fault.FORBIDDEN_PAGE, RunAgain, "earlier in this run"),
        # Amplitude's own words about the keys hold at any time.
        (Fault.FORBIDDEN_403, WrongCredentials, "Invalid API Key"),
    ],
)
def test_a_refusal_that_stays_in_mid_run_stops_it(
    server: AmplitudeExportApi, fault: Fault, error: type[TapError], told: str
) -> None:
    """A page is to be run again; keys that were revoked are not."""
    client = Client(server.url, retry_seconds=0)
    client.events()
    server.fail(fault, times=None)
    with pytest.raises(error, match=told):
        client.api.fetch(ONE_HOUR)


@pytest.mark.parametrize("status", [200, 203, 206])
def test_events_in_place_of_an_archive_do_not_get_into_a_message(status: int) -> None:
    """A proxy that unpacks archives would otherwise put a person's data into the log."""
    body = b'{"event_type": "Bought", "user_id": "ann@x.example", "message": "hello ann"}'
    with answering(status, {}, body) as (url, _), pytest.raises(RunAgain) as caught:
        Client(url, retry_seconds=0).api.fetch(ONE_HOUR)

    assert "ann" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        (Fault.RATE_LIMIT_429, {}),
        (Fault.SERVER_5XX, {"status": 500}),
        (Fault.SERVER_5XX, {"status": 502}),
        (Fault.SERVER_5XX, {"status": 503}),
        # Of one hour, which cannot be split, these may pass.
        (Fault.GATEWAY_TIMEOUT_504, {}),
        (Fault.SLOW, {"seconds": 3}),
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
    server: AmplitudeExportApi, fault: Fault, details: dict[str, Any]
) -> None:
    """Two failures, then the whole hour; nothing of the broken downloads stays on disk."""
    server.fail(fault, times=2, **details)
    client = Client(server.url, answer_seconds=0.5 if fault is Fault.SLOW else 30)

    assert client.events() == 3
    assert server.pending_faults() == []
    assert len(client.waits) == 2
    assert len(client.downloads) == 1


def test_waits_are_short_at_first_and_grow_and_are_said_once(
    server: AmplitudeExportApi, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Most failures are over at once; the others must not be hammered, nor fill the log."""
    server.fail(Fault.SERVER_5XX, times=9)
    with caplog.at_level(logging.WARNING):
        client.events()

    assert 0.5 <= client.waits[0] <= 1
    assert all(wait <= 60.5 for wait in client.waits)
    assert client.waits[5] >= 16
    assert len(caplog.records) == 1


def test_retry_after_is_a_minimum(server: AmplitudeExportApi, client: Client) -> None:
    """In seconds or as a date; a server that allows to ask at once is not hammered either."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=50)
    for retry_after in (40, 0, format_datetime(moment, usegmt=True)):
        server.fail(Fault.RATE_LIMIT_429, retry_after=retry_after)
    client.events()

    assert client.waits[0] == 40
    assert client.waits[1] >= 1
    assert 40 < client.waits[2] <= 50


def test_a_refused_connection_is_tried_again() -> None:
    """A server that is not there is a network failure, bounded like the others."""
    with pytest.raises(RunAgain, match="connection failed"):
        Client("http://127.0.0.1:9", retry_seconds=0).api.fetch(ONE_HOUR)


def test_a_redirect_to_another_host_carries_no_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: AmplitudeExportApi, client: Client
) -> None:
    """The keys are for Amplitude only, and a user's passwords for the other host for nobody."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password s3cr3t\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with answering(200, {}, ARCHIVE) as (url, seen):
        server.fail(Fault.REDIRECT, to=url.replace("127.0.0.1", "localhost"))

        assert client.events() == 3
    assert len(seen) == 1
    assert b"authorization" not in seen[0].lower()


@pytest.mark.parametrize(
    "location",
    ["http://[", "https://host:port/", "ftp://elsewhere/", "http://\xff\xfe.example/"],
)
def test_a_redirect_to_no_address_is_told_in_words(location: str) -> None:
    """Exit code 2: the address of the API leads nowhere."""
    with (
        answering(302, {"Location": location}, b"") as (url, _),
        pytest.raises(FixConfiguration, match="redirects to an invalid address"),
    ):
        Client(url, retry_seconds=0).api.fetch(ONE_HOUR)


def test_a_redirect_within_the_host_keeps_the_keys(
    server: AmplitudeExportApi, client: Client
) -> None:
    """A proxy may move the path; relative addresses count from the one that was asked."""
    server.fail(Fault.REDIRECT, to="/api/2/export?start=20240101T00&end=20240101T00")

    assert client.events() == 3


def test_https_is_not_left_for_http() -> None:
    """The exported events would travel unencrypted, and to whoever answers there."""
    with pytest.raises(requests.exceptions.InvalidURL, match="from https to plain http"):
        _next_url("https://amplitude.com/api/2/export", "http://amplitude.com/api/2/export")


def test_a_certificate_that_is_not_trusted_stops_at_once() -> None:
    """It does not change while the tap waits; the message says what helps."""
    error = requests.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed certificate"))

    failure = connection("https://amplitude.example").failure(error)

    assert failure.tries == 1
    assert "REQUESTS_CA_BUNDLE" in str(failure.final)


def test_certificates_that_are_not_there_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that the message of an untrusted certificate names may have a typing error."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/not/there.pem")
    with pytest.raises(FixConfiguration, match=r"/not/there\.pem.*REQUESTS_CA_BUNDLE"):
        Client("https://127.0.0.1:9").api.fetch(ONE_HOUR)


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


def test_a_circle_of_redirects_is_a_wrong_address(
    server: AmplitudeExportApi, client: Client
) -> None:
    """It ends with an error that names the setting."""
    server.fail(Fault.REDIRECT, times=None, to=f"{server.url}/api/2/export?start=a")
    with pytest.raises(TapError, match="api_url"):
        client.api.fetch(ONE_HOUR)


def test_an_error_body_is_bounded_and_never_repeats_a_key() -> None:
    """A server that echoes the request cannot put a secret into the log."""
    body = b"test-amplitude-secret and test-amplitude-key " + b"x" * 1_000_000
    with answering(418, {}, body) as (url, _), pytest.raises(TapError) as caught:
        Client(url).api.fetch(ONE_HOUR)

    told = str(caught.value)
    assert "***" in told
    assert "test-amplitude" not in told
    assert len(told) < 1000


def test_the_tap_introduces_itself() -> None:
    """Amplitude can tell who asks."""
    with answering(404, {}, b"no data available") as (url, seen):
        Client(url).api.fetch(ONE_HOUR)

    assert b"User-Agent: tap-amplitude/test" in seen[0]


#: From then on the last of four hours may be read.
FINISHED = START + 6 * HOUR


@pytest.mark.parametrize(("status", "body"), [(200, ARCHIVE), (404, b"no data available")])
class TestAmplitudesOwnClock:
    """Where this machine's is ahead, an hour that is asked too early looks empty, and is lost."""

    @pytest.mark.parametrize("ahead", [timedelta(minutes=11), timedelta(days=9)])
    def test_hours_that_it_has_not_finished_are_refused(
        self, status: int, body: bytes, ahead: timedelta
    ) -> None:
        """Nothing of them is left on the disk."""
        said = {"Date": format_datetime(FINISHED - ahead, usegmt=True)}
        with answering(status, said, body) as (url, _):
            client = Client(url)
            with pytest.raises(FixConfiguration, match=r"ahead of Amplitude's, which says 20.*Z:"):
                client.api.fetch(FOUR_HOURS)
        assert client.downloads == []

    def test_its_time_is_told_in_utc(self, status: int, body: bytes) -> None:
        """Whatever zone it is written in."""
        said = {"Date": "Mon, 01 Jan 2024 02:30:00 +0200"}
        with answering(status, said, body) as (url, _), pytest.raises(FixConfiguration) as caught:
            Client(url).api.fetch(FOUR_HOURS)
        assert "which says 2024-01-01T00:30Z: " in str(caught.value)

    @pytest.mark.parametrize(
        "date",
        [
            format_datetime(FINISHED, usegmt=True),
            # A run that begins with the hour must not stop for seconds.
            format_datetime(FINISHED - timedelta(minutes=9)),
            "yesterday",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Mon, 40 Foo 99999999999 25:61:61 GMT",
        ],
    )
    def test_others_are_taken(self, status: int, body: bytes, date: str) -> None:
        """Also where it says nothing that can be read."""
        with answering(status, {"Date": date}, body) as (url, _):
            assert isinstance(Client(url).api.fetch(FOUR_HOURS), (Downloaded, NoEvents))


def test_hours_that_were_not_asked_for_stop_the_run() -> None:
    """An archive of other hours would put the state out of step with what was exported."""
    archive = zipped({file_name(7): packed(hour_rows(7))})
    with answering(200, {}, archive) as (url, _), pytest.raises(ForeignArchive, match="_7#70"):
        Client(url).api.fetch(FOUR_HOURS)


def test_a_bomb_is_not_downloaded_again() -> None:
    """A file that unpacks to more than it may is no transmission error."""
    archive = zipped({file_name(0): packed([{"filler": "0" * 200_000}] * 20)})
    with answering(200, {}, archive) as (url, seen), pytest.raises(HostileArchive):
        Client(url, max_member_bytes=1_000_000).api.fetch(ONE_HOUR)

    assert len(seen) == 1


ANSWER = "Amplitude's answer for hour 2024-01-01T00Z"


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "holds no file of events. It is empty"),
        ({"error.html": b"<html>"}, "holds no file of events. It holds 'error.html'"),
        (
            {"-9_2024-01-01_0.json.gz": packed([{"merged_amplitude_id": 1}])},
            "holds no file of events. It holds '-9_2024-01-01_0",
        ),
        ({str(n): b"x" for n in range(9)}, "and 4 more"),
        ({"1/events.json": b'{"event_type": 1}'}, "holds the file '1/events.json', whose name"),
        (
            {"a/1_2024-01-01_0#1.json": b"{}", "b/1_2024-01-01_0#1.json": b"[]"},
            "holds files of the same part with different content",
        ),
    ],
    ids=["empty", "a page", "merged users", "many", "no hour", "one part twice"],
)
def test_a_zip_without_events_is_no_empty_hour(
    files: dict[str, bytes], told: str, *, raw: bool
) -> None:
    """Amplitude says in other words that an hour has no events; the message names what came.

    The download is gone when the message is read: the user can change nothing in it.
    """
    with answering(200, {}, zipped(files)) as (url, _):
        client = Client(url, raw=raw)
        with pytest.raises(ForeignArchive) as error:
            client.api.fetch(ONE_HOUR)

    assert error.value.happened.startswith(ANSWER)
    assert told in error.value.happened
    assert error.value.remedy == "Check `api_url`; if it is right, report this to Amplitude."
    assert client.downloads == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"status": "error", "message": "Internal failure"}', "an error: Internal failure."),
        (b"Down for maintenance", f"{ANSWER} is not a readable .zip file (File is not a zip file)"),
        (
            zipped({"1_2024-01-01_0#1.parquet": b"PAR1x"}),
            f"The file '1_2024-01-01_0#1.parquet' of {ANSWER} cannot be read (it is Parquet",
        ),
        (zipped({file_name(0): b""}), f"of {ANSWER} cannot be read (the file has no bytes)"),
    ],
    ids=["an error of a gateway", "a text", "Parquet", "no bytes"],
)
def test_what_is_wrong_with_an_archive_is_told(body: bytes, told: str) -> None:
    """Whoever waits for half an hour, or asks Amplitude, can see what for."""
    with answering(200, {}, body) as (url, _), pytest.raises(RunAgain) as error:
        Client(url, retry_seconds=0).api.fetch(ONE_HOUR)

    assert told in error.value.happened


def test_a_zip_of_zips_is_read_by_the_api_too() -> None:
    """What a file is, its bytes say, wherever it comes from."""
    with answering(200, {}, zipped({"day.zip": ARCHIVE})) as (url, _):
        client = Client(url)
        answer = client.api.fetch(ONE_HOUR)

    assert events_in(answer) == 3
    assert isinstance(answer, Downloaded)
    answer.discard()
    assert client.downloads == []
