"""The client of the project's endpoints against the strict stand-in: every answer."""

from __future__ import annotations

import json
import logging
from datetime import date, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.api.connection import Connection
from tap_amplitude.api.project import ProjectApi
from tap_amplitude.api.responses import JSON_RULES, Action, action_for, message_in
from tap_amplitude.errors import (
    FixConfiguration,
    ForeignAnswer,
    RunAgain,
    TapError,
    WrongCredentials,
)
from tests.fakes import amplitude_answers as answers
from tests.fakes.amplitude_answers import Answer
from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.fakes.amplitude_project import COHORTS, TAXONOMY_EVENTS, USERS, AmplitudeProject
from tests.support.peers import answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAYS = [date(2024, 1, 1), date(2024, 1, 2)]
FINISHED = datetime(2024, 1, 3, 15, tzinfo=timezone.utc)


class Client:
    """A client with a recorded clock: `waits` holds every pause that it asked for."""

    def __init__(
        self,
        url: str,
        retry_seconds: float = 600,
        keys: tuple[str, str] = ("test-amplitude-key", "test-amplitude-secret"),
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.waits: list[float] = []
        self._on_wait = on_wait
        connection = Connection(
            base_url=url,
            api_key=keys[0],
            secret_key=keys[1],
            user_agent="tap-amplitude/test",
            answer_seconds=30,
        )
        self.api = ProjectApi(
            connection,
            retry_seconds=retry_seconds,
            sleep=self._sleep,
            clock=lambda: sum(self.waits),
        )

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._on_wait()

    def cohorts(self) -> list[dict[str, Any]]:
        """Get the cohorts."""
        return self.api.rows(COHORTS, {}, inside="cohorts", key="id", what="cohorts")

    def active(self, days: list[date] = DAYS) -> list[float | None]:
        """Get the active users of some days."""
        return self.api.daily(
            USERS, {"m": "active"}, days, finished=FINISHED, points=1, what="active_users"
        )


@pytest.fixture
def service() -> Iterator[AmplitudeExportApi]:
    """A project with a cohort and figures of two days."""
    project = AmplitudeProject(
        lists={COHORTS: [{"id": "c1", "size": 538001826014, "unheard_of": [1]}]},
        users={DAYS[0]: (10, 1), DAYS[1]: (12, 2)},
    )
    with AmplitudeExportApi([], project=project) as running:
        yield running


@pytest.mark.parametrize(
    ("status", "body", "action"),
    [
        # There is no window to split here, and no archive to miss.
        *((200, body, Action.READ) for body in ("", "The limit size is 4GB.")),
        *((status, "The limit size is 4GB.", Action.REFUSED) for status in (400, 418)),
        *((status, "", Action.WAIT) for status in (408, 425, 429, 500, 504)),
        (401, "", Action.UNAUTHORIZED),
        (404, "", Action.ABSENT),
        # Right keys of a smaller plan must not be called wrong.
        (403, "Unspecified Error - Invalid API Key", Action.UNAUTHORIZED),
        (403, "invalid secret_key", Action.UNAUTHORIZED),
        (403, "", Action.UNAUTHORIZED),
        (403, "Your plan does not include the Taxonomy API", Action.ABSENT),
        (403, "Forbidden", Action.ABSENT),
    ],
)
def test_each_answer_has_one_action(status: int, body: str, action: Action) -> None:
    """By its status; a 403 is about the keys or about the plan."""
    assert action_for(status, body, JSON_RULES) is action


def test_entries_come_as_they_are(service: AmplitudeExportApi) -> None:
    """Unknown fields and large numbers stay."""
    assert Client(service.url).cohorts() == [
        {"id": "c1", "size": 538001826014, "unheard_of": [1]},
    ]


def test_figures_come_one_for_each_day(service: AmplitudeExportApi) -> None:
    """In the order of the days."""
    assert Client(service.url).active() == [10, 12]


def test_days_without_any_events_have_no_figure(service: AmplitudeExportApi) -> None:
    """No series is an answer: the days are done."""
    assert Client(service.url).active([date(2020, 1, 1)]) == [None]


def test_wrong_keys_stop_at_once(service: AmplitudeExportApi) -> None:
    """They do not get right by asking again, and are not shown."""
    client = Client(service.url, keys=("test-amplitude-key", "of-another-region"))
    with pytest.raises(WrongCredentials, match="Invalid API Key") as caught:
        client.cohorts()

    assert client.waits == []
    assert "of-another-region" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error", "told", "tries"),
    [
        (
            answers.envelope(400, "invalid", "Invalid chart definition", "Invalid i"),
            FixConfiguration,
            "Invalid chart definition - Invalid i",
            1,
        ),
        # A 403 that does not speak of keys is no reason to change them.
        (
            answers.envelope(403, "unspecified", "Unspecified Error", "Upgrade your plan"),
            FixConfiguration,
            "Upgrade your plan.*Deselect the stream",
            3,
        ),
        # What such an answer holds is not shown.
        (Answer(200, b'{"data": ["secret"]}'), ForeignAnswer, "^(?!.*secret)", 3),
    ],
    ids=["refused", "plan", "foreign"],
)
def test_a_failure_is_told_after_as_many_tries_as_it_is_worth(
    service: AmplitudeExportApi, answer: Answer, error: type[TapError], told: str, tries: int
) -> None:
    """What no further try mends stops at once."""
    service.project.instead.extend([answer] * 100)
    client = Client(service.url)
    with pytest.raises(error, match=told) as caught:
        client.cohorts()

    assert type(caught.value) is error
    assert len(client.waits) == tries - 1


