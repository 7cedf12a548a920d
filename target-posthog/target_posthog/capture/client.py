"""PostHog's ingestion over HTTP: one batch in, what became of it out.

What each status means stands in one table (`ACTIONS`); facts from PostHog/posthog rust/capture.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import datetime, timezone
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import requests

from target_posthog.capture.bounded_http import BadResponse, Http, HttpResponse
from target_posthog.capture.hosts import ingestion_host, without_credentials, wrong_host
from target_posthog.capture.http_answers import is_of_a_gate, redirect_words
from target_posthog.capture.network_errors import (
    network_words,
    unreadable_certificates,
    untrusted,
    unusable_proxy,
)
from target_posthog.capture.protocols import Accepted, V1Wire, quota_used_up
from target_posthog.capture.results import BatchRefused, SendResult
from target_posthog.capture.retries import Retryable, RetryPolicy
from target_posthog.capture.silence import SilenceWatch
from target_posthog.common.peer_words import PeerWords
from target_posthog.common.retry_after import retry_after
from target_posthog.errors import FixConfiguration, RunAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_posthog.capture.batches import Batch
    from target_posthog.capture.protocols import Wire
    from target_posthog.capture.rate_limit import RateLimit

logger = logging.getLogger("target-posthog")

#: Of an answer: v1 says up to some 200 bytes of each event.
_MAX_ANSWER_BYTES, _MAX_BYTES_OF_EVENT = 1024 * 1024, 1024
_UNAVAILABLE = 503
#: Several requests that wait for the same say it once in this time. Seconds.
_SAID_AGAIN_SECONDS = 10.0
#: v1 says with a status of its own, 429 or 402, that the project is over its quota
#: (rust/capture v1/error.rs). To wait would not help.
_BILLING_LIMIT = b'"billing_limit_exceeded"'


class _Action(Enum):
    ACCEPTED = auto()
    REFUSED = auto()
    WRONG_KEY = auto()
    WRONG_HOST = auto()
    UNPAID = auto()
    RETRY = auto()


ACTIONS = {
    200: _Action.ACCEPTED,
    # One bad event refuses the whole body; a body or an event is too large.
    400: _Action.REFUSED,
    413: _Action.REFUSED,
    401: _Action.WRONG_KEY,
    403: _Action.WRONG_KEY,
    402: _Action.UNPAID,
    408: _Action.RETRY,
    429: _Action.RETRY,
}


class _Sending:
    """One batch on its way through as many tries as it takes."""

    def __init__(self, batch: Batch, request_id: str) -> None:
        self.batch = batch
        self.request_id = request_id
        self.attempt = 0
        self.accepted = Accepted()
        self.seconds = 0.0

    def go_on_with(self, again: frozenset[str]) -> None:
        """Go on with these events alone."""
        left = [item for item in self.batch.items if item.uuid in again]
        self.batch = self.batch.of(left)


class CaptureApi:
    """Sends batches to PostHog, and waits while PostHog or the network cannot take them.

    Args:
        host: the ingestion host, as `ingestion_host` returns it.
        wire: the protocol.
        api_key: the project token; it is never shown.
        max_retry_seconds: how long one batch is tried.
        rate_limit: says when the next try may begin.
        sleep: waits; tests give their own.
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
        self._url = f"{host}{wire.path}"
        self._host = without_credentials(host)
        self._wire = wire
        self._words = PeerWords(api_key)
        self._http = Http(
            {
                "Content-Type": "application/json",
                "Content-Encoding": "gzip",
                "User-Agent": user_agent,
            }
        )
        self._rate_limit = rate_limit
        self._retries = RetryPolicy(max_retry_seconds, sleep)
        self._silence = SilenceWatch(self._host)
        self._has_taken = False
        self._said: dict[str, float] = {}

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        wire: Wire,
        *,
        api_key: str,
        user_agent: str,
        rate_limit: RateLimit,
    ) -> CaptureApi:
        """Return one as the settings want it; see `CaptureApi`."""
        return cls(
            ingestion_host(config["host"]),
            wire,
            api_key=api_key,
            max_retry_seconds=config["max_retry_seconds"],
            user_agent=user_agent,
            rate_limit=rate_limit,
        )

    def send(self, batch: Batch) -> SendResult:
        """Deliver one batch; see `Transport.send`."""
        sending = _Sending(batch, str(uuid.uuid4()))
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
        self._silence.close()
        self._http.close()

    def _try(self, sending: _Sending) -> BatchRefused | None:
        self._rate_limit.wait(len(sending.batch.items), stopped=lambda: self._retries.is_stopped)
        sending.attempt += 1
        began = time.monotonic()
        response = self._post(sending)
        sending.seconds = time.monotonic() - began
        return self._judge(response, sending)

    def _post(self, sending: _Sending) -> HttpResponse:
        headers = self._wire.headers_of(
            attempt=sending.attempt,
            request_id=sending.request_id,
            now=f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z",
        )
        max_bytes = max(_MAX_ANSWER_BYTES, _MAX_BYTES_OF_EVENT * len(sending.batch.items))
        try:
            with self._silence.waiting():
                return self._http.post(
                    self._url, sending.batch.packed, headers=headers, max_bytes=max_bytes
                )
        except BadResponse as error:
            raise Retryable(f"{self._host}: {error}") from None
        except ValueError as error:
            # requests, urllib3 and the idna codec each have their own, for some hosts.
            raise unusable_proxy(error, self._host) or self._wrong_host(
                "the address cannot be read"
            ) from None
        except requests.RequestException as error:
            raise untrusted(error, self._host) or Retryable(
                network_words(error, self._host)
            ) from None
        except OSError:
            raise unreadable_certificates(self._host) from None

    def _judge(self, response: HttpResponse, sending: _Sending) -> BatchRefused | None:
        status = response.status
        action = ACTIONS.get(status, _Action.RETRY if status >= 500 else _Action.WRONG_HOST)  # noqa: PLR2004 - 5xx
        if action is _Action.ACCEPTED:
            self._read_what_it_took(response, sending)
            return None
        if action is _Action.REFUSED:
            return BatchRefused(status, self._words.shown(response.body))
        raise self._refusal(response, action)

    def _refusal(self, response: HttpResponse, action: _Action) -> Exception:
        """Return the error for an answer that took nothing, whatever the events are."""
        status = response.status
        if _BILLING_LIMIT in response.body:
            return quota_used_up()
        if action is _Action.RETRY:
            return Retryable(f"it answered {status}", _wait_of(response), status)
        if action is _Action.WRONG_HOST or is_of_a_gate(response.headers, response.body):
            return self._refusal_of_another(response)
        if action is _Action.UNPAID:
            return FixConfiguration(
                "PostHog takes no events for this project until its billing is set up (402).",
                "Look at the project's billing page.",
            )
        return FixConfiguration(
            f"PostHog refused the project token ({status}: {self._words.shown(response.body)}).",
            "Set `api_key` to the token `phc_…` of the project, and `host` to the project's "
            "region.",
        )

    def _refusal_of_another(self, response: HttpResponse) -> Exception:
        """Return the error for a refusal that is not PostHog's: no key is wrong because of it."""
        status = response.status
        if 300 <= status < 400:  # noqa: PLR2004 - 3xx
            where = self._words.shown(redirect_words(response.headers.get("Location")))
            return self._wrong_host(f"it answered {status} and {where}")
        if not is_of_a_gate(response.headers, response.body):
            return self._wrong_host(f"it answered {status}")
        if self._has_taken:
            return self._foreign(response)
        return self._wrong_host(f"it answered {status} ({self._words.shown(response.body)})")

    def _read_what_it_took(self, response: HttpResponse, sending: _Sending) -> None:
        accepted = self._wire.accepted(response.body, sending.batch.items)
        if accepted is None:
            # A maintenance page, a login page, a proxy: perhaps PostHog answers again later.
            raise self._foreign(response)
        sending.accepted = sending.accepted.then(accepted)
        self._has_taken = True
        if accepted.again:
            sending.go_on_with(accepted.again)
            raise Retryable(f"it deferred {len(accepted.again)} events", _wait_of(response))

    def _foreign(self, response: HttpResponse) -> Retryable:
        said = self._words.shown(response.body) or "nothing"
        return Retryable(
            f"{self._host} answered {response.status}, but not as PostHog's ingestion does: {said}",
            _wait_of(response),
            response.status,
        )

    def _wrong_host(self, why: str) -> FixConfiguration:
        # Installations of one's own may be older than v1.
        also = " Or set `protocol` to `batch`." if isinstance(self._wire, V1Wire) else ""
        return wrong_host(self._host, why, also)

    def _gave_up(self, error: Retryable) -> RunAgain:
        limit, also = self._retries.seconds, self._when_v1_is_missing(error.status)
        if error.retry_after >= limit:
            return RunAgain(
                f"PostHog asks to wait {error.retry_after:,.0f} s, longer than `max_retry_seconds` "
                f"({limit:.0f}): {error}.",
                f"Run again after that time, or raise `max_retry_seconds`.{also}",
            )
        return RunAgain(
            f"PostHog did not take a batch for {limit:.0f} s: {error}.",
            f"Run again when it is well (`max_retry_seconds` sets how long to wait).{also}",
        )

    def _when_v1_is_missing(self, status: int | None) -> str:
        """Return what else to do when nothing was ever accepted and v1 may not be there at all.

        A PostHog that knows v1 and cannot write its events anywhere answers as one that is down
        (rust/capture v1/analytics/process.rs, "v1 sink router not configured", and v1/error.rs).
        """
        may_be = status == _UNAVAILABLE and isinstance(self._wire, V1Wire) and not self._has_taken
        return " If this PostHog has no v1, set `protocol` to `batch`." if may_be else ""

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


def _wait_of(response: HttpResponse) -> float:
    return retry_after(response.headers.get("Retry-After"), time.time())
