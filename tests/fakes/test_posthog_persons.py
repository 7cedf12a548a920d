"""The person model merges and refuses persons as PostHog's nodejs service does."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.posthog_person_events import (
    DAY_1,
    DAY_2,
    LINKS,
    after,
    alias,
    event,
    identify,
    seen,
)
from tests.fakes.posthog_persons import PersonModel, Warned, is_illegal_for_merging


@LINKS
def test_two_unknown_ids_become_one_identified_person(link: Any) -> None:
    """Neither id known: one person with both, protected from being merged away."""
    model = after(link("u1", "d1"))

    assert model.people() == [frozenset({"u1", "d1"})]
    assert model.is_identified("u1")


@LINKS
@pytest.mark.parametrize("known", ["u1", "d1"])
def test_an_unknown_id_is_added_to_the_known_one(link: Any, known: str) -> None:
    """One id known: its person gets the other id, whichever side it is on."""
    model = after(seen(known), link("u1", "d1"))

    assert model.who_is_who() == {"u1": 1, "d1": 1}
    assert model.is_identified("d1")


@LINKS
def test_an_anonymous_device_is_merged_into_the_user(link: Any) -> None:
    """Both known, device not identified: the device's person ends in the user's."""
    model = after(seen("d1"), seen("u1"), link("u1", "d1"))

    assert model.people() == [frozenset({"u1", "d1"})]
    assert model.person_of("d1") == model.person_of("u1") == 2


@LINKS
def test_a_second_device_of_a_user_joins_the_user(link: Any) -> None:
    """Device INTO user keeps the history of every device of a user."""
    model = after(seen("d1"), link("u1", "d1"), seen("d2"), link("u1", "d2"))

    assert model.people() == [frozenset({"u1", "d1", "d2"})]
    assert model.warnings == []


@LINKS
def test_two_users_of_a_shared_device_stay_two_people(link: Any) -> None:
    """Device INTO user is refused once the device belongs to somebody else."""
    model = after(link("u1", "d1"), seen("u2"), link("u2", "d1"))

    assert model.people() == [frozenset({"u1", "d1"}), frozenset({"u2"})]
    assert [(warned.type, warned.other_id) for warned in model.warnings] == [
        ("cannot_merge_already_identified", "d1")
    ]


@LINKS
def test_an_unseen_user_linked_to_a_shared_device_becomes_the_first_user(link: Any) -> None:
    """The rule "one id known: add the other" holds here too, so such a link must not be sent."""
    model = after(link("u1", "d1"), link("u2", "d1"))

    assert model.people() == [frozenset({"u1", "u2", "d1"})]
    assert model.warnings == []


def test_the_guide_s_alias_direction_glues_two_users_of_a_device_together() -> None:
    """posthog.alias(previous_id=device, distinct_id=user) merges each USER INTO the device."""
    model = after(alias("d1", "u1"), seen("u2"), alias("d1", "u2"))

    assert model.people() == [frozenset({"u1", "u2", "d1"})]


def test_the_guide_s_alias_direction_loses_a_user_s_second_device() -> None:
    """The identified user cannot be merged into the device, so its history never joins."""
    model = after(alias("d1", "u1"), seen("d2"), alias("d2", "u1"))

    assert model.people() == [frozenset({"u1", "d1"}), frozenset({"d2"})]
    assert model.warnings == [
        Warned("cannot_merge_already_identified", "$create_alias", "d2", "u1")
    ]


def test_merge_dangerously_merges_even_an_identified_person() -> None:
    """`$merge_dangerously` skips the check that protects users."""
    model = after(
        identify("u1", "d1"), identify("u2", "d2"), event("$merge_dangerously", "u2", alias="u1")
    )

    assert model.people() == [frozenset({"u1", "d1", "u2", "d2"})]


@LINKS
def test_a_link_sent_twice_changes_nothing(link: Any) -> None:
    """Re-sent links are harmless: the same person already."""
    once, twice = after(link("u1", "d1")), after(link("u1", "d1"), link("u1", "d1"))

    assert once.who_is_who() == twice.who_is_who()
    assert twice.warnings == []


def test_a_refused_link_still_identifies_and_updates_the_user() -> None:
    """`updateIsIdentified` is set before the check, and the event's `$set` is applied."""
    model = after(identify("u1", "d1"), seen("u2"), identify("u2", "d1", _set={"plan": "pro"}))

    assert model.is_identified("u2")
    assert model.person_properties("u2") == {"plan": "pro"}
    assert model.person_properties("u1") == {}


def test_an_id_linked_to_itself_makes_an_ordinary_person() -> None:
    """posthog-node does so to set properties; nobody gets identified by it."""
    model = after(identify("u1", "u1", _set={"a": 1}))

    assert not model.is_identified("u1")
    assert model.person_properties("u1") == {"a": 1}


