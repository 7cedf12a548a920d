"""The Export API's stand-in refuses keys, addresses, sizes and crowds as the service does."""

from __future__ import annotations

import threading
import time
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
from tests.fakes.amplitude_reading import KEYS, LONG_AFTER, error_of, get, hour, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def eventually(happened: Callable[[], bool]) -> None:
    """Wait until something has happened, or fail."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """A project with ten rows in each of the hours 0, 1 and 9."""
    with AmplitudeExportApi(rows_of(hour(0), hour(1), hour(9)), now=LONG_AFTER) as running:
        yield running


class TestRefusals:
    """Keys, size, addresses and rates."""

    def test_no_credentials_is_401(self, api: AmplitudeExportApi) -> None:
        """A request without keys gets 401, is told the scheme, and is noted as such."""
        response = get(api, auth=None)

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic")
        assert api.requests == [Request(hour(0), hour(0), 401, sent_keys=False)]

    @pytest.mark.parametrize("header", ["Bearer abc", "Basic", "Basic ***", "Basic /w=="])
    def test_credentials_of_another_form_are_401(
        self, api: AmplitudeExportApi, header: str
    ) -> None:
        """Only HTTP Basic counts as credentials."""
        response = requests.get(
            f"{api.url}/api/2/export?start=20240101T00&end=20240101T00",
            headers={"Authorization": header},
            timeout=30,
        )

        assert response.status_code == 401

    @pytest.mark.parametrize("keys", [("wrong", SECRET_KEY), (API_KEY, "wrong"), ("", "")])
    def test_wrong_keys_are_403_with_the_recorded_body(
        self, api: AmplitudeExportApi, keys: tuple[str, str]
    ) -> None:
        """A wrong key and a wrong secret look the same, even while another fault waits."""
        api.fail(Fault.SERVER_5XX)
        response = get(api, auth=keys)

        assert response.status_code == 403
        assert response.json() == {
            "error": {
                "http_code": 403,
                "type": "unspecified",
                "message": "Unspecified Error",
                "metadata": {"details": "Invalid API Key"},
            }
        }
        assert api.pending_faults() == [Fault.SERVER_5XX]

    @pytest.mark.parametrize("path", ["/", "/api/2/exports", "/api/2/export/", "/export"])
    def test_a_wrong_path_is_a_404_page_that_does_not_say_no_data(
        self, api: AmplitudeExportApi, path: str
    ) -> None:
        """A wrong address must not be taken for an empty range."""
        response = requests.get(api.url + path, auth=KEYS, timeout=30)

        assert response.status_code == 404
        assert "404: Not Found" in response.text
        assert "Raw data" not in response.text
        assert [stray.target for stray in api.stray_requests] == [path]

    def test_an_archive_above_the_size_limit_is_400(self, api: AmplitudeExportApi) -> None:
        """An archive of exactly the limit is served; one byte more is refused as too large."""
        size = len(get(api, "20240101T00", "20240101T01").content)
        answers = []
        for limit in (size, size - 1):
            with AmplitudeExportApi(
                rows_of(hour(0), hour(1)), now=LONG_AFTER, size_limit=limit
            ) as limited:
                answers.append(get(limited, "20240101T00", "20240101T01"))
                half = get(limited, "20240101T00")

                assert half.status_code == 200

        assert [answer.status_code for answer in answers] == [200, 400]
        assert "too large" in error_of(answers[1])["metadata"]["details"]

    def test_the_text_of_too_large_can_be_set(self) -> None:
        """The real text is not known, so a test can try any."""
        rows = rows_of(hour(0))
        with AmplitudeExportApi(rows, now=LONG_AFTER, size_limit=1, size_text="4GB!") as api:
            assert error_of(get(api))["metadata"]["details"] == "4GB!"

    def test_a_sixth_request_at_once_is_429(self) -> None:
        """Five requests may be under way; the next is refused and uses no fault up."""
        answers: list[int] = []
        with AmplitudeExportApi(rows_of(hour(0)), now=LONG_AFTER) as api:
            api.fail(Fault.SLOW, times=6, seconds=60)
            readers = [
                threading.Thread(target=lambda: answers.append(get(api).status_code))
                for _ in range(5)
            ]
            for reader in readers:
                reader.start()
            eventually(lambda: api.under_way == 5)
            sixth = get(api)
        # The end of the block ended the stall, and what was under way was still delivered.
        for reader in readers:
            reader.join(10)

        assert sixth.status_code == 429
        assert "Exceeded concurrent limit" in error_of(sixth)["metadata"]["details"]
        assert "Retry-After" not in sixth.headers
        assert answers == [200] * 5
        assert api.most_under_way == 6
        assert api.pending_faults() == [Fault.SLOW]

    def test_a_request_is_over_once_its_reader_has_the_answer(
        self, api: AmplitudeExportApi
    ) -> None:
        """A reader that keeps to four at once is never refused for answers that it has had."""
        with requests.Session() as session:
            session.auth = KEYS
            address = f"{api.url}/api/2/export?start=20240101T00&end=20240101T09"
            statuses = []
            began = time.monotonic()
            for _ in range(200):
                statuses.append(session.get(address, timeout=30).status_code)
                assert api.under_way == 0

        assert set(statuses) == {200}
        assert api.most_under_way == 1
        # Less than the 40 ms of a delayed acknowledgement for each.
        assert time.monotonic() - began < 200 * 0.04
