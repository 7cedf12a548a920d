"""Whatever form of host the user gives."""

from __future__ import annotations

import pytest

from target_posthog.capture.hosts import app_host, ingestion_host, without_credentials
from target_posthog.errors import FixConfiguration


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://us.i.posthog.com", "https://us.i.posthog.com"),
        ("https://eu.posthog.com/", "https://eu.i.posthog.com"),
        ("us.posthog.com", "https://us.i.posthog.com"),
        ("https://APP.posthog.com/project/1", "https://us.i.posthog.com"),
        (" http://localhost:8000/ingest/ ", "http://localhost:8000/ingest"),
        ("posthog.example.com:8443", "https://posthog.example.com:8443"),
    ],
)
def test_any_form_of_the_host_leads_to_the_one_that_takes_events(given: str, used: str) -> None:
    """People copy the address of the browser's app."""
    assert ingestion_host(given) == used


@pytest.mark.parametrize("host", ["", " ", "https://", "ftp://x", "http://[::1", "http://h:port"])
def test_what_is_no_address_is_told_at_once(host: str) -> None:
    """Before anything is sent."""
    with pytest.raises(FixConfiguration, match="`host` is not a valid URL"):
        ingestion_host(host)


@pytest.mark.parametrize(
    ("given", "host", "used"),
    [
        (None, "https://us.i.posthog.com", "https://us.posthog.com"),
        ("", "eu.i.posthog.com", "https://eu.posthog.com"),
        (None, "https://eu.posthog.com/project/9", "https://eu.posthog.com"),
        (None, "https://posthog.example.com/ingest/", "https://posthog.example.com/ingest"),
        ("https://us.i.posthog.com", "https://proxy.example.com", "https://us.posthog.com"),
        (" app.posthog.com/project/7/insights ", "localhost", "https://us.posthog.com"),
        ("http://localhost:8000/", "https://us.i.posthog.com", "http://localhost:8000"),
    ],
)
def test_queries_go_to_the_app(given: str | None, host: str, used: str) -> None:
    """To the twin of the host that takes events, unless the user names another."""
    assert app_host(given, host) == used


def test_an_app_host_that_is_no_address_is_told_at_once() -> None:
    """By the name of its setting."""
    with pytest.raises(FixConfiguration, match="`app_host` is not a valid URL"):
        app_host("ftp://x", "https://us.i.posthog.com")


def test_a_host_is_shown_without_the_password_of_a_proxy() -> None:
    """It stands in the block at the end of every run."""
    assert without_credentials("https://me:hushhush@host:8443/path") == "https://host:8443/path"
    assert without_credentials("https://us.i.posthog.com") == "https://us.i.posthog.com"