def test_a_missing_enterprise_plan_is_told(service: AmplitudeExportApi) -> None:
    """A 404 of the Taxonomy API means the plan; it is asked a few times, then told."""
    service.project.enterprise = False
    client = Client(service.url)
    with pytest.raises(FixConfiguration, match="Enterprise plan") as caught:
        client.api.rows(
            TAXONOMY_EVENTS, {}, inside="data", key="event_type", what="taxonomy_events"
        )

    assert "Not found" in str(caught.value)
    assert len(client.waits) == 2


def test_a_limit_is_waited_for_as_long_as_amplitude_says(service: AmplitudeExportApi) -> None:
    """More cost than five minutes allow: wait, go on, lose nothing."""
    service.project.cost_left = 1
    client = Client(service.url)

    assert client.active() == [10, 12]
    assert [wait >= 7 for wait in client.waits] == [True]


def test_a_limit_that_does_not_pass_ends_the_run(service: AmplitudeExportApi) -> None:
    """Amplitude's own words say which limit it is."""
    service.project.instead.append(answers.too_many_requests(None))
    with pytest.raises(RunAgain, match=r"query of cost 415.*other programs"):
        Client(service.url, retry_seconds=0).cohorts()


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_what_passes_is_tried_again(service: AmplitudeExportApi, status: int) -> None:
    """A page of a gateway is not the list, and not the end."""
    service.project.instead.append(answers.page(status, "Gateway"))
    client = Client(service.url)

    assert len(client.cohorts()) == 1
    assert len(client.waits) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>Please log in</html>", answers.HTML),
        Answer(200, b'{"cohorts": [{"id": 1}'),
        Answer(200, b'{"success": false, "errors": []}'),
        Answer(200, b'{"cohorts": {}}'),
        Answer(200, b'{"cohorts": ["c1"]}'),
        Answer(200, b'{"cohorts": [{"name": "no id"}]}'),
        Answer(200, b'{"cohorts": [{"id": null}]}'),
        Answer(200, b"[]"),
        Answer(200, b""),
        Answer(200, b"[" * 100_000),
        Answer(200, b'{"cohorts": [', stop_after=5),
    ],
)
def test_another_answer_is_tried_again(service: AmplitudeExportApi, answer: Answer) -> None:
    """A 200 that is not the list may be a page of a proxy, or cut off."""
    service.project.instead.append(answer)
    client = Client(service.url)

    assert [row["id"] for row in client.cohorts()] == ["c1"]
    assert len(client.waits) == 1


@pytest.mark.parametrize(
    "data",
    [
        {"series": [[1]], "xValues": ["2024-01-01"]},
        {"series": [[1, 2]], "xValues": ["2024-01-02", "2024-01-01"]},
        {"series": [[1]], "xValues": ["2024-01-01", "2024-01-02"]},
        {"series": [[1, 2], [3, 4]], "xValues": ["2024-01-01", "2024-01-02"]},
        {"series": [["1", True]], "xValues": ["2024-01-01", "2024-01-02"]},
        {"xValues": ["2024-01-01", "2024-01-02"]},
    ],
)
def test_figures_of_other_days_are_refused(
    service: AmplitudeExportApi, data: dict[str, Any]
) -> None:
    """A figure must never get the wrong day, and no day may be left out."""
    service.project.instead.extend([Answer(200, json.dumps({"data": data}).encode())] * 3)
    with pytest.raises(ForeignAnswer, match="2024-01-01 to 2024-01-02"):
        Client(service.url).active()


def test_an_unreachable_address_is_told_without_keys(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listens on port 1."""
    with caplog.at_level(logging.DEBUG), pytest.raises(RunAgain) as caught:
        Client("http://127.0.0.1:1", retry_seconds=0).cohorts()

    assert "the connection failed" in str(caught.value)
    assert "test-amplitude-secret" not in caplog.text + str(caught.value)


def test_the_taxonomys_errors_are_understood() -> None:
    """It has an envelope of its own."""
    assert message_in('{"success": false, "errors": [{"message": "Not found"}]}') == "Not found"
    assert message_in('{"success": false, "errors": ["no"]}') == "no"


def test_a_long_range_stays_below_the_limit_by_itself(service: AmplitudeExportApi) -> None:
    """800 days in five minutes: the rest waits, and Amplitude never has to refuse."""
    client = Client(service.url, on_wait=service.project.five_minutes_later)
    days = [date(2024, 1, day) for day in range(1, 26)]
    for _ in range(1000 // len(days) + 1):
        client.active(days)

    assert {request.status for request in service.project.requests} == {200}
    assert client.waits == [300.0]


@pytest.mark.parametrize(("early", "is_taken"), [(9, True), (11, False)])
def test_figures_of_days_that_amplitude_has_not_finished_are_not_taken(
    early: int,
    is_taken: bool,  # noqa: FBT001 - a case of the table
) -> None:
    """By its own clock: where ours is ahead, a part of a day would stand for all of it."""
    said = {"Date": format_datetime(FINISHED - timedelta(minutes=early), usegmt=True)}
    body = {"data": {"series": [[1, 2]], "xValues": [day.isoformat() for day in DAYS]}}
    with answering(200, said, json.dumps(body).encode()) as (url, _):
        if is_taken:
            assert Client(url).active() == [1, 2]
            return
        with pytest.raises(FixConfiguration, match="has not finished active_users of 2024-01-01"):
            Client(url).active()
