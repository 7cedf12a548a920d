"""The Export API's stand-in serves and refuses what the service does: one row for each case."""

from __future__ import annotations

import random
import socket
import threading
import time
import zipfile
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import requests

from tests.fakes.amplitude_export_api import (
    API_KEY,
    SECRET_KEY,
    AmplitudeExportApi,
    Fault,
    Request,
)
from tests.fakes.amplitude_reading import (
    KEYS,
    LONG_AFTER,
    error_of,
    files_of,
    get,
    hour,
    uuids_of,
)
from tests.support.rows import HOUR, hour_row, hour_rows

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR_0 = "start=20240101T00&end=20240101T00"
INVALID_KEY = {
    "http_code": 403,
    "type": "unspecified",
    "message": "Unspecified Error",
    "metadata": {"details": "Invalid API Key"},
}


@pytest.mark.parametrize(
    ("query", "details"),
    [
        *((f"start={start}&end=20240102T00", "start") for start in ("", "2024-01-01", "20240101")),
        *((f"start={start}&end=20240102T00", "start") for start in ("20240101T5", "20240101T24")),
        *((f"start=20240101T00&end={end}", "end") for end in ("20240230T00", "20240101T00:00")),
        *((f"start=20240101T00&end={end}", "end") for end in ("20240101T0٣", " 20240101T03")),
        ("start=20240101T00", "end"),
        ("start=20240101T01&end=20240101T00", "end is before start"),
        ("start=20230101T00&end=20240101T00", "365"),
    ],
)
def test_a_range_that_is_none_is_400(api: AmplitudeExportApi, query: str, details: str) -> None:
    """Hours have one form, both are needed, and 365 days are the most."""
    response = requests.get(f"{api.url}/api/2/export?{query}", auth=KEYS, timeout=30)

    assert response.status_code == 400
    assert details in error_of(response)["metadata"]["details"]
    assert "size" not in response.text
    assert api.hours_served() == {}


@pytest.mark.parametrize(
    "header", [None, "Bearer abc", "Basic", "Basic ***", "Basic /w==", ("wrong", SECRET_KEY)]
)
def test_other_credentials_are_refused(
    api: AmplitudeExportApi, header: str | tuple[str, str] | None
) -> None:
    """No keys get 401 and wrong ones 403, even while a fault waits."""
    api.fail(Fault.SERVER_5XX)
    auth = header if isinstance(header, tuple) else None
    headers = {"Authorization": header} if isinstance(header, str) else {}
    response = requests.get(
        f"{api.url}/api/2/export?{HOUR_0}", auth=auth, headers=headers, timeout=30
    )

    assert response.status_code == (403 if auth else 401)
    if auth:
        assert error_of(response) == INVALID_KEY
        assert get(api, auth=(API_KEY, "wrong")).json() == response.json()
    else:
        assert response.headers["WWW-Authenticate"].startswith("Basic")
    assert api.requests[0].sent_keys == bool(header)
    assert api.pending_faults() == [Fault.SERVER_5XX]


@pytest.mark.parametrize("path", ["/", "/api/2/exports", "/api/2/export/", "/export"])
def test_a_wrong_path_is_a_404_page_that_does_not_say_no_data(
    api: AmplitudeExportApi, path: str
) -> None:
    """A wrong address must not be taken for an empty range."""
    response = requests.get(api.url + path, auth=KEYS, timeout=30)

    assert response.status_code == 404
    assert "404: Not Found" in response.text
    assert "Raw data" not in response.text
    assert api.requests == []


