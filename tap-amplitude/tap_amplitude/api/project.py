"""Amplitude's endpoints that answer with JSON: lists of a project, and its figures day by day.

    Behavioral Cohorts API  /api/3/cohorts           https://amplitude.com/docs/apis/analytics/behavioral-cohorts
    Chart Annotations API   /api/3/annotations       https://amplitude.com/docs/apis/analytics/chart-annotations
    Dashboard REST API      /api/2/events/list …     https://amplitude.com/docs/apis/analytics/dashboard-rest
    Taxonomy API            /api/2/taxonomy/…        https://amplitude.com/docs/apis/analytics/taxonomy

None of them has pages: one response is the whole list. What each response means is one table,
`responses.JSON_RULES`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import requests

from tap_amplitude.api.bodies import TooLong, blocks
from tap_amplitude.api.connection import ADDRESS_TRIES, answered, refused_keys
from tap_amplitude.api.responses import (
    JSON_RULES,
    Action,
    action_for,
    error_in,
    sentence,
)
from tap_amplitude.api.retry import Retryable, RetryPolicy
from tap_amplitude.api.server_clock import refuse_unfinished
from tap_amplitude.common.retry_after import retry_after
from tap_amplitude.errors import FixConfiguration, ForeignAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    from tap_amplitude.api.connection import Connection
    from tap_amplitude.errors import TapError

_T = TypeVar("_T")

logger = logging.getLogger("tap-amplitude.project_api")

#: A wait that is worth a line in the log.
_LONG_SECONDS = 10
#: The largest response: a list of 10,000 entries has some megabytes.
_MOST_BYTES = 64 * 1024 * 1024

#: A project has 1,000 points in five minutes, and shares them with everybody who uses its keys
#: (https://amplitude.com/docs/apis/analytics/dashboard-rest, "Endpoint costs"): the tap leaves a
#: fifth to others. It never gets near the other limit, 108,000 points in an hour.
POINTS = 800
POINTS_SECONDS = 5 * 60


class PointsBudget:
    """The points that this process spent lately, to stay below the limit."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()

    def seconds_until(self, points: int, now: float) -> float:
        """Return how many seconds to wait before some points, at most `POINTS`, can be spent.

        `now` is in seconds of a clock that never goes back.
        """
        while self._spent and self._spent[0][0] <= now - POINTS_SECONDS:
            self._spent.popleft()
        over = points + sum(cost for _, cost in self._spent) - POINTS
        wait = 0.0
        for moment, cost in self._spent:
            if over <= 0:
                break
            over -= cost
            wait = moment + POINTS_SECONDS - now
        return wait

    def spend(self, points: int, now: float) -> None:
        """Remember a request; `now` is in seconds of the same clock."""
        self._spent.append((now, points))


