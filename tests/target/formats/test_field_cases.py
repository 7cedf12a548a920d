"""What other people's taps send becomes what they mean, as records and by BATCH files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.field_cases import run_case
from tests.support.singer import counts_in

if TYPE_CHECKING:
    from tests.support.singer import Json
    from tests.support.target import Target

WAYS = ["records", "batch"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", ["one-batch", "small-batches"])
def test_a_key_that_is_not_unique_loses_nothing(target: Target, size: str, way: str) -> None:
    """Five purchases of one buyer, of a stream whose key is said to be the buyer."""
    ended = run_case(target, f"f01-wrong-primary-key-{size}", way).checked()
    counts = counts_in(ended.stderr)
    assert (counts["exported"], counts["accepted"], counts["superseded"]) == (5, 5, 0)
    amounts = {event["properties"]["amount"] for event in target.capture.held().values()}
    assert amounts == {10, 11, 12, 13, 14}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("max_batch_events", [1, 1000])
@pytest.mark.parametrize("uuid", [None, "id", {"fields": ["id", "user_id"]}])
def test_a_later_version_of_a_row_replaces_the_earlier_when_the_mapping_says_so(
    target: Target, way: str, max_batch_events: int, uuid: str | Json | None
) -> None:
    """Else both are there."""
    mapping = {} if uuid is None else {"uuid": uuid}
    settings = {"streams": {"orders": mapping}, "max_batch_events": max_batch_events}
    ended = run_case(target, "f07-newer-row-one-batch", way, **settings).checked()
    counts = counts_in(ended.stderr)
    held = [event["properties"]["status"] for event in target.capture.held().values()]
    assert held == (["pending", "paid"] if uuid is None else ["paid"])
    superseded = 0 if uuid is None else 1
    assert (counts["accepted"], counts["superseded"]) == (2 - superseded, superseded)


@pytest.mark.parametrize("way", WAYS)
def test_objects_in_pythons_notation_are_rejected_with_the_reason(target: Target, way: str) -> None:
    """Another tap of Amplitude's export prints them; no property may become one long text."""
    ended = run_case(target, "f06-tap-amplitude-api", way)
    assert target.capture.events == []
    assert counts_in(ended.stderr)["rejected"] == 2
    assert [line["code"] for line in target.rejects] == ["bad_object"] * 2
    assert "event_properties, user_properties" in target.rejects[0]["reason"]


@pytest.mark.parametrize("way", WAYS)
def test_the_same_rows_in_json_become_their_events(target: Target, way: str) -> None:
    """Floats where Amplitude has integers are those integers."""
    run_case(target, "f06-tap-amplitude-api-json", way).checked()
    held = {event["event"]: event for event in target.capture.held().values()}
    assert held["viewed"]["properties"]["page"] == "home"
    paid = held["paid"]["properties"]
    assert (paid["price"], paid["none"], paid["data"]) == (9.99, None, {"path": "/x"})
    assert paid["$groups"] == {"org": "acme"}
    assert (paid["amplitude_id"], paid["session_id"]) == (5, 1704067200000)
    assert paid["$session_id"] == held["viewed"]["properties"]["$session_id"]


@pytest.mark.parametrize("way", WAYS)
def test_an_id_that_was_seen_as_a_user_is_never_joined_as_a_device(
    target: Target, way: str
) -> None:
    """Two people stay two, whatever tap names them."""
    ended = run_case(target, "f03-user-id-as-device", way).checked()
    counts = counts_in(ended.stderr)
    assert (counts["accepted"], counts["links"], counts["shared"]) == (2, 0, 1)
    assert set(target.capture.persons().people()) == {frozenset({"u1"}), frozenset({"u2"})}


@pytest.mark.parametrize("way", WAYS)
def test_a_posthog_event_does_not_join_two_users(target: Target, way: str) -> None:
    """A device is joined to its first user; a further one, or a user as a device, is not."""
    ended = run_case(target, "posthog-merges", way).checked()
    counts = counts_in(ended.stderr)
    assert (counts["accepted"], counts["links"], counts["shared"]) == (6, 0, 2)
    people = {frozenset({"d1", "u1"}), frozenset({"u2"})}
    assert set(target.capture.persons().people()) == people
    kept_apart = [event["properties"].get("not_joined_id") for event in target.capture.events]
    assert [one for one in kept_apart if one] == ["d1", "u1"]


def test_a_number_is_one_person_however_it_is_written(target: Target) -> None:
    """As a text, too, and from several streams."""
    run_case(target, "f08-float-ids").checked()
    assert {event["distinct_id"] for event in target.capture.events} == {"42"}
    assert len(target.capture.held()) == 3


@pytest.mark.parametrize("way", WAYS)
def test_a_time_that_cannot_be_read_rejects_the_record(target: Target, way: str) -> None:
    """The time of another field is that of something else."""
    ended = run_case(target, "f12-time-of-another-field", way, max_reject_ratio=1).checked()
    assert "bad_time 1" in ended.stderr
    (event,) = target.capture.events
    assert event["timestamp"] == "2024-01-31T10:00:00.000000Z"


@pytest.mark.parametrize("way", WAYS)
def test_an_export_of_posthogs_own_comes_whole(target: Target, way: str) -> None:
    """Each column in its place, none as a foreign property."""
    run_case(target, "f15-autocapture-elements", way).checked()
    (event,) = target.capture.events
    properties = event["properties"]
    assert properties.pop("$elements_chain").startswith('button.cta:attr__class="cta"')
    assert properties.pop("$lib_version")
    assert properties == {
        "$current_url": "https://app.example/",
        "$geoip_disable": True,
        "$ip": "192.0.2.1",
        "$lib": "target-posthog",
        "$set": {"email": "ann@x.example", "plan": "pro"},
        "$set_once": {"$initial_referrer": "$direct"},
        "posthog_source": {
            "created_at": "2024-01-01 00:00:01",
            "person_id": "018f3a52-0000-7000-8000-000000000009",
            "site_url": "https://app.example",
            "team_id": 2,
        },
    }
