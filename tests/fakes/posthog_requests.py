"""What comes in at the PostHog stand-in, what goes out, and the record of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.fakes import posthog_body as body_rules

if TYPE_CHECKING:
    from email.message import Message

# Unpacks whatever a test may have sent; the protocols' own limits are checked elsewhere.
_RECORD_LIMIT = 1 << 30


@dataclass(frozen=True)
class Incoming:
    """A request as the server read it, and when: seconds of `time.monotonic`."""

    method: str
    path: str
    query: str
    headers: Message[str, str]
    wire_bytes: bytes
    arrived: float


@dataclass(frozen=True)
class Answer:
    """What goes back over the wire, and what was done."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    stored: int = 0
    historical_migration: bool | None = None


@dataclass(frozen=True)
class Request:
    """One request the stand-in received whole.

    Attributes:
        method: HTTP method.
        path: Without the query.
        query: What stood behind the question mark.
        status: Of the answer; None when the connection was cut instead.
        headers: As received; looked up without regard to case.
        wire_bytes: The body as it came over the wire.
        stored: How many events of it were stored.
        historical_migration: The flag of the envelope; None when the request was refused.
        arrived: When it was there whole, in seconds of `time.monotonic`.
    """

    method: str
    path: str
    query: str
    status: int | None
    headers: Message[str, str] = field(repr=False)
    wire_bytes: bytes = field(repr=False)
    stored: int = 0
    historical_migration: bool | None = None
    arrived: float = 0.0

    @classmethod
    def record(cls, incoming: Incoming, answer: Answer, *, is_cut: bool) -> Request:
        """Put a request and what became of it together."""
        return cls(
            method=incoming.method,
            path=incoming.path,
            query=incoming.query,
            status=None if is_cut else answer.status,
            headers=incoming.headers,
            wire_bytes=incoming.wire_bytes,
            stored=answer.stored,
            historical_migration=answer.historical_migration,
            arrived=incoming.arrived,
        )

    @cached_property
    def body(self) -> Any:
        """The body as JSON, unpacked; None when it is none.

        It is read when first asked for: the records of a long run stay small.
        """
        plain = self.wire_bytes
        packed = "gzip" if plain.startswith(body_rules.GZIP_MAGIC) else None
        if self.headers.get("content-encoding", "").lower() == "deflate":
            packed = "deflate"
        try:
            if packed:
                plain = body_rules.decompress(plain, packed, _RECORD_LIMIT)
            return body_rules.read_json(plain)
        except (body_rules.BadEncodingError, body_rules.TooBigError, body_rules.BadJsonError):
            return None
