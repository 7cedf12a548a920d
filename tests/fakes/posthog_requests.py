"""What goes out of the PostHog stand-in, and the record of what came in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.fakes import local_server
from tests.fakes import posthog_body as body_rules

# Unpacks whatever a test may have sent; the protocols' own limits are checked elsewhere.
_RECORD_LIMIT = 1 << 30


@dataclass(frozen=True)
class Answer(local_server.Answer):
    """What goes back over the wire, and what was done.

    Attributes:
        stored: How many events of the request were stored.
        historical_migration: The flag of the envelope; None when the request was refused.
    """

    stored: int = 0
    historical_migration: bool | None = None


@dataclass(frozen=True)
class Request(local_server.Incoming):
    """One request the stand-in received whole.

    Attributes:
        status: Of the answer; None when the connection was cut instead.
        stored: How many events of it were stored.
        historical_migration: The flag of the envelope; None when the request was refused.
    """

    status: int | None = None
    stored: int = 0
    historical_migration: bool | None = None

    @classmethod
    def record(cls, incoming: local_server.Incoming, answer: Answer) -> Request:
        """Put a request and what became of it together."""
        return cls(
            **vars(incoming),
            status=None if answer.say_nothing else answer.status,
            stored=answer.stored,
            historical_migration=answer.historical_migration,
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
