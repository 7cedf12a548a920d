"""PostHog's ingestion over HTTP: one batch in, what became of it out.

The only module that knows HTTP. What each status means stands in one table (`ACTIONS`); facts
from PostHog/posthog rust/capture.
"""

from __future__ import annotations

import email.utils
import logging
import threading
import time
import uuid
from datetime import datetime, timezone
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import requests
import tenacity

from target_posthog.answers import Answer, Refused
from target_posthog.errors import FixConfiguration, RunAgain
from target_posthog.hosts import ingestion_host, without_credentials
from target_posthog.protocols import Taken, V1Wire, quota_used_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_posthog.batches import Batch
    from target_posthog.pace import Turns
    from target_posthog.protocols import Wire

logger = logging.getLogger("target-posthog")

_CONNECT_SECONDS, _READ_SECONDS = 15, 120
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
_GROWING = tenacity.wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)
_SHOWN_CHARACTERS = 300
_UNAVAILABLE = 503
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


class _NotYet(Exception):
    """This try failed; the next may not."""

    def __init__(self, reason: str, retry_after: float = 0.0, status: int | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.status = status


class _Sending:
    """One batch on its way through as many tries as it takes."""

    def __init__(self, batch: Batch, request_id: str) -> None:
        self.batch = batch
        self.request_id = request_id
        self.attempt = 0
        self.taken = Taken()
        self.seconds = 0.0

    def go_on_with(self, again: frozenset[str], wire: Wire) -> None:
        """Go on with these events alone."""
        left = [item for item in self.batch.items if item.uuid in again]
        self.batch = self.batch.of(left, wire)


class CaptureApi:
    """Sends batches to PostHog, and waits while PostHog or the network cannot take them.

    Args:
        host: the ingestion host, as `ingestion_host` returns it.
        wire: the protocol.
        api_key: the project's key; it is never shown.
        max_retry_seconds: how long one batch is tried.
        turns: says when the next try may begin.
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
        turns: Turns,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._url = f"{host}{wire.path}"
        self._host = without_credentials(host)
        self._wire = wire
        self._api_key = api_key
        self._headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "User-Agent": user_agent,
        }
        self._turns = turns
        self._max_retry_seconds = max_retry_seconds
        self._stopped = threading.Event()
        self._sleep = sleep or self._wait_unless_stopped
        # One for each thread: a session is not made for several at once.
        self._own = threading.local()
        self._sessions: list[requests.Session] = []
        self._has_taken = False

    @classmethod
    def of(
        cls, config: Mapping[str, Any], wire: Wire, *, api_key: str, sender: str, turns: Turns
    ) -> CaptureApi:
        """Return one as the settings want it; see `CaptureApi`."""
        return cls(
            ingestion_host(config["host"]),
            wire,
            api_key=api_key,
            max_retry_seconds=config["max_retry_seconds"],
            user_agent=sender,
            turns=turns,
        )

    def send(self, batch: Batch) -> Answer:
        """Deliver one batch; see `Sender.send`."""
        sending = _Sending(batch, str(uuid.uuid4()))
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_NotYet),
            wait=self._wait,
            stop=self._gives_up,
            before_sleep=self._say_that_it_waits,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            refused = retrying(self._try, sending)
        except _NotYet as error:
            raise RunAgain(
                f"PostHog did not take a batch for {self._max_retry_seconds:.0f} s: {error}.",
                "Run again when it is well (max_retry_seconds sets how long to wait)."
                + self._when_v1_is_missing(error.status),
            ) from None
        left = sending.batch.items if refused is not None else ()
        return Answer(sending.taken, refused, left, sending.seconds)

    def stop(self) -> None:
        """Try nothing more; see `Sender.stop`."""
        self._stopped.set()

    def close(self) -> None:
        """Close the connections."""
        self.stop()
        for session in self._sessions:
            session.close()

    def _try(self, sending: _Sending) -> Refused | None:
        self._turns.wait(len(sending.batch.items), stopped=self._stopped.is_set)
        sending.attempt += 1
        headers = self._wire.headers_of(
            attempt=sending.attempt,
            request_id=sending.request_id,
            now=f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z",
        )
        began = time.monotonic()
        try:
            # A redirected POST arrives as a GET without its body, so none is followed.
            response = self._session().post(
                self._url,
                data=sending.batch.packed,
                headers=headers,
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                allow_redirects=False,
            )
        except ValueError:
            # requests, urllib3 and the idna codec each have their own, for some hosts.
            raise self._wrong_host("the address cannot be read") from None
        except requests.RequestException as error:
            raise _NotYet(_network_words(error)) from None
        sending.seconds = time.monotonic() - began
        return self._judge(response, sending)

    def _wait_unless_stopped(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = requests.Session()
            session.headers.update(self._headers)
            self._sessions.append(session)
        return session

    def _judge(self, response: requests.Response, sending: _Sending) -> Refused | None:
        status = response.status_code
        action = ACTIONS.get(status, _Action.RETRY if status >= 500 else _Action.WRONG_HOST)  # noqa: PLR2004 - 5xx
        if action is _Action.ACCEPTED:
            self._read_what_it_took(response, sending)
            return None
        if action is _Action.REFUSED:
            return Refused(status, self._shown(response))
        if _BILLING_LIMIT in response.content:
            raise quota_used_up()
        if action is _Action.RETRY:
            raise _NotYet(f"it answered {status}", _retry_after(response), status)
        if action is _Action.WRONG_KEY:
            raise FixConfiguration(
                f"PostHog refused the project API key ({status}: {self._shown(response)}).",
                "Set api_key to the key phc_… of the project, and host to the project's region.",
            )
        if action is _Action.UNPAID:
            raise FixConfiguration(
                "PostHog takes no events for this project until its billing is set up (402).",
                "Look at the project's billing page.",
            )
        raise self._wrong_host(f"it answered {status}")

    def _read_what_it_took(self, response: requests.Response, sending: _Sending) -> None:
        taken = self._wire.taken(response.content, sending.batch.items)
        if taken is None:
            raise self._wrong_host("its answer is not that of PostHog's ingestion")
        sending.taken = sending.taken.then(taken)
        self._has_taken = True
        if taken.again:
            sending.go_on_with(taken.again, self._wire)
            raise _NotYet(f"it put {len(taken.again)} events off", _retry_after(response))

    def _wrong_host(self, why: str) -> FixConfiguration:
        return FixConfiguration(
            f"{self._host} does not take events: {why}.",
            "Set host to https://us.i.posthog.com, https://eu.i.posthog.com or your own."
            # Installations of one's own may be older than v1.
            + (" Or set protocol to batch." if isinstance(self._wire, V1Wire) else ""),
        )

    def _when_v1_is_missing(self, status: int | None) -> str:
        """Return what else to do when nothing was ever taken and v1 may not be there at all.

        A PostHog that knows v1 and cannot write its events anywhere answers as one that is down
        (rust/capture v1/analytics/process.rs, "v1 sink router not configured", and v1/error.rs).
        """
        may_be = status == _UNAVAILABLE and isinstance(self._wire, V1Wire) and not self._has_taken
        return " If this PostHog has no v1, set protocol to batch." if may_be else ""

    def _shown(self, response: requests.Response) -> str:
        """Return the start of an answer in one line; some servers repeat the key in it."""
        text = response.text.replace(self._api_key, "phc_…")
        return " ".join(text[:_SHOWN_CHARACTERS].split())

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds to wait: growing, with jitter, and never less than PostHog asks for.

        The last wait ends with the time that there is, so that the last try is made at its end.
        """
        left = self._max_retry_seconds - (state.seconds_since_start or 0.0)
        return max(_asked(state), min(_GROWING(state), left))

    def _gives_up(self, state: tenacity.RetryCallState) -> bool:
        """Tell whether the time is up, or would be before PostHog wants to be asked again."""
        spent = state.seconds_since_start or 0.0
        return self._stopped.is_set() or spent + _asked(state) >= self._max_retry_seconds

    def _say_that_it_waits(self, state: tenacity.RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            logger.warning(
                "PostHog cannot take a batch now: %s. Trying again for up to %.0f s.",
                state.outcome.exception(),
                self._max_retry_seconds,
            )


def _asked(state: tenacity.RetryCallState) -> float:
    """Return the seconds that PostHog asked to wait after the last try."""
    error = state.outcome.exception() if state.outcome is not None else None
    return error.retry_after if isinstance(error, _NotYet) else 0.0


def _retry_after(response: requests.Response) -> float:
    """Return the seconds of `Retry-After`, given as seconds or as a date (RFC 9110 §10.2.3)."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _network_words(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "the TLS connection failed"
    if isinstance(error, requests.Timeout):
        return "it did not answer in time"
    return "the connection failed"
