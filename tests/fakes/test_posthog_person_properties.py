"""The person model fills persons with properties as PostHog's nodejs service does."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.fakes.posthog_person_events import DAY_1, DAY_2, LINKS, after, event, seen


def test_properties_follow_arrival_and_not_time() -> None:
    """History sent into a live project overwrites newer values."""
    model = after(seen("u1", DAY_2, _set={"plan": "new"}), seen("u1", DAY_1, _set={"plan": "old"}))

    assert model.person_properties("u1") == {"plan": "old"}


def test_set_once_keeps_the_first_value_to_arrive() -> None:
    """`$set_once` looks only at whether the person has a value; null counts as none."""
    model = after(
        seen("u1", _set_once={"a": 1, "b": None}),
        seen("u1", _set_once={"a": 2, "b": 2}),
    )

    assert model.person_properties("u1") == {"a": 1, "b": 2}


def test_set_wins_over_set_once_in_one_event() -> None:
    """For a new person and for a known one."""
    both: dict[str, Any] = {"_set": {"a": 1}, "_set_once": {"a": 2, "b": 2}}

    assert after(seen("u1", **both)).person_properties("u1") == {"a": 1, "b": 2}
    assert after(seen("u1"), seen("u1", **both)).person_properties("u1") == {"a": 1, "b": 2}


@pytest.mark.parametrize("unset", [["a", 5], {"a": ""}])
def test_unset_removes_what_the_person_had(unset: Any) -> None:
    """A list of names or an object with them."""
    model = after(seen("u1", _set={"a": 1, "b": 2}), seen("u1", _unset=unset))

    assert model.person_properties("u1") == {"b": 2}


@LINKS
def test_on_conflict_the_person_merged_into_keeps_its_values(link: Any) -> None:
    """And the link's own `$set` comes last."""
    model = after(
        seen("d1", _set={"a": "device", "b": "device", "c": "device"}),
        seen("u1", _set={"b": "user", "c": "user"}),
        link("u1", "d1", _set={"c": "link"}),
    )

    assert model.person_properties("u1") == {"a": "device", "b": "user", "c": "link"}


def test_the_server_lifts_some_event_properties_to_the_person() -> None:
    """`personInitialAndUTMProperties`: the value now, and the first one as `$initial_…`."""
    model = after(
        seen("u1", _browser="Chrome", utm_source="a"), seen("u1", _browser="Edge", utm_source=None)
    )

    assert model.person_properties("u1") == {
        "$browser": "Edge",
        "$initial_browser": "Chrome",
        "utm_source": None,
        "$initial_utm_source": "a",
    }


def test_what_the_event_says_itself_is_not_lifted_over() -> None:
    """An explicit `$set` or `$set_once` of the same name wins."""
    model = after(seen("u1", _os="iOS", _set={"$os": "x"}, _set_once={"$initial_os": "y"}))

    assert model.person_properties("u1") == {"$os": "x", "$initial_os": "y"}


def test_the_system_of_a_sending_server_is_not_lifted() -> None:
    """`$is_server: true` marks the importer's own system; the browser still counts."""
    model = after(seen("u1", _os="Linux", _os_version="6", _browser="Safari", _is_server=True))

    assert model.person_properties("u1") == {"$browser": "Safari", "$initial_browser": "Safari"}


def test_os_name_counts_as_another_name_of_os() -> None:
    """It sets only the first system, under the name of `$os`."""
    model = after(seen("u1", _os_name="Android"))

    assert model.person_properties("u1") == {"$initial_os": "Android"}


@pytest.mark.parametrize("late", [False, True])
def test_a_personless_event_of_a_known_person_sets_only_what_the_server_lifts(
    *, late: bool
) -> None:
    """More than a minute after its person was made, it is processed, but without its `$set`."""
    minutes = timedelta(minutes=2 if late else 1)
    moment = (datetime(2024, 1, 1, 10, tzinfo=timezone.utc) + minutes).isoformat()
    personless = seen("u1", moment, _process_person_profile=False, _set={"a": 1}, gclid="g")
    model = after(seen("u1"), personless)

    lifted = {"gclid": "g", "$initial_gclid": "g"}
    assert model.person_properties("u1") == (lifted if late else {})


def test_a_group_identify_sets_no_person_properties() -> None:
    """Its `$set` is stripped, though its id still gets a person."""
    model = after(event("$groupidentify", "g", _set={"a": 1}, _group_type="org", _group_key="x"))

    assert model.person_properties("g") == {}
