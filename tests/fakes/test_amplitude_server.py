"""The Export API's stand-in breaks connections as asked, and stops without a trace."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import pytest
import requests

from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.fakes.amplitude_reading import KEYS, LONG_AFTER, get, hour, row, rows_of, uuids_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_0 = "/api/2/export?start=20240101T00&end=20240101T00"


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """A project with ten rows in hour 0."""
    with AmplitudeExportApi(rows_of(hour(0)), now=LONG_AFTER) as running:
        yield running


class TestCutConnection:
    """Connections that end too early."""

    def test_a_connection_ends_before_the_status_line(self, api: AmplitudeExportApi) -> None:
        """The reader gets no answer at all, although the service noted the request."""
        api.fail(Fault.CUT_CONNECTION)
        with pytest.raises(requests.ConnectionError, match="without response"):
            get(api)

        assert len(api.requests) == 1
        assert api.hours_served() == {}

    def test_a_connection_ends_within_the_body(self, api: AmplitudeExportApi) -> None:
        """The reader gets exactly the bytes asked for, of a body announced whole."""
        api.fail(Fault.CUT_CONNECTION, after_bytes=10)
        with requests.get(api.url + HOUR_0, auth=KEYS, timeout=30, stream=True) as response:
            assert int(response.headers["Content-Length"]) > 10
            assert response.raw.read(10).startswith(b"PK")
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                next(response.iter_content(1))
        assert api.hours_served() == {}

    def test_a_connection_is_reset(self, api: AmplitudeExportApi) -> None:
        """A reset is another error than an end."""
        api.fail(Fault.CUT_CONNECTION, reset=True)
        with pytest.raises(requests.ConnectionError, match="reset by peer"):
            get(api)

    def test_the_next_request_is_served(self, api: AmplitudeExportApi) -> None:
        """A session that lost its connection makes a new one."""
        api.fail(Fault.CUT_CONNECTION, after_bytes=0)
        with requests.Session() as session:
            session.auth = KEYS
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                session.get(api.url + HOUR_0, timeout=30)

            assert session.get(api.url + HOUR_0, timeout=30).status_code == 200


class TestSlow:
    """Answers that take their time."""

    def test_a_stall_before_the_first_byte_runs_into_a_read_timeout(
        self, api: AmplitudeExportApi
    ) -> None:
        """Not even the status arrives."""
        api.fail(Fault.SLOW, seconds=60)
        with pytest.raises(requests.ReadTimeout):
            get(api, timeout=0.2)

    def test_a_stall_within_the_body_comes_after_its_first_bytes(
        self, api: AmplitudeExportApi
    ) -> None:
        """The headers and the bytes before the stall arrive, the rest does not in time."""
        api.fail(Fault.SLOW, seconds=60, after_bytes=10)
        with requests.get(api.url + HOUR_0, auth=KEYS, timeout=0.3, stream=True) as response:
            assert response.raw.read(10).startswith(b"PK")
            with pytest.raises(requests.ConnectionError, match="timed out"):
                next(response.iter_content(1))

    def test_a_patient_reader_gets_the_whole_answer(self, api: AmplitudeExportApi) -> None:
        """Slow is not broken: the hour counts as served, once, after the stall."""
        api.fail(Fault.SLOW, seconds=0.2, after_bytes=10)
        began = time.monotonic()
        response = get(api)

        assert time.monotonic() - began >= 0.2
        assert len(uuids_of(response.content)) == 10
        assert api.hours_served() == {hour(0): 1}


class TestEnd:
    """How the stand-in copes with rude readers and with its own end."""

    def test_a_reader_that_leaves_is_not_served_and_leaves_no_trace(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """A reader that closes half way has not got the hour; nothing is printed about it."""
        noise = random.Random(0).randbytes(12_000_000).hex()
        with AmplitudeExportApi([{**row(hour(0)), "x": noise}], now=LONG_AFTER) as api:
            with requests.get(api.url + HOUR_0, auth=KEYS, timeout=30, stream=True) as response:
                response.raw.read(1000)
            deadline = time.monotonic() + 10
            while api.under_way and time.monotonic() < deadline:
                time.sleep(0.005)

            assert api.under_way == 0
            assert api.hours_served() == {}
        assert capfd.readouterr() == ("", "")

    def test_words_that_are_no_http_leave_no_trace(
        self, api: AmplitudeExportApi, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """A connection that talks nonsense gets an error and nothing is printed."""
        address = ("127.0.0.1", int(api.url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            received = connection.recv(1000)

        assert b"400" in received
        assert capfd.readouterr() == ("", "")

    def test_a_reader_that_resets_within_its_request_leaves_no_trace(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """A killed reader is no mistake of the stand-in: nothing is printed or raised."""
        with AmplitudeExportApi([], now=LONG_AFTER) as api:
            connection = socket.create_connection(("127.0.0.1", int(api.url.rpartition(":")[2])))
            connection.sendall(b"GET /api/2/exp")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

            assert get(api).status_code == 404
            assert api.stray_requests == []
        assert capfd.readouterr() == ("", "")

    def test_the_end_waits_neither_for_idle_nor_for_stalled_readers(self) -> None:
        """Kept-alive connections and long stalls end with the block, at once."""
        threads = threading.active_count()
        with AmplitudeExportApi(rows_of(hour(0)), now=LONG_AFTER) as api:
            url = api.url
            session = requests.Session()
            session.get(url + HOUR_0, auth=KEYS, timeout=30)
            api.fail(Fault.SLOW, seconds=600)
            with pytest.raises(requests.ReadTimeout):
                get(api, timeout=0.1)
            began = time.monotonic()
        session.close()

        assert time.monotonic() - began < 1.5
        assert threading.active_count() == threads
        with pytest.raises(requests.ConnectionError, match="refused"):
            requests.get(url, timeout=5)

    def test_it_runs_only_inside_its_block(self) -> None:
        """An address before the start would lead nowhere."""
        with pytest.raises(RuntimeError, match="with"):
            _ = AmplitudeExportApi([]).url

    def test_a_mistake_of_the_stand_in_itself_is_raised(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A bug in here must not look like a fault of the service."""

        def break_down(*_: object) -> NoReturn:
            raise LookupError("a bug")

        def use() -> None:
            with AmplitudeExportApi([], now=LONG_AFTER) as api:
                monkeypatch.setattr(api, "_export", break_down)
                with pytest.raises(requests.ConnectionError):
                    get(api)

        with pytest.raises(LookupError, match="a bug"):
            use()
