"""PostHog's `/flags/`, as far as it tells whether a token is known.

Rules of PostHog's `rust/feature-flags/src/api/` (`errors.rs`, `types.rs`); which endpoint looks a
token up stands in issue PostHog/posthog#54670.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import orjson

from tests.fakes import posthog_body as body_rules
from tests.fakes.posthog_requests import Answer

if TYPE_CHECKING:
    from collections.abc import Container

    from tests.fakes.local_server import Incoming

PATH = "/flags"
_JSON = "application/json"
_UNKNOWN = (
    "The provided API key is invalid or has expired. Please check your API key and try again."
)


def answer(incoming: Incoming, known: Container[str], *, says_json: bool = True) -> Answer:
    """Answer a request for the flags of a project that has none.

    Args:
        incoming: the request.
        known: the tokens of all projects.
        says_json: a refusal is JSON, as since 2026-06; before it was plain text.
    """
    if incoming.method != "POST":
        return Answer(405, b"", headers={"Allow": "POST"})
    try:
        asked = body_rules.read_json(incoming.wire_bytes)
    except body_rules.BadJsonError:
        asked = None
    if not isinstance(asked, dict):
        return Answer(400, b"Failed to parse request.")
    token = asked.get("token") or asked.get("api_key")
    if not token:
        return Answer(401, b"No API token provided. Please include a valid API token.")
    if token not in known:
        return _unknown(says_json=says_json)
    if not asked.get("distinct_id"):
        return Answer(400, b"The distinct_id field is missing from the request.")
    told = {"errorsWhileComputingFlags": False, "flags": {}, "requestId": str(uuid.uuid4())}
    return Answer(200, orjson.dumps(told), _JSON)


def _unknown(*, says_json: bool) -> Answer:
    if not says_json:
        return Answer(401, _UNKNOWN.encode())
    error = {"type": "authentication_error", "code": "authentication_failed", "detail": _UNKNOWN}
    return Answer(401, orjson.dumps({**error, "attr": None}), _JSON)
