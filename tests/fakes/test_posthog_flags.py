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


@pytest.mark.parametrize("name", ["api_key", "token"])
def test_a_known_token_has_flags(capture: PosthogCapture, name: str) -> None:
    """None of them are there, and no event is made."""
    answer = ask(capture, {name: "phc_test", "distinct_id": "me"})
    assert answer.status_code == 200
    assert answer.json()["flags"] == {}
    assert len(capture.key_checks) == 1
    assert capture.requests == []
    assert capture.events == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**ASKED, "api_key": "phc_other"}, 401),
        ({"distinct_id": "me"}, 401),
        ({"api_key": "phc_test"}, 400),
        ([], 400),
    ],
)
def test_what_posthog_refuses_is_refused(
    capture: PosthogCapture, body: Mapping[str, str], status: int
) -> None:
    """An unknown token above all; then what it needs."""
    assert ask(capture, body).status_code == status


def test_tokens_of_other_projects_are_known_too(capture: PosthogCapture) -> None:
    """Their events do not reach this one."""
    capture.known_tokens.add("phc_scratch")
    assert ask(capture, {**ASKED, "api_key": "phc_scratch"}).status_code == 200


def test_a_refusal_is_json_or_text_or_nobody_is_there() -> None:
    """As of 2026-06, before, and in an installation without the service."""
    unknown = {**ASKED, "api_key": "phc_other"}
    with PosthogCapture() as capture:
        told = ask(capture, unknown).json()
    assert (told["type"], told["code"]) == ("authentication_error", "authentication_failed")
    with PosthogCapture(flags="plain") as capture:
        assert ask(capture, unknown).text.startswith("The provided API key is invalid")
    with PosthogCapture(flags="absent") as capture:
        assert ask(capture, ASKED).status_code == 404
        assert len(capture.key_checks) == 1


def test_flags_are_asked_for_by_post(capture: PosthogCapture) -> None:
    """Another method is told as such."""
    assert requests.get(f"{capture.url}/flags/", timeout=10).status_code == 405