@pytest.mark.parametrize(
    ("now", "start", "end", "hours"),
    [
        (LONG_AFTER, "20240101T00", "20240101T01", [0, 1]),
        (LONG_AFTER, "20240101T01", "20240101T01", [1]),
        (LONG_AFTER, "20230101T01", "20240101T00", [0]),
        (LONG_AFTER, "20240101T01", "20240101T09", [1, 9]),
        (LONG_AFTER, "20240101T03", "20240101T03", []),
        # An hour is hidden until three hours after its start, whatever the zone of the clock.
        (hour(4) - timedelta(microseconds=1), "20240101T01", "20240101T01", []),
        (hour(4), "20240101T01", "20240101T01", [1]),
        (hour(3) + timedelta(minutes=59), "20240101T00", "20240101T01", [0]),
        (
            datetime(2024, 1, 1, 4, 30, tzinfo=timezone(timedelta(hours=2))),
            "20240101T00",
            "20240101T00",
            [],
        ),
    ],
    ids=str,
)
def test_a_range_brings_the_hours_that_are_ready(
    api: AmplitudeExportApi, now: datetime, start: str, end: str, hours: list[int]
) -> None:
    """Both ends are included; what is not ready is left out silently, 404 when nothing is left."""
    api.now = now
    response = get(api, start, end)

    assert response.status_code == (200 if hours else 404)
    assert api.hours_served() == {hour(number): 1 for number in hours}
    if hours:
        expected = hour_rows(*hours, each=10)
        assert sorted(uuids_of(response.content)) == sorted(str(one["uuid"]) for one in expected)


def test_the_clock_is_the_real_one_or_has_a_zone() -> None:
    """The hour that runs now is hidden; a naive `now` would shift the edge unseen."""
    now = datetime.now(timezone.utc)
    past = now - timedelta(hours=4)
    with AmplitudeExportApi([hour_row(now), hour_row(past)]) as api:
        response = get(api, f"{past:%Y%m%dT%H}", f"{now:%Y%m%dT%H}")

    assert uuids_of(response.content) == [hour_row(past)["uuid"]]
    with pytest.raises(ValueError, match="time zone"):
        AmplitudeExportApi([], now=datetime(2024, 1, 1))  # noqa: DTZ001 - the mistake itself


def test_an_empty_range_is_404_in_both_known_forms() -> None:
    """Plain and in the envelope by turns."""
    with AmplitudeExportApi([], now=LONG_AFTER) as api:
        replies = [get(api) for _ in range(3)]

    assert {reply.status_code for reply in replies} == {404}
    assert "".join(reply.text[0] for reply in replies) == "R{R"
    assert all("Raw data files were not found." in reply.text for reply in replies)


def test_an_archive_has_amplitudes_form() -> None:
    """Hours are not padded, partitions do not count up, members are stored; rows as they are."""
    odd = {**hour_row(hour(10)), "event_type": "half \ud83d — ページ\u2028"}
    last = hour_row(hour(10) + timedelta(microseconds=3599999999))
    wanted = [*hour_rows(0, 1, 9, each=10), odd, last]
    with AmplitudeExportApi(wanted, now=LONG_AFTER) as api:
        body = get(api, "20240101T00", "20240101T10").content
    with zipfile.ZipFile(BytesIO(body)) as archive:
        members = archive.infolist()

    names = [member.filename for member in members]
    assert names[:6] == [
        f"123/123_2024-01-01_{number}#{partition}.json.gz"
        for number in (0, 1, 9)
        for partition in (627, 70)
    ]
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    by_uuid = {one["uuid"]: one for rows in files_of(body).values() for one in rows}
    assert by_uuid == {one["uuid"]: one for one in wanted}


def test_a_day_before_hourly_files_comes_whole_and_a_busy_hour_in_many_files() -> None:
    """Before 2014-11-12 one hour brings its day; no file has more rows than its limit."""
    day = datetime(2014, 11, 11, tzinfo=timezone.utc)
    rows = [hour_row(day + n * HOUR, number) for n in (0, 23, 24) for number in range(2)]
    with AmplitudeExportApi(rows, now=LONG_AFTER) as api:
        old, new = (files_of(get(api, text).content) for text in ("20141111T07", "20141112T00"))
    with AmplitudeExportApi(
        [hour_row(hour(0), n) for n in range(2500)], now=LONG_AFTER, rows_per_file=2
    ) as api:
        busy = files_of(get(api).content)

    assert list(old) == [f"123/123_2014-11-11#{n}.json.gz" for n in (627, 70)]
    assert list(new) == [f"123/123_2014-11-12_0#{n}.json.gz" for n in (627, 70)]
    assert (len(busy), {len(rows) for rows in busy.values()}) == (1250, {2})


