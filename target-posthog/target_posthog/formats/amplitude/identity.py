"""Whose a row is: its user, else its device, else its Amplitude id (docs/identity.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.cache import Memo
from target_posthog.posthog.people import (
    MAX_DISTINCT_ID_LENGTH,
    joined,
    legal_id,
    problem_of_person,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.model import Link, Rejected

#: Longer ones are not remembered, so that a memory's size is bounded, not only its length.
_LONG = 2 * MAX_DISTINCT_ID_LENGTH


class Person(NamedTuple):
    """Who a row belongs to.

    Attributes:
        distinct_id: its user, else its device, else its Amplitude id; empty when it is nobody's.
        link: the (user, device) pair that the row shows, when PostHog can join the two.
        is_user: whether it has a legal user id.
        problem: why PostHog cannot have the id.
        source: the field that has the id.
    """

    distinct_id: str
    link: Link | None
    is_user: bool
    problem: Rejected | None
    source: str


def person_of(row: Mapping[str, Any]) -> Person:
    """Return the person of a row."""
    return person_of_ids(row.get("user_id"), row.get("device_id"), row.get("amplitude_id"))


def person_of_ids(user: object, device: object, amplitude_id: object) -> Person:
    """Return the person of a row with these ids."""
    try:
        person = _PEOPLE.get((user, device))
    except TypeError:  # an object
        person = None
    if person is None:
        person = _person_of(user, device)
        if _is_short(user) and _is_short(device):
            _PEOPLE.remember((user, device), person)
    if person.distinct_id:
        return person
    known = legal_id(amplitude_id)
    return _person("" if known is None else f"amplitude:{known}", "amplitude_id")


#: The persons of rows seen before: a user sends many events.
_PEOPLE: Memo[tuple[Any, Any], Person] = Memo(16_384)


def _is_short(value: object) -> bool:
    """Return True for null and short texts: True, 1 and 1.0 are equal, and long ones take room."""
    return value is None or (type(value) is str and len(value) <= _LONG)


def _person_of(user_id: object, device_id: object) -> Person:
    user, device = legal_id(user_id), legal_id(device_id)
    link = None if user is None or device is None else joined(user, device)
    if user is not None:
        return _person(user, "user_id", link)
    return _person(device or "", "device_id")


def _person(distinct_id: str, source: str, link: Link | None = None) -> Person:
    absent = "The row has no legal user_id, device_id, amplitude_id."
    problem = problem_of_person(distinct_id or None, absent=absent)
    return Person(distinct_id, link, source == "user_id", problem, source)
