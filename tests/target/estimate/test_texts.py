"""The estimate as a person reads it, and the text that PostHog gets."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.estimate.arithmetic import Count, Estimate, estimate
from target_posthog.estimate.numbers import between, in_words, number_of, rounded, size_of, time_of
from target_posthog.estimate.report import as_json, as_text
from target_posthog.estimate.request import support_request
from target_posthog.estimate.weights import Sample, Weights
from tests.support.target_settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG: dict[str, Any] = {
    "host": "https://eu.i.posthog.com",
    "protocol": "batch",
    "historical_migration": "true",
    "max_batch_events": 5000,
    "max_batch_bytes": 4 * 1024 * 1024,
    "max_events_per_second": 5000,
}
#: 30 million events of 2 kB in a year.
WEIGHTS = Weights(
    source="api",
    place="https://amplitude.com",
    first="2023-01-01T00:00:00Z",
    end="2024-01-01T00:00:00Z",
    hours=8760,
    young_hours=0,
    samples=tuple(Sample(n * 300, n * 300, n, n * 2000, 1.0) for n in (2000, 5000, 3250)),
    requests=369,
    parallel=3,
    spool_bytes=16 * 10**9,
)


def made(weights: Weights = WEIGHTS, **config: Any) -> tuple[Estimate, str]:
    """Return an estimate, and its support request."""
    whole = settings_of(**{**CONFIG, **config})
    found = estimate(weights, whole, 25_000)
    return found, support_request(weights, found, whole, "target-posthog 1.2.3")


def test_the_request_says_where_how_how_much_and_how_fast() -> None:
    """What PostHog asks for, in its words, to be copied as it is."""
    _, request = made()
    assert request.splitlines() == [
        "Target area: Data Management",
        "",
        (
            "We would like to migrate about 29.9 million events (between 7.68 million and 52.2 "
            "million) from Amplitude to PostHog EU Cloud."
        ),
        "",
        "- From: Amplitude's Export API, 2023-01-01T00:00:00Z to 2024-01-01T00:00:00Z.",
        (
            "- How: the Singer target target-posthog 1.2.3, which posts to /batch/, gzip, up to "
            "5,000 events or 4.2 MB in a request, the oldest hours first."
        ),
        (
            "- Volume: 74.8 GB of JSON. Requests: about 17,800. Identity and group events, and "
            "repeats after failures, come on top."
        ),
        "- Speed: at most 5,000 events per second over all requests, for about 1 h 39 min.",
        "- Every request has historical_migration: true. All events are older than 48 hours.",
        "",
        "Please tell us when we may begin.",
    ]


def test_the_request_asks_for_a_speed_where_none_is_agreed() -> None:
    """Nobody is told a speed that is not held."""
    _, request = made(max_events_per_second=None)
    assert "Speed: which one may we use?" in request


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("true", "Every request has historical_migration: true. About 34,200 events are not"),
        ("auto", "Requests with events older than 48 hours have"),
        ("false", "No request has historical_migration."),
    ],
)
def test_the_request_tells_how_events_are_marked(flag: str, words: str) -> None:
    """And how many are too young."""
    _, request = made(replace(WEIGHTS, young_hours=10), historical_migration=flag)
    assert words in request


def test_the_request_names_the_project_and_the_protocol() -> None:
    """As they are set; a password in a host is not shown."""
    host = "https://ann:hush@posthog.example"
    _, request = made(host=host, project_id=7, protocol="v1")
    assert "to project 7 in PostHog at https://posthog.example." in request
    assert "posts to /i/v1/analytics/events" in request
    assert "hush" not in request


def test_files_of_this_machine_are_not_named_to_others() -> None:
    """Where they lie is nobody's business."""
    weights = replace(WEIGHTS, source="archive", place="folder-of-ann/export", packed_bytes=10**9)
    _, request = made(weights)
    assert "Amplitude's exported files" in request
    assert "ann" not in request


