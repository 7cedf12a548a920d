"""Each fault of the Export API's stand-in breaks a request in its own way, and only then."""

from __future__ import annotations

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
    rows_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """A project with ten rows in each of the hours 0, 1 and 9."""
    with AmplitudeExportApi(rows_of(hour(0), hour(1), hour(9)), now=LONG_AFTER) as running:
        yield running


class TestPlan:
    """Which requests a fault meets."""

    def test_a_fault_meets_the_next_requests_and_no_more(self, api: AmplitudeExportApi) -> None:
        """After `times` requests the service works again, and all rows are there."""
        api.fail(Fault.SERVER_5XX, times=2)
        statuses = [get(api).status_code for _ in range(3)]

        assert statuses == [503, 503, 200]
        assert [request.status for request in api.requests] == statuses
        assert api.hours_served() == {hour(0): 1}
        assert api.pending_faults() == []

    def test_a_fault_of_an_hour_meets_only_ranges_that_touch_it(
        self, api: AmplitudeExportApi
    ) -> None:
        """Ranges that end before or start after the hour are served as ever."""
        api.fail(Fault.SERVER_5XX, hour=hour(1))
        statuses = [
            get(api, start, end).status_code
            for start, end in [
                ("20240101T00", "20240101T00"),
                ("20240101T09", "20240101T09"),
                ("20240101T00", "20240101T01"),
                ("20240101T01", "20240101T01"),
            ]
        ]

        assert statuses == [200, 200, 503, 200]

    def test_a_fault_can_last_for_ever(self, api: AmplitudeExportApi) -> None:
        """With `times=None` it never ends, and is never pending."""
        api.fail(Fault.SIZE_400, times=None, hour=hour(1))

        assert {get(api, "20240101T01").status_code for _ in range(4)} == {400}
        assert get(api, "20240101T00").status_code == 200
        assert api.pending_faults() == []

    def test_faults_come_in_the_order_they_were_programmed(self, api: AmplitudeExportApi) -> None:
        """A test can write down the course of a bad day."""
        api.fail(Fault.RATE_LIMIT_429)
        api.fail(Fault.SERVER_5XX, status=500)
        api.fail(Fault.GATEWAY_TIMEOUT_504)

        assert [get(api).status_code for _ in range(4)] == [429, 500, 504, 200]

    def test_damage_waits_for_an_archive(self, api: AmplitudeExportApi) -> None:
        """An empty range has nothing to damage and does not use the fault up."""
        api.fail(Fault.TRUNCATED_GZIP)
        empty = get(api, "20240101T03")
        damaged = get(api, "20240101T00")

        assert empty.status_code == 404
        assert len(broken_members(damaged.content)) == 1

    def test_damage_to_an_hour_waits_for_its_rows(self, api: AmplitudeExportApi) -> None:
        """A file of that hour is broken and no other; an hour without rows has no file."""
        api.fail(Fault.TRUNCATED_GZIP, hour=hour(1))
        damaged = get(api, "20240101T00", "20240101T09")
        api.fail(Fault.TRUNCATED_GZIP, hour=hour(3))
        sound = get(api, "20240101T00", "20240101T09")

        assert broken_members(sound.content) == []
        assert [name.split("_")[2][0] for name in broken_members(damaged.content)] == ["1"]
        assert api.pending_faults() == [Fault.TRUNCATED_GZIP]

    @pytest.mark.parametrize(
        ("fault", "details"),
        [
            (Fault.RATE_LIMIT_429, {"retry_afer": 1}),
            (Fault.EMPTY_BODY_200, {"status": 204}),
            (Fault.SLOW, {}),
            (Fault.REDIRECT, {"status": 301}),
        ],
    )
    def test_a_wrong_detail_fails_at_once(
        self, api: AmplitudeExportApi, fault: Fault, details: dict[str, Any]
    ) -> None:
        """A slip in a test shows in that line, not as a fault that never comes."""
        with pytest.raises(TypeError):
            api.fail(fault, **details)

    @pytest.mark.parametrize(
        "impossible",
        [{"times": 0}, {"hour": hour(0).replace(tzinfo=None)}, {"hour": hour(0).replace(minute=5)}],
    )
    def test_a_fault_that_cannot_come_fails_at_once(
        self, api: AmplitudeExportApi, impossible: dict[str, Any]
    ) -> None:
        """No times at all, an hour without a zone and a half hour are mistakes."""
        with pytest.raises(ValueError, match=r"times|hour"):
            api.fail(Fault.SERVER_5XX, **impossible)

    def test_every_fault_is_there(self, api: AmplitudeExportApi) -> None:
        """Each fault can be programmed, answered and got over."""
        needed: dict[Fault, dict[str, Any]] = {
            Fault.SLOW: {"seconds": 0.01},
            Fault.REDIRECT: {"to": "http://127.0.0.1:9/"},
        }
        for fault in Fault:
            api.fail(fault, **needed.get(fault, {}))
            try:
                get(api)
            except requests.RequestException:
                assert fault in {Fault.CUT_CONNECTION, Fault.TRUNCATED_ZIP}
            assert api.pending_faults() == [], fault

        assert get(api).status_code == 200
        # Of all these only the slow answer and the last one brought the hour whole.
        assert api.hours_served() == {hour(0): 2}


