"""The stand-in of PostHog's `/flags/` refuses what PostHog refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.fakes.posthog_capture import PosthogCapture

if TYPE_CHECKING:
    from collections.abc import Mapping

ASKED = {"api_key": "phc_test", "distinct_id": "me"}


def ask(capture: PosthogCapture, body: Any, **options: Any) -> requests.Response:
    """Ask for the flags of a project."""
    return requests.post(f"{capture.url}/flags/?v=2", json=body, timeout=10, **options)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (ASKED, 200),
        ({"token": "phc_test", "distinct_id": "me"}, 200),
        ({**ASKED, "api_key": "phc_scratch"}, 200),
        ({**ASKED, "api_key": "phc_other"}, 401),
        ({"distinct_id": "me"}, 401),
        ({"api_key": "phc_test"}, 400),
        ([], 400),
    ],
)
def test_only_a_known_token_has_flags(
    capture: PosthogCapture, body: Mapping[str, str], status: int
) -> None:
    """None of them are there, and no event is made; known may be tokens of other projects."""
    capture.known_tokens.add("phc_scratch")
    answer = ask(capture, body)
    assert answer.status_code == status
    assert status != 200 or answer.json()["flags"] == {}
    assert (len(capture.key_checks), capture.requests, capture.events) == (1, [], [])


@pytest.mark.parametrize(
    ("mode", "status", "words"),
    [
        ({}, 401, '"code":"authentication_failed"'),
        ({"flags": "plain"}, 401, "The provided API key is invalid"),
        ({"flags": "absent"}, 404, ""),
    ],
)
def test_a_refusal_is_json_or_text_or_nobody_is_there(
    mode: dict[str, Any], status: int, words: str
) -> None:
    """As of 2026-06, before, and in an installation without the service; and only by POST."""
    with PosthogCapture(**mode) as capture:
        answer = ask(capture, {**ASKED, "api_key": "phc_other"})
        assert (answer.status_code, words in answer.text) == (status, True)
        assert len(capture.key_checks) == 1
        other = requests.get(f"{capture.url}/flags/", timeout=10)
        assert other.status_code == (404 if status == 404 else 405)