@pytest.mark.parametrize("illegal", ["anonymous", "GUEST", '"email"', "'null'", "NaN", "0", "  "])
@pytest.mark.parametrize("side", ["into", "other"])
def test_ids_that_mean_nobody_are_never_merged(illegal: str, side: str) -> None:
    """One such id would swallow all users that ever had it."""
    model = after(alias(illegal, "d1") if side == "into" else alias("u1", illegal))

    assert len(model.people()) == 1
    assert [warned.type for warned in model.warnings] == ["cannot_merge_with_illegal_distinct_id"]


@pytest.mark.parametrize("legal", ["nan", "NULL", "user", "00", " anonymous", "none "])
def test_ids_off_the_list_are_merged_as_they_are_written(legal: str) -> None:
    """Case counts for some ids, and blanks around an id make it another one."""
    assert not is_illegal_for_merging(legal)


def test_an_alias_that_is_no_text_is_taken_as_javascript_writes_it() -> None:
    """The service calls `String()`: a number becomes its digits, null and objects are illegal."""
    model = after(
        event("$create_alias", "u1", alias=17),
        event("$identify", "u2", _anon_distinct_id=None),
        event("$create_alias", "u3", alias={}),
    )

    assert model.person_of("17") == model.person_of("u1")
    assert [warned.other_id for warned in model.warnings] == ["null", "[object Object]"]


@pytest.mark.parametrize("name", ["$identify", "$create_alias"])
def test_a_link_without_the_other_id_links_nothing(name: str) -> None:
    """An `$identify` without a device is how SDKs only set properties."""
    model = after(event(name, "u1", alias=""))

    assert model.people() == [frozenset({"u1"})]
    assert model.warnings == []


def test_a_merged_person_is_as_old_as_the_older_of_both() -> None:
    """`created_at` is the time of the first event, and survives the merge."""
    model = after(seen("d1", DAY_1), seen("u1", DAY_2), identify("u1", "d1", DAY_2))

    assert model.created_at("u1") == datetime(2024, 1, 1, 10, tzinfo=timezone.utc)


def test_a_personless_event_makes_no_person() -> None:
    """`$process_person_profile: false` keeps the event anonymous; a later link adopts the id."""
    model = after(seen("d1", _process_person_profile=False, _set={"a": 1}))

    assert model.person_of("d1") is None

    model.process(identify("u1", "d1"))

    assert model.people() == [frozenset({"u1", "d1"})]
    assert model.person_properties("u1") == {}


@pytest.mark.parametrize(
    "name", ["$identify", "$create_alias", "$merge_dangerously", "$groupidentify"]
)
def test_an_event_that_needs_a_person_is_dropped_when_personless(name: str) -> None:
    """It contradicts itself; PostHog warns and keeps nothing of it."""
    contradiction = event(name, "u1", alias="d1", _process_person_profile=False)
    model = after(contradiction)

    assert model.dropped == [contradiction]
    assert [w.type for w in model.warnings] == [
        "invalid_event_when_process_person_profile_is_false"
    ]
    assert model.people() == []


@pytest.mark.parametrize("odd", ["false", 0, None])
def test_only_a_boolean_false_switches_persons_off(odd: Any) -> None:
    """Anything else is warned of and means true."""
    model = after(seen("u1", _process_person_profile=odd))

    assert model.person_of("u1") == 1
    assert [warned.type for warned in model.warnings] == ["invalid_process_person_profile"]


def test_capture_can_switch_person_processing_off() -> None:
    """As v1 does for ids on its illegal list."""
    model = after({**seen("user"), "_person_processing_disabled": True})

    assert model.people() == []


def test_an_exception_makes_no_person() -> None:
    """Errors go through another pipeline."""
    assert after(event("$exception", "u1")).people() == []


IDS = st.sampled_from(["u1", "u2", "d1", "d2", "anonymous"])
EVENTS = st.one_of(st.builds(seen, IDS), st.builds(identify, IDS, IDS), st.builds(alias, IDS, IDS))


@given(st.lists(EVENTS, max_size=12))
def test_every_id_has_one_person_and_no_person_is_lost(events: list[dict[str, Any]]) -> None:
    """Whatever arrives, persons share out the seen ids, and identified ones never merge away."""
    model = PersonModel()
    identified: set[int | None] = set()
    for one in events:
        model.process(one)
        numbers = set(model.who_is_who().values())
        assert identified <= numbers
        identified = {
            number for id_, number in model.who_is_who().items() if model.is_identified(id_)
        }
    people = model.people()
    assert sum(len(ids) for ids in people) == len(model.who_is_who())
    assert {one["distinct_id"] for one in events} <= model.who_is_who().keys()