class TestErrorAnswers:
    """Faults that are an answer of their own."""

    def test_too_large_for_no_reason(self, api: AmplitudeExportApi) -> None:
        """The 400 for size can be had without size, in any text, wrapped or plain."""
        api.fail(Fault.SIZE_400)
        api.fail(Fault.SIZE_400, text="file too big", form="plain")
        wrapped, plain = get(api), get(api)

        assert (wrapped.status_code, plain.status_code) == (400, 400)
        assert "The limit size is 4GB." in error_of(wrapped)["metadata"]["details"]
        assert plain.text == "file too big"

    def test_a_400_of_another_kind_has_the_recorded_body(self, api: AmplitudeExportApi) -> None:
        """This 400 says nothing of a size, so no split can help."""
        api.fail(Fault.OTHER_400)

        assert error_of(get(api)) == {
            "http_code": 400,
            "type": "invalid",
            "message": "Invalid chart definition",
            "metadata": {"details": "Invalid user property country"},
        }

    def test_right_keys_can_be_refused(self, api: AmplitudeExportApi) -> None:
        """Keys that are revoked half way look like wrong ones."""
        api.fail(Fault.UNAUTHORIZED_401)
        api.fail(Fault.FORBIDDEN_403)
        missing, wrong = get(api), get(api)

        assert missing.status_code == 401
        assert wrong.status_code == 403
        assert error_of(wrong)["metadata"]["details"] == "Invalid API Key"

    def test_an_odd_404_does_not_say_no_data(self, api: AmplitudeExportApi) -> None:
        """The page has the observed words and not those of an empty range."""
        api.fail(Fault.NOT_FOUND_ODD)
        response = get(api)

        assert response.status_code == 404
        assert response.headers["Content-Type"].startswith("text/html")
        assert "404: Not Found" in response.text
        assert "Raw data" not in response.text

    @pytest.mark.parametrize(
        ("retry_after", "header"),
        [
            (None, None),
            (2, "2"),
            ("Wed, 01 Jan 2025 00:00:00 GMT", "Wed, 01 Jan 2025 00:00:00 GMT"),
        ],
    )
    def test_a_rate_limit_may_say_how_long(
        self, api: AmplitudeExportApi, retry_after: float | str | None, header: str | None
    ) -> None:
        """Retry-After is seconds, a date, or not sent."""
        api.fail(Fault.RATE_LIMIT_429, retry_after=retry_after)
        response = get(api)

        assert response.status_code == 429
        assert response.headers.get("Retry-After") == header

    @pytest.mark.parametrize("status", [500, 502, 503, 599])
    def test_the_server_fails_with_any_status(self, api: AmplitudeExportApi, status: int) -> None:
        """Statuses without a phrase of their own work too."""
        api.fail(Fault.SERVER_5XX, status=status, body="upstream connect error")
        response = get(api)

        assert (response.status_code, response.text) == (status, "upstream connect error")

    def test_the_gateway_times_out_with_a_page(self, api: AmplitudeExportApi) -> None:
        """504 comes as HTML, not in the envelope."""
        api.fail(Fault.GATEWAY_TIMEOUT_504)
        response = get(api)

        assert response.status_code == 504
        assert response.text.startswith("<html>")

    @pytest.mark.parametrize(
        ("form", "content_type", "begins"),
        [
            ("html", "text/html; charset=utf-8", b"<html>"),
            ("json", "application/json", b"{"),
            ("zip-typed", "application/zip", b"<html>"),
        ],
    )
    def test_a_200_may_hold_no_zip(
        self, api: AmplitudeExportApi, form: str, content_type: str, begins: bytes
    ) -> None:
        """Neither the status nor even the type proves that there is an archive."""
        api.fail(Fault.NOT_A_ZIP_200, form=form)
        response = get(api)

        assert response.status_code == 200
        assert response.headers["Content-Type"] == content_type
        assert response.content.startswith(begins)
        assert api.hours_served() == {}

    def test_a_200_may_be_empty(self, api: AmplitudeExportApi) -> None:
        """A zip's type and no byte of one."""
        api.fail(Fault.EMPTY_BODY_200)
        response = get(api)

        assert (response.status_code, response.content) == (200, b"")
        assert api.hours_served() == {}

    def test_a_redirect_leads_away_and_shows_whether_keys_follow(
        self, api: AmplitudeExportApi
    ) -> None:
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