class ProjectApi:
    """A client of the endpoints that tell about one project.

    Args:
        retry_seconds: How long to go on trying a request after its first failure.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        retry_seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._budget = PointsBudget()
        self._sleep = sleep
        self._clock = clock
        self._retries = RetryPolicy(
            retry_seconds,
            remedy="Run the same command again later. Amplitude's limits on requests hold for the "
            "whole project: other programs that use its keys count, too.",
            sleep=sleep,
        )

    def rows(
        self, path: str, parameters: Mapping[str, str], *, inside: str, key: str, what: str
    ) -> list[dict[str, Any]]:
        """Return the objects of a list, as they are.

        `inside` is the name of the list in the response, `key` the field that every entry must
        have, `what` the list in words.

        Raises:
            TapError: The list cannot be downloaded.
        """

        def read(content: Any) -> list[dict[str, Any]]:
            found = content[inside]
            if not isinstance(found, list) or any(row[key] is None for row in found):
                raise ValueError(inside)
            return found

        return self._get(path, parameters, read, what)

    def daily(
        self,
        path: str,
        parameters: Mapping[str, str],
        days: Sequence[date],
        *,
        finished: datetime,
        points: int,
        what: str,
    ) -> list[float | None]:
        """Return the figure of each day, in order; None where Amplitude has none.

        The days have no gap, and are `finished` from that moment on. A day costs `points` of
        `POINTS`; `what` is the figure in words.

        Raises:
            TapError: The figures cannot be downloaded.
        """
        query = {**parameters, "start": f"{days[0]:%Y%m%d}", "end": f"{days[-1]:%Y%m%d}"}

        def read(content: Any) -> list[float | None]:
            series = content["data"]["series"]
            if series == []:  # a project without a single event in these days
                return [None] * len(days)
            (figures,) = series
            if content["data"]["xValues"] != [day.isoformat() for day in days]:
                raise ValueError("xValues")
            if len(figures) != len(days) or not all(map(_is_figure, figures)):
                raise ValueError("series")
            return list(figures)

        self._pay(points * len(days))
        return self._get(path, query, read, f"{what} of {days[0]} to {days[-1]}", finished)

    def _pay(self, points: int) -> None:
        wait = self._budget.seconds_until(points, self._clock())
        if wait > _LONG_SECONDS:
            logger.info("Waiting %.0f seconds, to stay below Amplitude's limit on figures.", wait)
        if wait > 0:
            self._sleep(wait)
        self._budget.spend(points, self._clock())

    def _get(
        self,
        path: str,
        parameters: Mapping[str, str],
        read: Callable[[Any], _T],
        what: str,
        finished: datetime | None = None,
    ) -> _T:
        def attempt() -> _T:
            return self._try_once(path, parameters, read, what, finished)

        return self._retries.call(attempt, what)

    def _try_once(
        self,
        path: str,
        parameters: Mapping[str, str],
        read: Callable[[Any], _T],
        what: str,
        finished: datetime | None,
    ) -> _T:
        try:
            with self._connection.get(path, parameters) as response:
                if action_for(response.status_code, "", JSON_RULES) is not Action.READ:
                    said = self._connection.error_text(response)
                    wait = retry_after(response.headers.get("Retry-After"), time.time())
                    raise _refusal(response.status_code, said, wait, path, what)
                if finished is not None:
                    refuse_unfinished(what, finished, response.headers.get("Date"))
                patience = self._connection.answer_seconds
                body = b"".join(
                    blocks(response, patience_seconds=patience, what=what, most_bytes=_MOST_BYTES)
                )
        except TooLong as error:
            raise _foreign_answer(what, f"{error}.") from error
        except requests.RequestException as error:
            raise self._connection.failure(error) from error
        try:
            return read(msgspec.json.decode(body))
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            words = self._connection.redact(error_in(body.decode("utf-8", "replace")))
            reason = f"it said: {words}" if words else "its answer is not what was asked for."
            raise _foreign_answer(what, sentence(reason)) from error


def _refusal(status: int, body: str, wait: float, path: str, what: str) -> TapError | Retryable:
    """Return the error for a response that holds nothing; `wait` is in seconds."""
    reason = answered(status, body)
    action = action_for(status, body, JSON_RULES)
    if action is Action.WAIT:
        return Retryable(reason, at_least=wait)
    if action is Action.ABSENT:
        final = FixConfiguration(
            f"Amplitude has no {what} for these keys at {path}: {reason}",
            remedy="Deselect the stream, or check `api_url` and the project's plan. The "
            "Taxonomy API needs an Enterprise plan.",
        )
        return Retryable(reason, tries=ADDRESS_TRIES, final=final)
    if action is Action.UNAUTHORIZED:
        return refused_keys(reason)
    return FixConfiguration(
        f"Amplitude refused the request for {what}: {reason}",
        remedy="Check `start_date`, `end_date` and `api_url`, or deselect the stream.",
    )


def _is_figure(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _foreign_answer(what: str, reason: str) -> Retryable:
    final = ForeignAnswer(
        f"Amplitude answered the request for {what} with something else: {reason}",
        remedy="Check `api_url`; if it is right, report this with the stream's name.",
    )
    return Retryable(reason, tries=ADDRESS_TRIES, final=final)