def test_repeats_bring_the_same_rows_in_another_order() -> None:
    """Whatever the range they came in before; to the byte the same in another run."""
    repeats = []
    for _ in range(2):
        with AmplitudeExportApi(hour_rows(0, 1, each=10), now=LONG_AFTER) as api:
            wide = files_of(get(api, "20240101T00", "20240101T01").content)
            repeats.append(get(api).content)
            again = files_of(get(api).content)
    narrow = files_of(repeats[-1])

    assert set(narrow) < set(wide)
    assert set(narrow) == set(again)
    assert list(narrow) != list(again)
    assert all(rows != wide[name] for name, rows in narrow.items())
    assert {one["uuid"] for rows in narrow.values() for one in rows} == {
        one["uuid"] for rows in again.values() for one in rows
    }
    assert repeats[0] == repeats[1]


def test_an_archive_above_the_size_limit_is_400() -> None:
    """Exactly the limit is served."""
    rows = hour_rows(0, each=10)
    with AmplitudeExportApi(rows, now=LONG_AFTER) as api:
        size = len(get(api).content)
    for limit, status in ((size, 200), (size - 1, 400)):
        with AmplitudeExportApi(rows, now=LONG_AFTER, size_limit=limit) as api:
            response = get(api)
        assert response.status_code == status
    assert "too large" in error_of(response)["metadata"]["details"]


def test_requests_are_recorded_with_their_range_and_status(api: AmplitudeExportApi) -> None:
    """As they were asked for; an hour read twice counts twice, from many threads too."""
    assert requests.post(f"{api.url}/api/2/export", auth=KEYS, timeout=30).status_code == 405
    get(api, "20240101T00", "20240101T03")
    get(api, "20240101T03")
    readers = [threading.Thread(target=get, args=(api, "20240101T01")) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)

    assert api.requests == [
        Request(hour(0), hour(3), 200),
        Request(hour(3), hour(3), 404),
        *[Request(hour(1), hour(1), 200)] * 4,
    ]
    assert api.hours_served() == {hour(0): 1, hour(1): 5}


def test_a_sixth_request_at_once_is_429() -> None:
    """Five may be under way; the end of the block ends a stall and delivers what is under way."""
    answers: list[int] = []
    with AmplitudeExportApi(hour_rows(0, each=10), now=LONG_AFTER) as api:
        api.fail(Fault.SLOW, times=6, seconds=60)
        readers = [
            threading.Thread(target=lambda: answers.append(get(api).status_code)) for _ in range(5)
        ]
        for reader in readers:
            reader.start()
        eventually(lambda: api.under_way == 5)
        sixth = get(api)
    for reader in readers:
        reader.join(10)

    assert sixth.status_code == 429
    assert "Exceeded concurrent limit" in error_of(sixth)["metadata"]["details"]
    assert "Retry-After" not in sixth.headers
    assert (answers, api.most_under_way, api.pending_faults()) == ([200] * 5, 6, [Fault.SLOW])


def test_rude_readers_leave_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    """One that leaves half way has not got the hour; nonsense gets 400; nothing is printed."""
    noise = random.Random(0).randbytes(12_000_000).hex()
    with AmplitudeExportApi([{**hour_row(hour(0)), "x": noise}], now=LONG_AFTER) as api:
        address = f"{api.url}/api/2/export?{HOUR_0}"
        with requests.get(address, auth=KEYS, timeout=30, stream=True) as response:
            response.raw.read(1000)
        eventually(lambda: api.under_way == 0)
        place = ("127.0.0.1", int(api.url.rpartition(":")[2]))
        with socket.create_connection(place, timeout=30) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert b"400" in connection.recv(1000)

        assert api.hours_served() == {}
    assert capfd.readouterr() == ("", "")


def eventually(happened: Callable[[], bool]) -> None:
    """Wait until something has happened, or fail."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
