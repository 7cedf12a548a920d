"""Does PostHog know the project token? Asked once in a run, before its first event is sent.

The ingestion answers 200 for any well-formed token and drops the events of an unknown one later.
`/flags/` looks the token up, answers 401 for an unknown one, and makes no event
(PostHog/posthog rust/feature-flags, issue #54670).
"""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING

from target_posthog.capture.bounded_http import BadResponse
from target_posthog.capture.hosts import ingestion_host
from target_posthog.capture.peer import Peer
from target_posthog.capture.retries import Retryable, RetryPolicy
from target_posthog.errors import FixConfiguration, RunAgain
from target_posthog.json_codec import json_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_posthog.capture.bounded_http import HttpResponse
    from target_posthog.capture.rate_limit import RateLimit
    from target_posthog.settings import Settings

logger = logging.getLogger("target-posthog")

_PATH = "/flags/?v=2"
_MAX_BYTES = 4 * 1024 * 1024
_OK, _UNKNOWN, _TIME_OUT, _TOO_MANY = 200, 401, 408, 429
#: The service of the flags may be down while events are taken; nobody has to wait for it long.
_PATIENCE_SECONDS = 10.0


class KeyCheck:
    """Asks PostHog whether it knows the token, until it has a response.

    Args:
        host: the ingestion host, as `ingestion_host` returns it.
        user_agent: `name/version` of this program.
        max_retry_seconds: how long to try while the network fails.
    """

    def __init__(
        self,
        host: str,
        api_key: str,
        *,
        user_agent: str,
        max_retry_seconds: float,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._peer = Peer(host, api_key, {"User-Agent": user_agent})
        self._body = json.dumps({"api_key": api_key, "distinct_id": "target-posthog"}).encode()
        self._network = RetryPolicy(max_retry_seconds, sleep)
        self._service = RetryPolicy(min(_PATIENCE_SECONDS, max_retry_seconds), sleep)
        self._asking = threading.Lock()
        self._is_done = False

    @classmethod
    def of(cls, settings: Settings, api_key: str, user_agent: str) -> KeyCheck:
        """Return one as the settings want it; see `KeyCheck`."""
        return cls(
            ingestion_host(settings.host),
            api_key,
            user_agent=user_agent,
            max_retry_seconds=settings.max_retry_seconds,
        )

    def run_once(self) -> None:
        """Return when the question is settled for this run.

        Raises:
            FixConfiguration: PostHog does not know the token, or nobody can be reached this way.
            RunAgain: the network failed for too long.
        """
        if self._is_done:
            return
        with self._asking:
            if not self._is_done:
                self._ask()
                self._is_done = True
                self.close()

    def stop(self) -> None:
        """Try nothing more."""
        self._network.stop()
        self._service.stop()

    def close(self) -> None:
        """Close the connection."""
        self.stop()
        self._peer.close()

    def doubt(self, why: str) -> None:
        """Hear why PostHog could not tell whether it knows the token."""
        logger.warning(
            "Whether PostHog knows the project token could not be checked at %s/flags/: %s. The "
            "run goes on; events of an unknown token vanish, so compare `api_key` with PostHog, "
            "Settings, Project. `check_api_key: false` leaves the check out.",
            self._peer.host,
            why,
        )

    def _ask(self) -> None:
        try:
            self._service.call(self._ask_service, lambda _: None)
        except Retryable as error:
            self.doubt(str(error))

    def _ask_service(self) -> None:
        try:
            response = self._network.call(self._post, self._say_that_it_waits)
        except Retryable as error:
            raise RunAgain(
                f"PostHog could not be reached for {self._network.seconds:.0f} s: {error}.",
                "Run again when it is well (`max_retry_seconds` sets how long to wait).",
            ) from None
        if response is not None:
            self._judge(response)

    def _post(self) -> HttpResponse | None:
        try:
            return self._peer.post(_PATH, self._body, max_bytes=_MAX_BYTES)
        except BadResponse as error:
            self.doubt(str(error))
            return None

    def _judge(self, response: HttpResponse) -> None:
        status = response.status
        if status == _OK and _has_flags(response.body):
            return
        shown = self._peer.shown(response.body)
        # The words differ: JSON since 2026-06, plain text before, JSON of Django before that.
        if status == _UNKNOWN and not response.is_of_a_gate:
            raise FixConfiguration(
                f"PostHog at {self._peer.host} does not know the project token "
                f"({status}: {shown}).",
                "Set `api_key` to the project token, `phc_…` (PostHog: Settings, Project), and "
                "`host` to the project's region.",
            )
        said = f"it answered {status}" + (f" ({shown})" if shown else "")
        if status in {_TIME_OUT, _TOO_MANY} or status >= 500:  # noqa: PLR2004 - 5xx
            raise Retryable(said, response.retry_after, status)
        self.doubt(said)

    def _say_that_it_waits(self, error: Retryable) -> None:
        logger.warning(
            "PostHog cannot be reached now: %s. Trying again for up to %.0f s.",
            error,
            self._network.seconds,
        )


class AfterKeyCheck:
    """A rate limit for requests that begin once the token is known."""

    def __init__(self, check: KeyCheck, rate_limit: RateLimit) -> None:
        self._check = check
        self._rate_limit = rate_limit

    @property
    def waited(self) -> float:
        """Return how many seconds requests were held back so far."""
        return self._rate_limit.waited

    def wait(self, events: int, *, stopped: Callable[[], bool] = lambda: False) -> None:
        """Return when so many events may go."""
        self._check.run_once()
        self._rate_limit.wait(events, stopped=stopped)


def _has_flags(body: bytes) -> bool:
    """Tell whether a response is that of PostHog's flags, in its second form or the first."""
    return not json_object(body).keys().isdisjoint({"flags", "featureFlags"})
