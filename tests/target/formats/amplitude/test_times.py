"""Which time an event has, and in which form."""

from __future__ import annotations

from typing import Any

import pytest

from tap_amplitude.times import to_rfc3339 as tap_to_rfc3339
from target_posthog.formats.amplitude.times import (
    EVENT_TIME_SOURCES,
    TIME_FIELDS,
    add_times,
    event_time,
)
from target_posthog.posthog.times import rfc3339_of, to_rfc3339


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-01-01 19:02:52.749000", "2023-01-01T19:02:52.749000Z"),
        ("2023-01-01T19:02:52.749000Z", "2023-01-01T19:02:52.749000Z"),
        ("2023-01-01 19:02:52.000001", "2023-01-01T19:02:52.000001Z"),
        ("2023-01-01 19:02:52", "2023-01-01T19:02:52.000000Z"),
        ("2023-01-01T19:02:52z", "2023-01-01T19:02:52.000000Z"),
        ("2023-01-01 19:02:52.7", "2023-01-01T19:02:52.700000Z"),
        ("2023-01-01 19:02:52,749", "2023-01-01T19:02:52.749000Z"),
        ("2023-01-01T19:02:52.7490004999Z", "2023-01-01T19:02:52.749000Z"),
        ("2023-01-01T19:02:52.7490005Z", "2023-01-01T19:02:52.749001Z"),
        ("2023-12-31 23:59:59.999999999", "2024-01-01T00:00:00.000000Z"),
        ("2023-01-01 19:02:52 UTC", "2023-01-01T19:02:52.000000Z"),
        ("2023-01-01T01:30:00+05:30", "2022-12-31T20:00:00.000000Z"),
        ("2022-12-31T18:30:00.5-0530", "2023-01-01T00:00:00.500000Z"),
        ("  2023-01-01 19:02:52.749000  ", "2023-01-01T19:02:52.749000Z"),
        ("2024-02-29 00:00:00.000000", "2024-02-29T00:00:00.000000Z"),
        ("0001-01-01 00:00:00.000000", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31 23:59:59.999999", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_is_written_as_rfc_3339_in_utc_with_six_decimals(text: str, expected: str) -> None:
    """Amplitude's own form, RFC 3339 and their relatives all give the one form."""
    assert to_rfc3339(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "   ", "yesterday", "1672599772", 1672599772, 1672599772749.0, True, [], {}),
        "2023-02-29 00:00:00.000000",
        "2023-13-01 00:00:00",
        "2023-01-01 24:30:00",
        "2023-01-01 19:02:60",
        "0000-00-00 00:00:00",
        "2023-01-01 19:02:52.749000 Europe/Berlin",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:59.9999999",
        "0001-01-01T00:00:00+01:00",
        "٢٠٢٣-01-01 19:02:52",
        "2023-01-01\n19:02:52",
        *("2023-01-01 19:02:52:749000", "2023-01-01 19:02:52 749000"),
        # It has the length of Amplitude's form, and Python from 3.11 on reads it as a date.
        "2024-W01-1 12:34:56.789012",
        # RFC 3339 has offsets up to 23:59; another would move the event by days.
        *(f"2023-01-01T19:02:52{zone}" for zone in ("+99:99", "+24:00", "-05:60")),
    ],
)
def test_what_is_no_time_cannot_be_read(value: Any) -> None:
    """A guess would move an event; None lets the next of the row's times be tried."""
    assert to_rfc3339(value) is None


@pytest.mark.parametrize(
    "text",
    [
        "2023-01-01",
        "2023-01-01 19:02",
        "2023-01-01 19:02:52+05",
        "2023-01-01 19:02:52 GMT",
        "2023-01-01 19:02:52.7490001234",
        "2023-01-01 19:02:52.749",
        "2023-01-01 19:02:52.749000",
        "2023-01-01T19:02:52.749000Z",
        "2023-01-01 19:02:52+99:99",
        "2024-W01-1 12:34:56.789012",
        "12:34:56",
        "soon",
    ],
)
def test_the_target_reads_the_times_that_the_tap_reads(text: str) -> None:
    """A row gives the same event as a RECORD, where the tap wrote its times, and from a file."""
    assert to_rfc3339(text) == tap_to_rfc3339(text)


