"""Renames and drops of properties."""

from __future__ import annotations

import pytest

from target_posthog.formats.names import PropertyNames


@pytest.mark.parametrize(
    ("renames", "names", "expected"),
    [
        ({"a": "b"}, ["a", "c"], {"a": "b", "c": "c"}),
        ({"a": "b"}, ["a", "b"], {"a": "a", "b": "b"}),
        ({"a": "c", "b": "c"}, ["b", "a"], {"a": "c", "b": "b"}),
        ({"a": "b", "b": "c"}, ["a"], {"a": "b"}),
        ({"a": "b", "b": "c"}, ["a", "b"], {"a": "a", "b": "c"}),
        ({"a": "a"}, ["a"], {"a": "a"}),
        ({"x": "y"}, ["a"], {"a": "a"}),
    ],
)
def test_a_rename_gives_way_where_its_name_is_taken(
    renames: dict[str, str], names: list[str], expected: dict[str, str]
) -> None:
    """Two properties never become one, and the order in which they stand changes nothing."""
    for order in (names, names[::-1]):
        wanted = PropertyNames(renames).renamed({name: name for name in order})
        assert {old: new for new, old in wanted.items()} == expected


@pytest.mark.parametrize(
    ("skipped", "left"),
    [
        ([], ["Email", "email", "initial_email", "ip"]),
        (["email"], ["Email", "initial_email", "ip"]),
        (["*email"], ["Email", "ip"]),
        (["?mail", "ip"], ["initial_email"]),
        (["*"], []),
    ],
)
def test_a_property_is_left_out_by_name_or_glob(skipped: list[str], left: list[str]) -> None:
    """As with events: letters count, `*` and `?` stand for any."""
    names = PropertyNames({}, skipped)
    assert list(names.renamed(dict.fromkeys(["Email", "email", "initial_email", "ip"]))) == left


def test_a_name_that_is_left_out_can_be_taken() -> None:
    """The user leaves out the old `plan` and gives its name to another property."""
    names = PropertyNames({"Plan Name": "plan"}, ["plan"])
    assert names.renamed({"plan": 1, "Plan Name": 2}) == {"plan": 2}


def test_without_wishes_the_very_same_properties_come_back() -> None:
    """Nothing is copied for nothing."""
    properties = {"a": 1}
    assert PropertyNames().renamed(properties) is properties
