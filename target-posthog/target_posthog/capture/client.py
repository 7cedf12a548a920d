"""PostHog's ingestion over HTTP: one batch in, what became of it out."""

from __future__ import annotations

import logging
import time
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from target_posthog.capture.bounded_http import BadResponse
from target_posthog.capture.hosts import ingestion_host
from target_posthog.capture.peer import Peer
from target_posthog.capture.protocols import V1Wire
from target_posthog.capture.responses import Responses
from target_posthog.capture.results import Accepted, BatchRefused, SendResult
from target_posthog.capture.retries import Retryable, RetryPolicy
from target_posthog.common.quantities import count
from target_posthog.common.retry_after import remedy_of_wait, wait_in_words
from target_posthog.errors import RunAgain

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_posthog.capture.batches import Batch
    from target_posthog.capture.bounded_http import HttpResponse
    from target_posthog.capture.protocols import Wire
    from target_posthog.capture.rate_limit import RateLimit
    from target_posthog.settings import Settings

logger = logging.getLogger("target-posthog")

#: Of a response: v1 says up to some 200 bytes of each event.
_MAX_RESPONSE_BYTES, _MAX_BYTES_OF_EVENT = 1024 * 1024, 1024
#: Several requests that wait for the same say it once in this time. Seconds.
_SAID_AGAIN_SECONDS = 10.0


class _Sending:
    """One batch on its way through as many tries as it takes."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.request_id = str(uuid.uuid4())
        self.attempt = 0
        self.accepted = Accepted()
        self.seconds = 0.0

    def go_on(self, accepted: Accepted) -> None:
        """Go on with the events alone that are to be sent again."""
        self.accepted = self.accepted.then(accepted)
        if accepted.again:
            self.batch = self.batch.of(
                [item for item in self.batch.items if item.uuid in accepted.again]
            )


class CaptureApi:
    """Sends batches to PostHog, and waits while PostHog or the network cannot take them.

    Args:
        host: the ingestion host, as `ingestion_host` returns it.
        api_key: the project token; it is never shown.
        max_retry_seconds: how long one batch is tried.
        user_agent: `name/version` of this program.
        rate_limit: decides when the next try may begin.
    """

    def __init__(
        self,
        host: str,
        wire: Wire,
        *,
        api_key: str,
        max_retry_seconds: float,
        user_agent: str,
        rate_limit: RateLimit,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        # Installations of one's own may be older than v1.
        also = " Or set `protocol` to `batch`." if isinstance(wire, V1Wire) else ""
        self._peer = Peer(
            host, api_key, {"Content-Encoding": "gzip", "User-Agent": user_agent}, also
        )
        self._wire = wire
        self._responses = Responses(self._peer, wire)
        self._rate_limit = rate_limit
        self._retries = RetryPolicy(max_retry_seconds, sleep)
        self._said: dict[str, float] = {}

    @classmethod
    def of(
        cls,
        settings: Settings,
        wire: Wire,
        *,
        api_key: str,
        user_agent: str,
        rate_limit: RateLimit,
    ) -> CaptureApi:
        """Return one as the settings want it; see `CaptureApi`."""
        return cls(
            ingestion_host(settings.host),
            wire,
            api_key=api_key,
            max_retry_seconds=settings.max_retry_seconds,
            user_agent=user_agent,
            rate_limit=rate_limit,
        )

    def send(self, batch: Batch) -> SendResult:
        """Deliver one batch; see `Transport.send`."""
        sending = _Sending(batch)
        try:
            refused = self._retries.call(lambda: self._try(sending), self._say_that_it_waits)
        except Retryable as error:
            raise self._gave_up(error) from None
        left = sending.batch.items if refused is not None else ()
        return SendResult(sending.accepted, refused, left, sending.seconds)

    def stop(self) -> None:
        """Try nothing more; see `Transport.stop`."""
        self._retries.stop()

    def close(self) -> None:
        """Close the connections."""
        self.stop()
        self._peer.close()

    def _try(self, sending: _Sending) -> BatchRefused | None:
        items = sending.batch.items
        self._rate_limit.wait(len(items), stopped=lambda: self._retries.is_stopped)
        sending.attempt += 1
        began = time.monotonic()
        response = self._post(sending)
        sending.seconds = time.monotonic() - began
        result = self._responses.read(response, items)
        if isinstance(result, BatchRefused):
            return result
        sending.go_on(result)
        if result.again:
            raise Retryable(
                f"it deferred {count(len(result.again), 'event')}", response.retry_after
            )
        return None

    def _post(self, sending: _Sending) -> HttpResponse:
        headers = self._wire.headers_of(
            attempt=sending.attempt,
            request_id=sending.request_id,
            now=f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z",
        )
        max_bytes = max(_MAX_RESPONSE_BYTES, _MAX_BYTES_OF_EVENT * len(sending.batch.items))
        try:
            return self._peer.post(
                self._wire.path, sending.batch.packed, headers=headers, max_bytes=max_bytes
            )
        except BadResponse as error:
            raise Retryable(f"{self._peer.host}: {error}") from None

    def _gave_up(self, error: Retryable) -> RunAgain:
        limit, also = self._retries.seconds, self._responses.hint_for(error)
        if error.retry_after >= limit:
            return RunAgain(
                f"PostHog asks to wait {wait_in_words(error.retry_after)}, longer than "
                f"`max_retry_seconds` ({limit:.0f}): {error}.",
                f"{remedy_of_wait(error.retry_after)}{also}",
            )
        return RunAgain(
            f"PostHog did not take a batch for {limit:.0f} s: {error}.",
            f"Run again when it is well (`max_retry_seconds` sets how long to wait).{also}",
        )

    def _say_that_it_waits(self, error: Retryable) -> None:
        now, words = time.monotonic(), str(error)
        if now < self._said.get(words, now):
            return
        # Only a few statuses and causes are different.
        self._said[words] = now + _SAID_AGAIN_SECONDS
        logger.warning(
            "PostHog cannot take a batch now: %s. Trying again for up to %.0f s.",
            words,
            self._retries.seconds,
        )