@pytest.mark.parametrize("position", range(len(EVENT_TIME_SOURCES)))
def test_the_first_time_that_can_be_read_is_the_events(position: int) -> None:
    """event_time, client_event_time, server_received_time, server_upload_time: in this order."""
    order = ("event_time", "client_event_time", "server_received_time", "server_upload_time")
    row = {name: f"2023-01-0{day} 00:00:00" for day, name in enumerate(order, start=1)}
    for earlier in order[:position]:
        row[earlier] = "broken"
    assert event_time(row) == f"2023-01-0{position + 1}T00:00:00.000000Z"


#: What a clock shows at the end of its 32 bits.
LATE = "2038-01-19 03:14:07"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event_time": "2024-01-02 00:00:00"}, "2024-01-02T00:00:00.000000Z"),
        ({"event_time": "2024-01-02 00:00:00.000001"}, "2023-12-31T23:59:58.000000Z"),
        ({"event_time": LATE}, "2023-12-31T23:59:58.000000Z"),
        (dict.fromkeys(EVENT_TIME_SOURCES[:2], LATE), "2023-12-31T23:59:59.000000Z"),
        (dict.fromkeys(EVENT_TIME_SOURCES[:3], LATE), "2024-01-01T00:00:00.000000Z"),
        ({"event_time": LATE, "server_upload_time": None}, "2038-01-19T03:14:07.000000Z"),
        (
            {"event_time": "2024-01-01 23:30:00-02:00", "server_upload_time": 1704067200},
            "2023-12-31T23:59:58.000000Z",
        ),
        (
            {"event_time": "9999-12-31 23:59:59", "server_upload_time": "9999-12-31 00:00:00"},
            "9999-12-31T23:59:59.000000Z",
        ),
    ],
)
def test_a_time_over_a_day_after_the_upload_gives_way_to_the_next(
    changes: dict[str, Any], expected: str
) -> None:
    """A phone whose clock shows 2038 was not there; without a time of upload nothing tells."""
    row = {
        "event_time": "2023-12-31 23:59:57",
        "client_event_time": "2023-12-31 23:59:58",
        "server_received_time": "2023-12-31 23:59:59",
        "server_upload_time": "2024-01-01 00:00:00",
    }
    assert event_time({**row, **changes}) == expected


@pytest.mark.parametrize("early", ["0001-01-01 00:00:00", "1899-12-31 23:59:59.999999"])
def test_a_time_that_posthog_cannot_store_gives_way_to_the_next(early: str) -> None:
    """ClickHouse would make 1900 of it; many programs write `0001-01-01` for none."""
    row = {"event_time": early, "client_event_time": "2023-12-31 23:59:58"}
    assert event_time(row) == "2023-12-31T23:59:58.000000Z"
    assert event_time(dict.fromkeys(EVENT_TIME_SOURCES, early)) is None
    assert event_time({"event_time": "1900-01-01 00:00:00"}) == "1900-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("name", sorted(TIME_FIELDS - set(EVENT_TIME_SOURCES)))
def test_no_other_time_of_the_row_is_the_events(name: str) -> None:
    """When it was uploaded by the client or processed does not say when it happened."""
    assert event_time({name: "2023-01-01 00:00:00"}) is None


@pytest.mark.parametrize(
    ("milliseconds", "time"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1752748588583, "2025-07-17T10:36:28.583000Z"),
        (253402300799999, "9999-12-31T23:59:59.999000Z"),
        (253402300800000, None),
        (1 << 60, None),
    ],
)
def test_milliseconds_become_the_same_form(milliseconds: int, time: str | None) -> None:
    """So the start of a session can be compared with an event's time as text."""
    assert rfc3339_of(milliseconds) == time


def test_times_are_added_as_they_are_read() -> None:
    """A number too; what cannot be read stays, and null ones are left out."""
    properties: dict[str, Any] = {"here": 1}
    found = ["2023-01-01 19:02:52", 1704103200, "soon", 7, None]
    add_times(properties, ["text", "number", "unread", "small", "absent"], found)
    assert properties == {
        "here": 1,
        "text": "2023-01-01T19:02:52.000000Z",
        "number": "2024-01-01T10:00:00.000000Z",
        "unread": "soon",
        "small": 7,
    }
