"""The headers and the envelope of PostHog capture v1 (`POST /i/v1/analytics/events`).

Every rule is that of PostHog's Rust service, `rust/capture/src/v1/`, whose file is named beside it.
Only these refuse the whole request; a bad event inside is dropped alone (`posthog_v1_events`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tests.fakes import posthog_body as body_rules
from tests.fakes.posthog_rules import RefusedError, check_token, parse_uuid
from tests.fakes.posthog_times import parse_rfc3339

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import Message

V1_PATH = "/i/v1/analytics/events"
# rust/capture/src/config.rs: CAPTURE_V1_MAX_COMPRESSED_BODY_BYTES and ..._DECOMPRESSED_...
MAX_WIRE_BYTES = 10 * 1024 * 1024
MAX_DECOMPRESSED_BYTES = 50 * 1024 * 1024

# v1/constants.rs: REQUIRED_HEADERS, MAX_SDK_INFO_LEN.
_REQUIRED_HEADERS = (
    *("PostHog-Sdk-Info", "PostHog-Attempt", "PostHog-Request-Id", "PostHog-Request-Timestamp"),
    *("content-type", "user-agent"),
)
_MAX_SDK_INFO = 200
_BEARER = re.compile(r"bearer +(.*)", re.IGNORECASE)


class V1RefusedError(RefusedError):
    """The whole request is refused; `text` is the JSON of v1/error.rs."""

    content_type = "application/json"

    def __init__(self, status: int, tag: str, description: str) -> None:
        error = {
            "error": tag,
            "error_description": description,
            "error_uri": "https://posthog.com/docs/api",
        }
        # `response_headers` in v1/error.rs: a second for what may pass.
        headers = {"Retry-After": "1"} if status in (429, 500, 503) else {}
        super().__init__(status, orjson.dumps(error).decode(), headers)


@dataclass(frozen=True)
class Envelope:
    """What the headers and the top of the body say.

    Attributes:
        token: The project's key.
        client_clock: `PostHog-Request-Timestamp`.
        sdk: Name and version for `$lib` and `$lib_version`; None when the header is unusable.
        historical_migration: Of the whole batch.
        events: As sent, each with the required keys in their right types.
    """

    token: str
    client_clock: datetime
    sdk: tuple[str, str] | None
    historical_migration: bool
    events: list[dict[str, Any]]


def read_envelope(headers: Message[str, str], wire: bytes) -> Envelope:
    """Check headers and envelope.

    Args:
        headers: Of the request, looked up without regard to case.
        wire: The body as it came.

    Raises:
        V1RefusedError: The request is refused as a whole.
    """
    token = _check_headers(headers)
    clock = parse_rfc3339(headers["PostHog-Request-Timestamp"])
    if clock is None:
        raise _bad_header("PostHog-Request-Timestamp is not valid RFC 3339")
    document = _read_document(wire, headers.get("content-encoding", "").lower())
    if not document["batch"]:
        raise V1RefusedError(400, "empty_batch", "request batch is empty")
    if parse_rfc3339(document["created_at"]) is None:
        raise V1RefusedError(
            400, "invalid_batch", "invalid batch: created_at is not valid RFC 3339"
        )
    return Envelope(
        token=token,
        client_clock=clock,
        sdk=_sdk(headers["PostHog-Sdk-Info"]),
        historical_migration=document.get("historical_migration", False),
        events=document["batch"],
    )


def _bad_header(description: str) -> V1RefusedError:
    return V1RefusedError(400, "invalid_header_value", f"invalid header value: {description}")


def _check_headers(headers: Message[str, str]) -> str:
    """Check the headers in the order of v1/context.rs; gives the key."""
    authorization = headers.get("authorization")
    if authorization is None:
        raise V1RefusedError(401, "missing_authorization", "Authorization header is required.")
    missing = [name for name in _REQUIRED_HEADERS if name not in headers]
    if missing:
        raise V1RefusedError(
            400, "missing_required_headers", f"request is missing required headers: {missing}"
        )
    bearer = _BEARER.fullmatch(authorization)
    if bearer is None:
        raise _bad_header("Authorization must use Bearer scheme")
    try:
        token = check_token(bearer.group(1))
    except RefusedError:
        raise V1RefusedError(
            401, "invalid_api_token", "The provided API token is not valid."
        ) from None
    _check_content(headers)
    if parse_uuid(headers["PostHog-Request-Id"]) is None:
        raise _bad_header("PostHog-Request-Id is not a valid UUID")
    attempt = headers["PostHog-Attempt"]
    if not (attempt.isascii() and attempt.isdigit() and 1 <= int(attempt) < 2**32):
        raise _bad_header("PostHog-Attempt must be a positive integer")
    return token


def _check_content(headers: Message[str, str]) -> None:
    content_type = headers["content-type"]
    if content_type.split(";")[0].strip().lower() != "application/json":
        raise V1RefusedError(
            415, "unsupported_content_type", f"unsupported content type: {content_type}"
        )
    # PostHog also unpacks br and zstd; the stand-in has no decoder for them and says so.
    encoding = headers.get("content-encoding")
    if encoding is not None and encoding.lower() not in ("gzip", "deflate"):
        raise V1RefusedError(
            415, "unsupported_encoding", f"unsupported content encoding: {encoding}"
        )


def _sdk(header: str) -> tuple[str, str] | None:
    """Split `<name>/<version>` at the last slash (`sdk_lib_and_version` in v1/context.rs)."""
    name, slash, version = header.rpartition("/")
    name, version = name.strip(), version.strip()
    if len(header) > _MAX_SDK_INFO or not (slash and name and version):
        return None
    return name, version


def _read_document(wire: bytes, encoding: str) -> dict[str, Any]:
    if not wire:
        raise V1RefusedError(400, "empty_body", "request body is empty")
    plain = wire
    try:
        if encoding:
            plain = body_rules.decompress(wire, encoding, MAX_DECOMPRESSED_BYTES)
        document = body_rules.read_json(plain)
    except body_rules.BadEncodingError:
        raise V1RefusedError(
            400, "request_decoding_error", "Failed to decode request body."
        ) from None
    except body_rules.TooBigError as too_big:
        raise V1RefusedError(413, "payload_too_large", f"payload too large: {too_big}") from None
    except body_rules.BadJsonError:
        document = None
    if not _is_batch(document):
        raise V1RefusedError(400, "request_parsing_error", "Failed to parse request body.")
    return document  # type: ignore[no-any-return]


def _is_batch(document: Any) -> bool:
    """Say whether serde would read this as `Batch` (v1/analytics/types.rs)."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("created_at"), str)
        and isinstance(document.get("historical_migration", False), bool)
        and isinstance(document.get("capture_internal"), bool | None)
        and isinstance(document.get("batch"), list)
        and all(_is_event(event) for event in document["batch"])
    )


def _is_event(event: Any) -> bool:
    """Say whether serde would read this as `Event`: properties and options may be anything."""
    return (
        isinstance(event, dict)
        and all(
            isinstance(event.get(key), str) for key in ("event", "uuid", "distinct_id", "timestamp")
        )
        and all(isinstance(event.get(key), str | None) for key in ("session_id", "window_id"))
    )
