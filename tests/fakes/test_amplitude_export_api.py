"""The Export API's stand-in serves and refuses what the service does."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
import requests

from tests.fakes.amplitude_export_api import (
    AmplitudeExportApi,
    Request,
)
from tests.fakes.amplitude_reading import (
    KEYS,
    LONG_AFTER,
    error_of,
    files_of,
    get,
    hour,
    row,
    rows_of,
    uuids_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.amplitude_answers import NotFoundForm


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """A project with ten rows in each of the hours 0, 1 and 9."""
    with AmplitudeExportApi(rows_of(hour(0), hour(1), hour(9)), now=LONG_AFTER) as running:
        yield running


class TestRange:
    """Which rows a range brings."""

    def test_both_hours_of_a_range_are_included(self, api: AmplitudeExportApi) -> None:
        """T00 to T01 brings the rows of both hours, and one hour is H to H."""
        both = get(api, "20240101T00", "20240101T01")
        one = get(api, "20240101T01")

        assert Counter(uuids_of(both.content)) == Counter(
            str(item["uuid"]) for item in rows_of(hour(0), hour(1))
        )
        assert sorted(uuids_of(one.content)) == [str(i["uuid"]) for i in rows_of(hour(1))]

    def test_the_upload_clock_decides_the_hour_to_its_last_microsecond(self) -> None:
        """A row of 00:59:59.999999 is of hour 0 and one of 01:00:00 is of hour 1."""
        last, first = row(hour(1) - timedelta(microseconds=1)), row(hour(1))
        with AmplitudeExportApi([first, last], now=LONG_AFTER) as api:
            assert uuids_of(get(api, "20240101T00").content) == [last["uuid"]]
            assert uuids_of(get(api, "20240101T01").content) == [first["uuid"]]

    @pytest.mark.parametrize("start", ["", "2024-01-01", "20240101", "20240101T5", "20240101T24"])
    def test_a_start_that_is_no_hour_is_refused(self, api: AmplitudeExportApi, start: str) -> None:
        """Anything but YYYYMMDDTHH of a real hour gets 400, and is no request for a range."""
        response = get(api, start, "20240102T00")

        assert response.status_code == 400
        assert "start" in error_of(response)["metadata"]["details"]
        assert api.requests == []
        assert [stray.status for stray in api.stray_requests] == [400]

    @pytest.mark.parametrize(
        "end", ["20240230T00", "20240101T00:00", "20240101T0٣", " 20240101T03"]
    )
    def test_an_end_that_is_no_hour_is_refused(self, api: AmplitudeExportApi, end: str) -> None:
        """The end is read as strictly as the start."""
        response = get(api, "20240101T00", end)

        assert response.status_code == 400
        assert "end" in error_of(response)["metadata"]["details"]

    def test_start_and_end_are_both_required(self, api: AmplitudeExportApi) -> None:
        """A request without `end` gets 400."""
        response = requests.get(f"{api.url}/api/2/export?start=20240101T00", auth=KEYS, timeout=30)

        assert response.status_code == 400
        assert "end" in error_of(response)["metadata"]["details"]

    def test_an_end_before_the_start_is_refused(self, api: AmplitudeExportApi) -> None:
        """A range that runs backwards gets 400, and not "no data"."""
        response = get(api, "20240101T01", "20240101T00")

        assert response.status_code == 400
        assert error_of(response)["metadata"]["details"] == "end is before start"

    def test_a_range_is_365_days_at_the_most(self, api: AmplitudeExportApi) -> None:
        """365 days to the hour are served; one hour more gets a 400 that is not about size."""
        longest = get(api, "20230101T01", "20240101T00")
        longer = get(api, "20230101T00", "20240101T00")

        assert longest.status_code == 200
        assert longer.status_code == 400
        assert "365" in error_of(longer)["metadata"]["details"]
        assert "size" not in longer.text


class TestReadiness:
    """When an hour can be had."""

    def test_an_hour_is_hidden_until_three_hours_after_its_start(
        self, api: AmplitudeExportApi
    ) -> None:
        """Hour 1 is there from 04:00 on and a microsecond before looks empty."""
        api.now = hour(4) - timedelta(microseconds=1)
        early = get(api, "20240101T01")
        api.now = hour(4)
        ready = get(api, "20240101T01")

        assert early.status_code == 404
        assert ready.status_code == 200

    def test_a_range_over_the_edge_silently_lacks_the_new_hours(
        self, api: AmplitudeExportApi
    ) -> None:
        """200 does not mean that every hour of the range was ready."""
        api.now = hour(3) + timedelta(minutes=59)
        response = get(api, "20240101T00", "20240101T01")

        assert response.status_code == 200
        assert len(uuids_of(response.content)) == 10
        assert api.hours_served() == {hour(0): 1}

    def test_the_clock_may_stand_in_another_zone(self, api: AmplitudeExportApi) -> None:
        """04:30 at UTC+2 is 02:30 UTC: hour 0 is still hidden."""
        api.now = datetime(2024, 1, 1, 4, 30, tzinfo=timezone(timedelta(hours=2)))

        assert get(api, "20240101T00").status_code == 404

    def test_without_a_clock_of_its_own_it_goes_by_the_real_time(self) -> None:
        """The hour that runs now is hidden, the hour four hours ago is there."""
        now = datetime.now(timezone.utc)
        past = now - timedelta(hours=4)
        with AmplitudeExportApi([row(now), row(past)]) as api:
            response = get(api, f"{past:%Y%m%dT%H}", f"{now:%Y%m%dT%H}")

        assert uuids_of(response.content) == [row(past)["uuid"]]

    def test_a_clock_without_a_zone_is_a_mistake(self) -> None:
        """A naive `now` would shift the edge unseen, so it is refused."""
        with pytest.raises(ValueError, match="time zone"):
            AmplitudeExportApi([], now=datetime(2024, 1, 1))  # noqa: DTZ001 - the mistake itself

    def test_rows_can_arrive_while_it_runs(self, api: AmplitudeExportApi) -> None:
        """A new hour shows up as it would for a schedule."""
        api.add_rows(rows_of(hour(5), count=1))

        assert len(uuids_of(get(api, "20240101T05").content)) == 1


class TestNoData:
    """Ranges without events."""

    def test_a_wholly_empty_range_is_404_in_both_known_forms(self, api: AmplitudeExportApi) -> None:
        """The recorded text comes plain and in the envelope by turns."""
        plain, wrapped = get(api, "20240101T03"), get(api, "20240101T03")

        assert (plain.status_code, plain.text) == (404, "Raw data files were not found.")
        assert wrapped.status_code == 404
        assert error_of(wrapped)["metadata"]["details"] == "Raw data files were not found."

    @pytest.mark.parametrize(("form", "first"), [("plain", "R"), ("json", "{")])
    def test_the_form_of_no_data_can_be_fixed(self, form: NotFoundForm, first: str) -> None:
        """A test that needs one form always gets it."""
        with AmplitudeExportApi([], now=LONG_AFTER, not_found_form=form) as api:
            bodies = [get(api).text for _ in range(3)]

        assert [body[0] for body in bodies] == [first] * 3

    def test_an_empty_hour_inside_a_range_just_has_no_file(self, api: AmplitudeExportApi) -> None:
        """A range in which only some hours are empty is 200."""
        response = get(api, "20240101T01", "20240101T09")

        assert response.status_code == 200
        assert {name.split("_")[2].split("#")[0] for name in files_of(response.content)} == {
            "1",
            "9",
        }


class TestRecords:
    """What a test can find out afterwards."""

    def test_requests_are_recorded_in_order_with_their_hours_and_status(
        self, api: AmplitudeExportApi
    ) -> None:
        """The record tells the range as it was asked for, not as it was cut to what is ready."""
        get(api, "20240101T00", "20240101T09")
        get(api, "20240101T03")
        get(api, "20260101T00", "20240101T00")

        assert api.requests == [
            Request(hour(0), hour(9), 200),
            Request(hour(3), hour(3), 404),
            Request(datetime(2026, 1, 1, tzinfo=timezone.utc), hour(0), 400),
        ]
        assert api.stray_requests == []

    def test_served_hours_are_those_with_rows_once_per_delivery(
        self, api: AmplitudeExportApi
    ) -> None:
        """An hour read twice counts twice; an hour without rows does not count."""
        get(api, "20240101T00", "20240101T03")
        get(api, "20240101T01")

        assert api.hours_served() == {hour(0): 1, hour(1): 2}

    def test_readers_at_once_are_all_recorded(self, api: AmplitudeExportApi) -> None:
        """Requests from several threads lose no record and no delivery."""

        def read() -> None:
            for _ in range(25):
                assert get(api).status_code == 200

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(30)

        assert api.requests == [Request(hour(0), hour(0), 200)] * 100
        assert api.hours_served() == {hour(0): 100}
