"""A stand-in for Amplitude's Export API, as strict as the real one, that fails on demand.

It knows one project. Every rule stands beside the fact that it comes from: a page of
Amplitude's documentation, or something observed on the live service.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tests.fakes import amplitude_answers as answers
from tests.fakes import local_server
from tests.fakes.amplitude_answers import Answer
from tests.fakes.amplitude_archive import EventStore, Member, Row, zip_of
from tests.fakes.amplitude_faults import Fault, FaultPlan
from tests.fakes.amplitude_project import PROJECT_PATHS, AmplitudeProject
from tests.fakes.amplitude_request import hours_of, keys_of, range_refusal
from tests.fakes.local_server import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fakes.local_server import Incoming

__all__ = ["AmplitudeExportApi", "Fault", "Request", "Row"]

API_KEY = "test-amplitude-key"
SECRET_KEY = "test-amplitude-secret"

# Amplitude docs, Export API: GET {base}/api/2/export on both regions' hosts.
EXPORT_PATH = "/api/2/export"
# Amplitude docs, Export API: data sent between 8 and 9 PM is available at 11 PM.
_READY_AFTER = timedelta(hours=3)
# Amplitude docs, Dashboard REST API: up to 5 concurrent requests across all REST endpoints.
_MOST_AT_ONCE = 5


@dataclass(frozen=True)
class Request:
    """One request for a range of hours.

    Attributes:
        start_hour: Its first hour.
        end_hour: Its last hour, included.
        status: What it was answered with.
        sent_keys: Whether it came with credentials, right or wrong.
    """

    start_hour: datetime
    end_hour: datetime
    status: int
    sent_keys: bool = True


class AmplitudeExportApi(StandIn):
    """Serves rows as Amplitude would, from a thread, while the context is open.

    Args:
        rows: The project's events, as Amplitude exports them.
        api_key: The project's API key.
        secret_key: Its secret key.
        now: The service's clock; `None` follows the real one. Can be set again at any time.
        size_limit: Bytes of an archive above which the answer is 400; `None` = no limit.
        rows_per_file: The most rows of one file of an hour.
        project: What the other endpoints tell about the project.
        port: Where it serves; 0 takes a free one.

    Attributes:
        size_limit: As above; can be set again at any time.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        *,
        api_key: str = API_KEY,
        secret_key: str = SECRET_KEY,
        now: datetime | None = None,
        size_limit: int | None = None,
        rows_per_file: int = 200,
        project: AmplitudeProject | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.project = project or AmplitudeProject()
        self.api_key = api_key
        self.secret_key = secret_key
        self.size_limit = size_limit
        self.now = now
        self._store = EventStore(rows, rows_per_file=rows_per_file)
        self._plan = FaultPlan()
        self._requests: list[Request] = []
        self._hours_served: Counter[datetime] = Counter()
        self._empty_answers = 0
        self._lock = threading.Lock()

    @property
    def now(self) -> datetime | None:
        """The service's clock; `None` follows the real one."""
        return self._now

    @now.setter
    def now(self, moment: datetime | None) -> None:
        if moment is not None and moment.tzinfo is None:
            raise ValueError("now needs a time zone")
        self._now = moment

    @property
    def requests(self) -> list[Request]:
        """Every request for a range so far, in order of arrival."""
        with self._lock:
            return list(self._requests)

    def hours_served(self) -> Counter[datetime]:
        """Count how often each hour that has rows was delivered, whole and undamaged."""
        with self._lock:
            return Counter(self._hours_served)

    def fail(
        self, fault: Fault, times: int | None = 1, hour: datetime | None = None, **details: Any
    ) -> None:
        """Make the next requests go wrong.

        Faults come in the order in which they were programmed. A request that is refused by
        a rule (path, keys, range, too many at once) uses no fault up, and damage to an
        archive waits for a request that has one.

        Args:
            fault: What goes wrong; its function in `amplitude_faults` tells its details.
            times: How many requests it meets; `None` = every one.
            hour: Only requests that touch this hour.
            details: Details of the fault, for example `retry_after=2`.

        Raises:
            TypeError: The fault knows no such detail, or lacks one.
            ValueError: `times` or `hour` could never be met.
        """
        with self._lock:
            self._plan.add(fault, times, hour, details)

    def recover(self) -> None:
        """Forget every programmed fault."""
        with self._lock:
            self._plan = FaultPlan()

    def pending_faults(self) -> list[Fault]:
        """Return the faults that were not met as often as programmed: empty in a sound test."""
        with self._lock:
            return self._plan.pending()

    def respond(self, incoming: Incoming) -> Answer:
        """Answer a request."""
        with self._lock:
            if incoming.method != "GET":
                return Answer(405)
            refusal = self._refusal(incoming)
            if incoming.path in PROJECT_PATHS:
                return self.project.answer(incoming.path, incoming.query, refusal)
            if incoming.path != EXPORT_PATH:
                return answers.odd_not_found()
            hours = hours_of(incoming.query)
            if isinstance(hours, Answer):
                return refusal or hours
            answer = refusal or self._export(*hours)
            sent_keys = "Authorization" in incoming.headers
            self._requests.append(Request(*hours, answer.status, sent_keys))
            return answer

    def delivered(self, answer: local_server.Answer) -> None:
        """Count the hours that a reader has whole."""
        if isinstance(answer, Answer):
            with self._lock:
                self._hours_served.update(answer.hours)

    def _refusal(self, incoming: Incoming) -> Answer | None:
        keys = keys_of(incoming.headers.get("Authorization"))
        if keys is None:
            return answers.no_credentials()
        if keys != f"{self.api_key}:{self.secret_key}":
            return answers.wrong_keys()
        if incoming.under_way > _MOST_AT_ONCE:
            return answers.too_many_requests(None)
        return None

    def _export(self, first: datetime, last: datetime) -> Answer:
        refusal = range_refusal(first, last)
        if refusal is not None:
            return refusal
        members = self._store.members(first, min(last, self._last_ready_hour()))
        answer = self._archive(members)
        if not answer.from_archive:
            members = []
        answer = self._plan.apply(first, last, answer, members)
        if answer.from_archive:
            self._store.sent(members)
        return answer

    def _archive(self, members: list[Member]) -> Answer:
        if not members:
            return self._no_data()
        body = zip_of([(member.name, member.data()) for member in members])
        # Amplitude docs, Export API: above the size limit the request returns a 400. Whether
        # its 4 GB are those of the zip or of the rows is nowhere said; here, of the zip.
        if self.size_limit is not None and len(body) > self.size_limit:
            return answers.too_large()
        hours = frozenset(hour for member in members for hour in member.hours)
        # Observed: the Content-Type, and a Content-Length that clients relied on.
        return Answer(200, body, answers.ZIP, hours=hours, from_archive=True)

    def _no_data(self) -> Answer:
        self._empty_answers += 1
        return answers.no_data("plain" if self._empty_answers % 2 else "json")

    def _last_ready_hour(self) -> datetime:
        # Later hours are left out without a word, as if they held nothing.
        now = self.now or datetime.now(timezone.utc)
        return now.astimezone(timezone.utc) - _READY_AFTER
