"""Our requests beside those of PostHog's own Python package, for the same events."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from posthog import Posthog

from tests.fakes.posthog_capture import PosthogCapture
from tests.fakes.posthog_times import parse_rfc3339
from tests.support.documents import document
from tests.support.histories import with_states
from tests.support.rows import row
from tests.support.sdk_differences import DIFFERENCES, known
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.fakes.posthog_capture import Request
    from tests.support.sdk_differences import Told
    from tests.support.singer import Json

KEY = "phc_test"
#: Belong to the connection, not to the protocol.
_OF_THE_CONNECTION = {"host", "content-length"}


def story() -> list[Json]:
    """Return rows with all that an event can carry: web and app, with a user and without."""
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    session = int(start.timestamp() * 1000)
    web = {
        "platform": "Web",
        "library": "amplitude-ts/2.1.0",
        "os_name": "Chrome",
        "os_version": "120",
        "device_type": "Windows",
        "ip_address": "192.0.2.7",
        "country": "Germany",
        "session_id": session,
        "device_id": "d1",
    }
    app = {
        "platform": "iOS",
        "library": "amplitude-ios/8.1.0",
        "os_name": "ios",
        "os_version": "17.2",
        "device_id": "d2",
    }
    properties = {"text": "é😀\u2028", "deep": [{"a": [1.5, None, True]}], "large": 2**53 + 1}
    return [
        row(0, **{**web, "user_id": None}),
        row(
            1,
            **web,
            user_id="u1",
            event_properties=properties,
            user_properties={"plan": "pro", "initial_utm_source": "news"},
            groups={"org": ["acme"]},
            group_properties={"org": {"acme": {"seats": 5}}},
        ),
        row(2, **{**app, "user_id": "u1"}),
        row(3, **{**app, "user_id": None, "device_id": "d3"}),
    ]


def run_ours(
    folder: Path, capture: PosthogCapture, protocol: str, told: Told
) -> tuple[Request, list[Json]]:
    """Run the target over the story; return its one request and the events in it."""
    folder.mkdir()
    settings = {
        "api_key": KEY,
        "host": capture.url,
        "protocol": protocol,
        "identity_events": "identify" if told == "identify" else "alias",
        "person_profiles": "identified_only",
    }
    run_here(settings, with_states(story(), every=4), folder).checked()
    (request,) = capture.requests
    return request, request.body["batch"]


def run_the_sdk(
    capture: PosthogCapture, protocol: str, told: Told, events: Sequence[Json]
) -> Request:
    """Tell the SDK the same events, as PostHog's guide has it; return its one request.

    Args:
        capture: the stand-in.
        protocol: ours; the SDK calls `batch` v0.
        told: how the SDK is told who is who.
        events: what our `batch` holds: name, person, time and properties of each event.
    """
    failures: list[object] = []
    client = Posthog(
        KEY,
        host=capture.url,
        historical_migration=True,
        capture_mode="v1" if protocol == "v1" else "v0",
        on_error=lambda error, _: failures.append(error),
    )
    for event in events:
        _tell(client, told, event)
    client.shutdown()
    assert failures == []
    (request,) = capture.requests
    return request


def _tell(client: Posthog, told: Told, event: Json) -> None:
    properties = event["properties"]
    when = parse_rfc3339(event["timestamp"])
    if event["event"] == "$create_alias":
        user, device = event["distinct_id"], properties["alias"]
        if told == "guide":
            client.alias(previous_id=device, distinct_id=user, timestamp=when)
        else:
            client.alias(previous_id=user, distinct_id=device, timestamp=when)
    elif event["event"] == "$groupidentify":
        group = (properties["$group_type"], properties["$group_key"], properties["$group_set"])
        client.group_identify(*group, timestamp=when, distinct_id=event["distinct_id"])
    else:
        person = event["distinct_id"]
        client.capture(
            event["event"], distinct_id=person, properties=dict(properties), timestamp=when
        )


def differences(ours: Request, theirs: Request) -> set[tuple[str, str]]:
    """Return where two requests differ, and how."""
    assert (ours.method, ours.path.rstrip("/"), ours.query, ours.status) == (
        *(theirs.method, theirs.path.rstrip("/"), theirs.query),
        theirs.status,
    )
    mine, sdks = dict(ours.body), dict(theirs.body)
    events, sdks_events = mine.pop("batch"), sdks.pop("batch")
    assert [event["event"] for event in events] == [event["event"] for event in sdks_events]
    found = set(_differences("header", _headers(ours), _headers(theirs)))
    found |= set(_differences("envelope", mine, sdks))
    for one, other in zip(events, sdks_events, strict=True):
        found |= set(_differences(_place(one), one, other))
    return found


def _place(event: Json) -> str:
    return event["event"] if event["event"].startswith("$") else "event"


def _headers(request: Request) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in request.headers.items()
        if name.lower() not in _OF_THE_CONNECTION
    }


def _differences(
    path: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for name in sorted(ours.keys() | theirs.keys()):
        place = f"{path} {name}"
        if name not in theirs:
            yield place, "ours"
        elif name not in ours:
            yield place, "theirs"
        elif isinstance(ours[name], dict) and isinstance(theirs[name], dict):
            yield from _differences(place, ours[name], theirs[name])
        elif ours[name] != theirs[name] or type(ours[name]) is not type(theirs[name]):
            yield place, "form" if _is_same_moment(ours[name], theirs[name]) else "value"


def _is_same_moment(one: object, other: object) -> bool:
    if not (isinstance(one, str) and isinstance(other, str)):
        return False
    moment = parse_rfc3339(one)
    return moment is not None and moment == parse_rfc3339(other)


@pytest.mark.parametrize("protocol", ["batch", "v1"])
@pytest.mark.parametrize("told", ["guide", "alias", "identify"])
def test_our_requests_are_the_sdks_but_for_what_the_table_says(
    tmp_path: Path, protocol: str, told: Told
) -> None:
    """Header by header, event by event, property by property."""
    with PosthogCapture() as logical, PosthogCapture() as mine, PosthogCapture() as sdks:
        _, events = run_ours(tmp_path / "logical", logical, "batch", told)
        ours, _ = run_ours(tmp_path / "ours", mine, protocol, told)
        theirs = run_the_sdk(sdks, protocol, told, events)
        assert ours.historical_migration
        assert theirs.historical_migration
        found, expected = differences(ours, theirs), known(protocol, told)
        assert found - expected == set()
        assert expected - found == set()


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_both_make_the_same_people_when_the_sdk_is_told_as_we_tell(
    tmp_path: Path, protocol: str
) -> None:
    """The same events under the same names and people are stored, whoever sends them."""
    with PosthogCapture() as mine, PosthogCapture() as sdks:
        _, events = run_ours(tmp_path / "ours", mine, "batch", "alias")
        run_the_sdk(sdks, protocol, "alias", events)
        names = [
            [(event["event"], event["distinct_id"]) for event in capture.events]
            for capture in (mine, sdks)
        ]
        assert names[0] == names[1]
        people, same = (sorted(map(sorted, capture.persons().people())) for capture in (mine, sdks))
        assert people == same == [["d1", "d2", "u1"]]


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_only_ours_are_stored_at_their_own_time(tmp_path: Path, protocol: str) -> None:
    """Here PostHog's clock is an hour ahead of the sender's."""
    ahead = datetime.now(timezone.utc) + timedelta(hours=1)
    with (
        PosthogCapture() as logical,
        PosthogCapture(now=ahead) as mine,
        PosthogCapture(now=ahead) as sdks,
    ):
        _, events = run_ours(tmp_path / "logical", logical, "batch", "alias")
        run_ours(tmp_path / "ours", mine, protocol, "alias")
        run_the_sdk(sdks, protocol, "alias", events)
        times = [event["timestamp"] for event in events]
        assert [event["timestamp"] for event in mine.events] == times
        moved = [parse_rfc3339(event["timestamp"]) for event in sdks.events]
        for then, now in zip(map(parse_rfc3339, times), moved, strict=True):
            assert then is not None
            assert now is not None
            assert timedelta(minutes=50) < now - then < timedelta(minutes=70)


def test_the_document_has_the_whole_table() -> None:
    """Every difference by its name and no other, so that neither is older than the other."""
    rows = document("docs/decisions/0001-own-http-client.md").rows("## Differences on the wire")
    assert [row[0] for row in rows] == list(DIFFERENCES)
