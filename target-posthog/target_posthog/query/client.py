"""PostHog's query API over HTTP: a HogQL query in, its rows out."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from target_posthog.capture.bounded_http import BadResponse
from target_posthog.capture.hosts import app_host
from target_posthog.capture.retries import Retryable, RetryPolicy
from target_posthog.common.retry_after import remedy_of_wait, wait_in_words
from target_posthog.errors import NotAsked, QueryTooLarge
from target_posthog.query.credentials import personal_key_of, project_id_of
from target_posthog.query.peer import AppPeer
from target_posthog.query.responses import content_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_posthog.capture.bounded_http import HttpResponse
    from target_posthog.settings import Settings

logger = logging.getLogger("target-posthog")

#: PostHog gives 100 rows without a LIMIT, and never more than these (posthog/hogql/constants.py).
MOST_ROWS = 50_000
#: Of a response. An event's name has up to 200 characters, and each may be six bytes of JSON.
_MAX_BYTES = 128 * 1024 * 1024


class QueryApi:
    """Asks one project, one query after another; three at once is all that PostHog allows.

    Args:
        host: the app's host, as `app_host` returns it.
        key: a personal API key with the scope Query Read; it is never shown.
        max_retry_seconds: how long one query is tried.
    """

    def __init__(
        self,
        host: str,
        project_id: str,
        key: str,
        *,
        user_agent: str,
        max_retry_seconds: float,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}", "User-Agent": user_agent}
        self._peer = AppPeer(host, key, headers)
        self._project_id = project_id
        self._retries = RetryPolicy(max_retry_seconds, sleep)

    @classmethod
    def of(cls, settings: Settings, user_agent: str) -> QueryApi:
        """Return one as the settings want it; see `QueryApi`.

        Raises:
            FixConfiguration: `project_id` or `personal_api_key` is missing or is not one.
        """
        return cls(
            app_host(settings.app_host, settings.host),
            project_id_of(settings.project_id),
            personal_key_of(settings.personal_api_key),
            user_agent=user_agent,
            max_retry_seconds=settings.max_retry_seconds,
        )

    @property
    def host(self) -> str:
        """The app's host, as it may be shown."""
        return self._peer.host

    def rows(self, query: str) -> list[list[Any]]:
        """Return all rows of a HogQL query without a LIMIT.

        Raises:
            QueryTooLarge: it takes PostHog too long, or has more rows than PostHog gives.
            NotAsked: PostHog or the network failed for too long.
            FixConfiguration: nobody may ask this way before a setting is changed.
        """
        content = {
            "query": {"kind": "HogQLQuery", "query": f"{query}\nLIMIT {MOST_ROWS}"},
            # Otherwise the response may be one that PostHog gave before.
            "refresh": "force_blocking",
            "name": "target-posthog",
        }
        body = json.dumps(content).encode()
        try:
            found = self._retries.call(lambda: self._ask(body), self._say_that_it_waits)
        except Retryable as error:
            raise self._gave_up(error) from None
        rows: list[list[Any]] = found["results"]
        if found.get("hasMore") or len(rows) > MOST_ROWS:
            raise QueryTooLarge(
                f"A query has more than {MOST_ROWS:,} rows, the most that PostHog gives.",
                "Ask for less at once.",
            )
        return rows

    def close(self) -> None:
        """Try nothing more, and close the connection."""
        self._retries.stop()
        self._peer.close()

    def _ask(self, body: bytes) -> Mapping[str, Any]:
        return content_of(self._post(body), self._peer, self._project_id)

    def _post(self, body: bytes) -> HttpResponse:
        path = f"/api/projects/{self._project_id}/query/"
        try:
            return self._peer.post(path, body, max_bytes=_MAX_BYTES)
        except BadResponse as error:
            raise Retryable(f"{self._peer.host}: {error}") from None

    def _gave_up(self, error: Retryable) -> NotAsked:
        limit = self._retries.seconds
        if error.retry_after >= limit:
            return NotAsked(
                f"PostHog asks to wait {wait_in_words(error.retry_after)} before the next query, "
                f"longer than `max_retry_seconds` ({limit:.0f}): {error}.",
                remedy_of_wait(error.retry_after),
            )
        return NotAsked(
            f"PostHog did not answer a query for {limit:.0f} s: {error}.",
            "Run again when it is well (`max_retry_seconds` sets how long to wait).",
        )

    def _say_that_it_waits(self, error: Retryable) -> None:
        logger.warning(
            "PostHog cannot answer a query now: %s. Trying again for up to %.0f s.",
            error,
            max(self._retries.seconds, error.retry_after),
        )
