"""Each fault of the Export API's stand-in breaks a request in its own way, and only then."""

from __future__ import annotations

import gzip
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault, Request
from tests.fakes.amplitude_reading import (
    KEYS,
    LONG_AFTER,
    broken_members,
    error_of,
    get,
    hour,
    names_of,
    uuids_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A whole day's range, and what it is of hours with rows.
DAY = ("20240101T00", "20240101T09")
HTML, ENVELOPE = "text/html; charset=utf-8", "application/json"
A_DATE = "Wed, 01 Jan 2025 00:00:00 GMT"


@pytest.mark.parametrize(
    ("fault", "details", "status", "kind", "words"),
    [
        (Fault.SIZE_400, {}, 400, ENVELOPE, "The limit size is 4GB."),
        (Fault.SIZE_400, {"text": "file too big", "form": "plain"}, 400, None, "file too big"),
        (Fault.OTHER_400, {}, 400, ENVELOPE, "Invalid user property country"),
        (Fault.UNAUTHORIZED_401, {}, 401, None, ""),
        (Fault.FORBIDDEN_403, {}, 403, ENVELOPE, "Invalid API Key"),
        (Fault.FORBIDDEN_PAGE, {}, 403, HTML, "<html>"),
        (Fault.NOT_FOUND_ODD, {}, 404, HTML, "404: Not Found"),
        *((Fault.RATE_LIMIT_429, {"retry_after": n}, 429, None, "") for n in (None, 2, A_DATE)),
        *(
            (Fault.SERVER_5XX, {"status": n, "body": "upstream connect error"}, n, None, "upstream")
            for n in (500, 502, 503, 599)
        ),
        (Fault.GATEWAY_TIMEOUT_504, {}, 504, HTML, "<html>"),
        (Fault.NOT_A_ZIP_200, {"form": "html"}, 200, HTML, "<html>"),
        (Fault.NOT_A_ZIP_200, {"form": "json"}, 200, ENVELOPE, "{"),
        (Fault.NOT_A_ZIP_200, {"form": "zip-typed"}, 200, "application/zip", "<html>"),
        (Fault.EMPTY_BODY_200, {}, 200, "application/zip", ""),
    ],
)
def test_an_answer_of_its_own(
    api: AmplitudeExportApi,
    fault: Fault,
    details: dict[str, Any],
    status: int,
    kind: str | None,
    words: str,
) -> None:
    """With its status, type and words, once; the hour was not served, and is after that."""
    api.fail(fault, **details)
    response = get(api)

    assert response.status_code == status
    assert kind is None or response.headers["Content-Type"] == kind
    assert words in response.text
    assert "Raw data" not in response.text
    wait = details.get("retry_after")
    assert response.headers.get("Retry-After") == (None if wait is None else str(wait))
    if kind == ENVELOPE and status != 200:
        assert words in error_of(response)["metadata"]["details"]
    assert (api.hours_served(), api.pending_faults()) == ({}, [])
    assert get(api).status_code == 200


@pytest.mark.parametrize(
    ("fault", "details", "broken", "match"),
    [
        (Fault.CUT_CONNECTION, {}, requests.ConnectionError, "without response"),
        (Fault.CUT_CONNECTION, {"reset": True}, requests.ConnectionError, "reset by peer"),
        (
            Fault.CUT_CONNECTION,
            {"after_bytes": 10},
            requests.exceptions.ChunkedEncodingError,
            "10 bytes read",
        ),
        (Fault.TRUNCATED_ZIP, {}, requests.exceptions.ChunkedEncodingError, "IncompleteRead"),
        (Fault.SLOW, {"seconds": 60}, requests.ReadTimeout, "timed out"),
        (Fault.SLOW, {"seconds": 60, "after_bytes": 10}, requests.ConnectionError, "timed out"),
    ],
)
def test_an_answer_that_does_not_arrive(
    api: AmplitudeExportApi,
    fault: Fault,
    details: dict[str, Any],
    broken: type[Exception],
    match: str,
) -> None:
    """The service noted the request and served nothing; the next request is served."""
    api.fail(fault, **details)
    with pytest.raises(broken, match=match):
        get(api, timeout=0.3)

    assert len(api.requests) == 1
    assert api.hours_served() == {}
    assert get(api).status_code == 200


def test_a_slow_answer_is_whole(api: AmplitudeExportApi) -> None:
    """To a patient reader, and it counts as served."""
    api.fail(Fault.SLOW, seconds=0.2, after_bytes=10)
    response = get(api)

    assert response.elapsed.total_seconds() < 0.2
    assert len(uuids_of(response.content)) == 10
    assert api.hours_served() == {hour(0): 1}


@pytest.mark.parametrize(("length", "announced"), [("cut", True), ("none", False)])
def test_an_archive_is_cut_and_http_does_not_show_it(
    api: AmplitudeExportApi, length: str, *, announced: bool
) -> None:
    """With a matching or a missing Content-Length only the zip itself is wrong."""
    whole = get(api)
    api.fail(Fault.TRUNCATED_ZIP, keep=0.9, length=length)
    response = get(api)

    assert ("Content-Length" in response.headers) is announced
    assert 0.8 < len(response.content) / len(whole.content) < 0.95
    with pytest.raises(zipfile.BadZipFile):
        uuids_of(response.content)
    assert api.hours_served() == {hour(0): 1}


@pytest.mark.parametrize(
    ("fault", "zip_tells"), [(Fault.CORRUPT_MEMBER, True), (Fault.TRUNCATED_GZIP, False)]
)
def test_one_member_is_damaged(api: AmplitudeExportApi, fault: Fault, *, zip_tells: bool) -> None:
    """By a flipped byte, which the zip's checksum shows, or cut short, which only gunzip shows."""
    api.fail(fault)
    body = get(api, *DAY).content

    with zipfile.ZipFile(BytesIO(body)) as archive:
        assert (archive.testzip() is not None) is zip_tells
    assert len(broken_members(body)) == 1
    assert api.hours_served() == {}


@pytest.mark.parametrize("text", ['{"event_type": "cut of', "[1, 2]", ""])
def test_a_line_is_no_json_object(api: AmplitudeExportApi, text: str) -> None:
    """One line more than the rows, which are all there; what follows damage is a repeat."""
    api.fail(Fault.CORRUPT_LINE, text=text)
    damaged, whole = get(api).content, get(api).content
    with zipfile.ZipFile(BytesIO(damaged)) as archive:
        packed = [gzip.decompress(archive.read(name)).decode() for name in archive.namelist()]

    lines = [line for content in packed for line in content.split("\n")[:-1]]
    assert (len(lines), lines.count(text)) == (11, 1)
    assert len(uuids_of(whole)) == 10
    assert sorted(names_of(whole)) == sorted(names_of(damaged))
    assert names_of(whole) != names_of(damaged)
    assert api.hours_served() == {hour(0): 1}


def test_a_redirect_leads_away_and_shows_whether_keys_follow(api: AmplitudeExportApi) -> None:
    """The other address notes whether it was sent credentials."""
    with AmplitudeExportApi([], now=LONG_AFTER) as other:
        target = f"{other.url}/api/2/export?start=20240101T00&end=20240101T00"
        api.fail(Fault.REDIRECT, times=2, to=target, status=307)
        response = get(api)
        # requests leaves the keys out when the port changes; a careless reader does not.
        requests.get(response.request.url or "", auth=KEYS, timeout=30)
        requests.get(response.headers["Location"], auth=KEYS, timeout=30)

        assert response.status_code == 307
        assert other.requests == [
            Request(hour(0), hour(0), 401, sent_keys=False),
            Request(hour(0), hour(0), 404, sent_keys=True),
        ]


@pytest.mark.parametrize(
    ("planned", "asked", "statuses", "left"),
    [
        ([(Fault.SERVER_5XX, {"times": 2})], [DAY[:1]] * 3, [503, 503, 200], []),
        (
            [(Fault.RATE_LIMIT_429, {}), (Fault.SERVER_5XX, {"status": 500})],
            [DAY[:1]] * 3,
            [429, 500, 200],
            [],
        ),
        # Only ranges that touch the hour of a fault meet it; for ever is never pending.
        (
            [(Fault.SIZE_400, {"hour": hour(1), "times": None})],
            [DAY[:1], DAY[1:], DAY, ("20240101T01",)],
            [200, 200, 400, 400],
            [],
        ),
        # Damage waits for an archive, and for a file of its hour.
        ([(Fault.TRUNCATED_GZIP, {})], [("20240101T03",)], [404], [Fault.TRUNCATED_GZIP]),
        (
            [(Fault.TRUNCATED_GZIP, {"hour": hour(3)})],
            [DAY],
            [200],
            [Fault.TRUNCATED_GZIP],
        ),
    ],
)
def test_faults_meet_the_requests_that_they_are_planned_for(
    api: AmplitudeExportApi,
    planned: list[tuple[Fault, dict[str, Any]]],
    asked: Sequence[tuple[str, ...]],
    statuses: list[int],
    left: list[Fault],
) -> None:
    """In their order, so many times, in the hours that they are for."""
    for fault, details in planned:
        api.fail(fault, **details)

    assert [get(api, *hours).status_code for hours in asked] == statuses
    assert [request.status for request in api.requests] == statuses
    assert api.pending_faults() == left


@pytest.mark.parametrize(
    ("fault", "details", "error"),
    [
        (Fault.RATE_LIMIT_429, {"retry_afer": 1}, TypeError),
        (Fault.EMPTY_BODY_200, {"status": 204}, TypeError),
        (Fault.SLOW, {}, TypeError),
        (Fault.REDIRECT, {"status": 301}, TypeError),
        (Fault.SERVER_5XX, {"times": 0}, ValueError),
        (Fault.SERVER_5XX, {"hour": hour(0).replace(tzinfo=None)}, ValueError),
        (Fault.SERVER_5XX, {"hour": hour(0).replace(minute=5)}, ValueError),
    ],
)
def test_a_fault_that_cannot_come_fails_at_once(
    api: AmplitudeExportApi, fault: Fault, details: dict[str, Any], error: type[Exception]
) -> None:
    """A slip in a test shows in that line, not as a fault that never comes."""
    with pytest.raises(error):
        api.fail(fault, **details)