def test_the_table_is_aligned_and_the_request_follows() -> None:
    """Values stand in one column; the last thing is what is to be copied."""
    found, request = made()
    text = as_text(WEIGHTS, found, settings_of(**CONFIG), speed_is_measured=False, request=request)
    head, _, *lines = text.splitlines()
    assert head.endswith("(8,760 hours), estimated from 3 sample hours of https://amplitude.com.")
    table = lines[: lines.index("")]
    assert [line[:23].strip() for line in table] == [
        "events",
        "of the last 48 hours",
        "from Amplitude",
        "to PostHog",
        "requests to Amplitude",
        "requests to PostHog",
        "time to read",
        "time to send",
        "time to send, unlimited",
        "disk",
    ]
    assert "29,900,000  between 7,680,000 and 52,200,000, nine times in ten" in table[0]
    assert "25,000 events a second, measured on two cores" in table[8]
    assert text.endswith(request)


def test_what_is_to_be_done_first_is_said() -> None:
    """Events that are too young, a speed that nobody agreed on, and one that was measured."""
    settings = settings_of(**{**CONFIG, "max_events_per_second": None})
    found, request = made(replace(WEIGHTS, young_hours=10), max_events_per_second=None)
    text = as_text(WEIGHTS, found, settings, speed_is_measured=True, request=request)
    assert "end the tap's range earlier (`end_date`)" in text
    assert "Set `max_events_per_second` once PostHog has named a speed." in text
    assert "as the last run did" in text
    advice = text.split("\n\n")[2].splitlines()
    assert [line[:4] for line in advice] == ["Some", "Set "]


def test_what_is_not_known_has_no_remark() -> None:
    """The book tells nothing of bytes: neither packed nor at most."""
    weights = replace(
        WEIGHTS, source="book", samples=(Sample(0, 0, 9), Sample(0, 0, 8)), spool_bytes=None
    )
    found, request = made(weights)
    text = as_text(weights, found, settings_of(**CONFIG), speed_is_measured=True, request=request)
    unknown = [line for line in text.splitlines() if "not known" in line]
    assert [line.split("  ")[0] for line in unknown] == ["from the source", "to PostHog", "disk"]
    assert all(line.endswith("not known") for line in unknown)


def test_a_machine_reads_the_same() -> None:
    """With the text of the request."""
    found, request = made()
    told = json.loads(json.dumps(as_json(WEIGHTS, found, request)))
    assert told["events"] == {"likely": 29_930_000, "low": 7_679_253, "high": 52_180_747}
    assert told["requests"]["likely"] == found.requests.likely
    assert told["support_request"] == request


def test_an_exact_number_has_all_of_its_digits() -> None:
    """Nothing is guessed."""
    assert number_of(Count(12_345, 12_345, 12_345)) == "12,345"
    assert between(Count(12_345, 12_345, 12_345)) == ""


@pytest.mark.parametrize(
    ("shown_by", "value", "shown"),
    [
        # A guess has three digits: more would promise too much.
        *((rounded, number, number) for number in (0, 7, 999)),
        (rounded, 1234, 1230),
        (rounded, 98_765_432, 98_800_000),
        # A time has its two largest parts.
        (time_of, 0, "1 s"),
        (time_of, 59, "59 s"),
        (time_of, 60, "1 min"),
        (time_of, 61, "1 min 1 s"),
        (time_of, 7_800, "2 h 10 min"),
        (time_of, 7_205, "2 h"),
        (time_of, 86_400, "1 day"),
        (time_of, 200_000, "2 days 7 h"),
        (time_of, 10**8, "1,157 days 9 h"),
        # As PostHog's own example says it.
        (in_words, 999, "999"),
        (in_words, 1_234_567, "1.23 million"),
        (in_words, 30_000_000, "30 million"),
        (in_words, 2 * 10**9, "2 billion"),
        # In powers of ten, as disks are sold.
        (size_of, 0, "0 bytes"),
        (size_of, 1500, "1.5 kB"),
        (size_of, 4_194_304, "4.2 MB"),
        (size_of, 3 * 10**12, "3.0 TB"),
    ],
)
def test_a_number_is_shown_as_people_say_it(
    shown_by: Callable[[Any], Any], value: float, shown: Any
) -> None:
    """The rest of it is noise."""
    assert shown_by(value) == shown
