"""Sends single raw requests to the PostHog stand-in, for its own tests."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.fakes.posthog_v1_envelope import V1_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

    from tests.fakes.posthog_capture import PosthogCapture

NOON = "2024-01-01T12:00:00.000000Z"
UUID = "550e8400-e29b-41d4-a716-446655440000"
V1_HEADERS = {
    "Authorization": "Bearer phc_test",
    "Content-Type": "application/json",
    "User-Agent": "probe/1",
    "PostHog-Sdk-Info": "probe/1.2.3",
    "PostHog-Attempt": "1",
    "PostHog-Request-Id": UUID,
    "PostHog-Request-Timestamp": NOON,
}


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    text: str
    headers: Message[str, str]

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


def send(
    capture: PosthogCapture,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request on a connection of its own.

    Raises:
        http.client.RemoteDisconnected: The connection was cut; or another OSError.
    """
    address = urlsplit(capture.url).netloc
    with closing(http.client.HTTPConnection(address, timeout=20)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.read().decode(), response.headers)


def event(**changes: Any) -> dict[str, Any]:
    """Make a sound event; a change to None leaves the key out."""
    sound = {
        "uuid": UUID,
        "event": "viewed",
        "distinct_id": "u1",
        "timestamp": NOON,
        "properties": {"a": 1},
    }
    return {key: value for key, value in {**sound, **changes}.items() if value is not None}


def batch(*events: Any, **changes: Any) -> bytes:
    """Make the body of a `/batch/` request."""
    return json.dumps({"api_key": "phc_test", "batch": list(events), **changes}).encode()


def post(
    capture: PosthogCapture,
    body: bytes,
    path: str = "/batch/",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send a v0 request."""
    return send(capture, "POST", path, body, headers)


def post_v1(capture: PosthogCapture, *events: Any, **changes: Any) -> Reply:
    """Send a v1 batch with sound headers."""
    envelope = {"created_at": NOON, "batch": list(events), **changes}
    return send(capture, "POST", V1_PATH, json.dumps(envelope).encode(), V1_HEADERS)
