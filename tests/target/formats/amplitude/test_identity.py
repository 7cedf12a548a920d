"""Who an event belongs to, and what joins a device to its user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.formats.amplitude.identity import person_of
from target_posthog.model import Link
from target_posthog.posthog.people import identity_event, legal_id

if TYPE_CHECKING:
    from target_posthog.settings import IdentityEvents

POSTHOG_MERGE_LIST = [
    "anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email",
    "undefined", "true", "false", "[object Object]", "NaN", "None", "none", "null", "0",
]  # fmt: skip
POSTHOG_CAPTURE_LIST = [
    "0", "00000000-0000-0000-0000-000000000000", "[object object]", "anonymous",
    "anonymous-user", "backend", "distinct_id", "distinctid", "email", "false", "guest", "id",
    "nan", "none", "not_authenticated", "null", "system", "true", "undefined", "user",
]  # fmt: skip
AMPLITUDE_LIST = [
    "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "",
    "00000000-0000-0000-0000-000000000000", "{}", "lmy47d", "0", "-1",
]  # fmt: skip
ILLEGAL = sorted({*POSTHOG_MERGE_LIST, *POSTHOG_CAPTURE_LIST, *AMPLITUDE_LIST})
TIME = "2024-01-31T12:34:56.789012Z"


@pytest.mark.parametrize("text", ILLEGAL)
@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}"', " {}\t", "' {} '"])
def test_ids_on_the_illegal_lists_name_nobody(text: str, form: str) -> None:
    """All of both lists, in any case, in quotes and with blanks around."""
    for spelling in (text, text.upper(), text.capitalize()):
        assert legal_id(form.format(spelling)) is None


@pytest.mark.parametrize(
    "value", [None, "", " ", "\t\n", "''", '""', "' '", True, False, [], {}, 0, -1]
)
def test_what_is_blank_or_no_text_names_nobody(value: Any) -> None:
    """Everybody without an id would become one person; a number can be one, but for 0 and -1."""
    assert legal_id(value) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((text, text) for text in ("a", "'", "anonymous2", "user-1", "null@example.com")),
        *((text, text) for text in (" padded ", "Zoë", "00", "'a", "1.0")),
        # Quotes around an id belong to it; two that differ are none around what would be illegal.
        *((text, text) for text in ("'ann'", "'null!", "'nullx", "'null\"")),
        # As PostHog writes a number, and what it stores of a NUL.
        (155683, "155683"),
        ("a\0b", "a\ufffdb"),
    ],
)
def test_other_ids_stay_exactly_what_they_are(value: Any, text: str) -> None:
    """Ids are case-sensitive in Amplitude and in PostHog; blanks belong to them."""
    assert legal_id(value) == text


@pytest.mark.parametrize(
    ("user", "device", "amplitude_id", "expected"),
    [
        ("u-1", "d-1", 7, "u-1"),
        (None, "d-1", 7, "d-1"),
        ("null", "d-1", 7, "d-1"),
        ("u-1", "null", 7, "u-1"),
        (None, None, 7, "amplitude:7"),
        ("", "{}", 538001826014, "amplitude:538001826014"),
        (None, None, "7", "amplitude:7"),
        (None, None, None, ""),
        (None, None, 0, ""),
        ("NULL", " ", "-1", ""),
    ],
)
def test_the_person_is_the_user_else_the_device_else_the_amplitude_id(
    user: Any, device: Any, amplitude_id: Any, expected: str
) -> None:
    """An id that names nobody counts as absent."""
    row = {"user_id": user, "device_id": device, "amplitude_id": amplitude_id}
    person = person_of(row)
    assert person.distinct_id == expected
    assert (person.problem is None) is bool(expected)


@pytest.mark.parametrize(
    ("user", "is_remembered"), [("u-1", True), ("u" * 400, True), ("u" * 401, False)]
)
def test_people_with_long_ids_are_not_remembered(user: str, *, is_remembered: bool) -> None:
    """What is remembered has a bound in bytes, too."""
    assert (person_of({"user_id": user}) is person_of({"user_id": user})) is is_remembered


def test_a_number_and_true_are_not_one_person() -> None:
    """Though they are equal."""
    assert person_of({"user_id": 1}).distinct_id == "1"
    assert person_of({"user_id": True, "device_id": "d-1"}).distinct_id == "d-1"
    assert person_of({"user_id": True}).distinct_id == ""


@pytest.mark.parametrize(
    ("user", "device", "are_a_pair"),
    [
        ("u" * 200, "d" * 200, True),
        (None, "d-1", False),
        ("u-1", None, False),
        ("null", "d-1", False),
        ("u-1", "undefined", False),
        ("same", "same", False),
        ("u" * 201, "d-1", False),
        ("u-1", "d" * 201, False),
    ],
)
def test_only_two_legal_and_different_ids_are_a_pair(
    user: Any, device: Any, *, are_a_pair: bool
) -> None:
    """PostHog would refuse the merge, or cut an id of more than 200 characters."""
    link = Link(user_id=user, device_id=device) if are_a_pair else None
    assert person_of({"user_id": user, "device_id": device}).link == link


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        # PostHog merges `alias` into distinct_id, never the other way round.
        ("alias", "$create_alias", {"distinct_id": "u-1", "alias": "d-1"}),
        ("identify", "$identify", {"$anon_distinct_id": "d-1"}),
    ],
)
def test_a_link_merges_the_device_into_the_user(
    kind: IdentityEvents, name: str, told: dict[str, str]
) -> None:
    """The user is distinct_id."""
    event = identity_event(kind, Link("u-1", "d-1"), TIME)
    assert (event["event"], event["distinct_id"], event["timestamp"]) == (name, "u-1", TIME)
    marks = {"analytics_source": "amplitude", "historical_migration": True}
    assert event["properties"] == {**told, "$geoip_disable": True, **marks}


@pytest.mark.parametrize("kind", ["alias", "identify"])
def test_the_uuid_of_a_link_is_made_of_the_pair_alone(kind: IdentityEvents) -> None:
    """A link that is sent again, even at another time, has the same uuid."""
    first = identity_event(kind, Link("u-1", "d-1"), TIME)
    again = identity_event(kind, Link("u-1", "d-1"), "2025-01-01T00:00:00.000000Z")
    other = identity_event(kind, Link("u-1", "d-2"), TIME)
    assert first["uuid"] == again["uuid"] != other["uuid"]


def test_identity_events_do_not_share_their_properties() -> None:
    """Changing one event must not change the marks of all others."""
    identity_event("alias", Link("u-1", "d-1"), TIME)["properties"]["x"] = 1
    assert "x" not in identity_event("alias", Link("u-1", "d-1"), TIME)["properties"]
