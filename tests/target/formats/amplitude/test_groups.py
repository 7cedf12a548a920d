"""Amplitude's groups as PostHog's."""

from __future__ import annotations

from typing import Any

import pytest

from target_posthog.formats.amplitude.groups import first_groups, fits, group_states, wanted_groups
from target_posthog.formats.names import PropertyNames
from target_posthog.model import GroupState
from target_posthog.posthog.groups import group_event

TIME = "2024-01-31T12:34:56.789012Z"
ACME = GroupState("company", "acme", {"employees": 120})


def _row(group_properties: Any) -> dict[str, Any]:
    return {"event_type": "Play", "group_properties": group_properties}


def _states(group_properties: Any) -> tuple[GroupState, ...]:
    return group_states(_row(group_properties), PropertyNames())


def _fits(group_properties: Any) -> bool:
    return fits(_row(group_properties))


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"company": ["acme", "globex"]}, {"company": "acme"}),
        ({"company": ["acme"], "plan": ["pro"]}, {"company": "acme", "plan": "pro"}),
        ({"company": "acme"}, {"company": "acme"}),
        ({"company": [42]}, {"company": "42"}),
        ({"company": [42.0, 43]}, {"company": "42"}),
        ({"company": ["a\0b"]}, {"company": "a\ufffdb"}),
        ({"company": []}, {}),
        ({"company": [""]}, {}),
        ({"company": [" "]}, {}),
        ({"company": [None]}, {}),
        ({"company": [True]}, {}),
        ({"company": [{"id": 1}]}, {}),
        ({"company": None}, {}),
        ({}, {}),
        (None, {}),
        ("acme", {}),
        (["acme"], {}),
    ],
)
def test_an_event_has_the_first_key_of_each_type(groups: Any, expected: dict[str, str]) -> None:
    """PostHog takes one key per type, as text; the whole stays in the property `groups`."""
    assert first_groups({"groups": groups}) == ({"$groups": expected} if expected else {})


def test_every_key_of_group_properties_is_a_group() -> None:
    """Also a key without properties: PostHog knows a group only after `$groupidentify`."""
    groups = {"company": {"acme": {"employees": 120}, "globex": {}}, "plan": {"pro": {"seats": 5}}}
    assert _states(groups) == (
        ACME,
        GroupState("company", "globex", {}),
        GroupState("plan", "pro", {"seats": 5}),
    )


@pytest.mark.parametrize(
    "odd",
    ["text", [], 7, {"company": "acme"}, {"company": {"acme": 7}}, {"company": {" ": {"x": 1}}}],
    ids=repr,
)
def test_what_has_another_shape_is_no_group(odd: Any) -> None:
    """It does not fit, so that the caller keeps it as a property."""
    assert _states(odd) == ()
    assert not _fits(odd)


def test_the_groups_that_fit_are_told_beside_one_that_does_not() -> None:
    """One odd group must not cost the others."""
    odd = {"company": {"acme": {"employees": 120}, "globex": "?"}}
    assert _states(odd) == (ACME,)
    assert not _fits(odd)


@pytest.mark.parametrize("shape", [None, {}, {"company": {}}, {"company": {"acme": {"x": 1}}}])
def test_amplitudes_own_shape_fits(shape: Any) -> None:
    """`{type: {key: {name: value}}}`, all the way down."""
    assert _fits(shape)


def test_only_a_group_identify_row_has_operations() -> None:
    """Elsewhere `$set` is a type of groups like any other, and such a row may have none."""
    sent = {"$set": {"employees": 120}}
    row = {"event_type": "$groupidentify", "groups": {"company": ["acme"]}}
    assert group_states(row | {"group_properties": sent}, PropertyNames()) == (ACME,)
    assert not fits(row | {"group_properties": sent})

    by_type = {"company": {"acme": {"employees": 120}}}
    assert group_states(row | {"group_properties": by_type}, PropertyNames()) == (ACME,)
    assert fits(row | {"group_properties": by_type})

    named_so = {"$set": {"acme": {"employees": 120}}}
    assert _states(named_so) == (GroupState("$set", "acme", {"employees": 120}),)
    assert _fits(named_so)


@pytest.mark.parametrize("properties", [{}, "text", None])
def test_operations_without_properties_say_nothing_of_the_groups(properties: Any) -> None:
    """Only what they set can be sent; an empty update would say that the group has nothing."""
    row = {"event_type": "$groupidentify", "groups": {"company": ["acme"]}}
    told = {"group_properties": {"$set": properties}}
    assert group_states(row | told, PropertyNames()) == ()


def test_what_the_user_leaves_out_is_in_no_group() -> None:
    """However deep it stands; what is no object stays as it is."""
    names = PropertyNames(skipped=["secret"])
    told = {"company": {"acme": {"employees": 120, "secret": 7}, "secret": {}}, "plan": "pro"}
    assert wanted_groups(told, names) == {"company": {"acme": {"employees": 120}}, "plan": "pro"}
    assert wanted_groups("secret", names) == "secret"


def test_a_group_event_says_type_key_and_properties() -> None:
    """It goes out under the person of the record, at the record's time."""
    event = group_event(ACME, "u-1", TIME)
    assert event.pop("uuid")
    assert event == {
        "event": "$groupidentify",
        "distinct_id": "u-1",
        "timestamp": TIME,
        "properties": {
            "$group_type": "company",
            "$group_key": "acme",
            "$group_set": {"employees": 120},
            "$geoip_disable": True,
            "analytics_source": "amplitude",
            "historical_migration": True,
        },
    }


def test_the_same_state_at_the_same_time_has_the_same_uuid() -> None:
    """A run that starts again sends the same event; another state is another event."""
    uuid = group_event(ACME, "u-1", TIME)["uuid"]
    same, other = (GroupState("company", "acme", {"employees": count}) for count in (120, 121))
    assert group_event(same, "u-1", TIME)["uuid"] == uuid
    assert group_event(other, "u-1", TIME)["uuid"] != uuid
    assert group_event(ACME, "u-1", "2024-02-01T00:00:00.000000Z")["uuid"] != uuid
