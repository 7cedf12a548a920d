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


@pytest.mark.parametrize("value", [None, "", " ", "\t\n", "''", '""', "' '", True, False, [], {}])
def test_what_is_blank_or_no_text_names_nobody(value: Any) -> None:
    """Everybody without an id would become one person."""
    assert legal_id(value) is None


@pytest.mark.parametrize(
    "text",
    ["a", "'", "anonymous2", "user-1", "null@example.com", " padded ", "Zoë", "00", "'a", "1.0"],
)
def test_other_ids_stay_exactly_what_they_are(text: str) -> None:
    """Ids are case-sensitive in Amplitude and in PostHog; blanks belong to them."""
    assert legal_id(text) == text


def test_a_number_is_an_id_as_text() -> None:
    """PostHog writes numbers as text too; 0 and -1 name nobody."""
    assert legal_id(155683) == "155683"
    assert legal_id(0) is None
    assert legal_id(-1) is None


def test_nul_in_an_id_is_what_posthog_makes_of_it() -> None:
    """PostHog stores U+FFFD, so the person is found again only under that."""
    assert legal_id("a\0b") == "a\ufffdb"


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
    assert person_of(row).distinct_id == expected


@pytest.mark.parametrize(
    ("user", "device"),
    [
        (None, "d-1"),
        ("u-1", None),
        ("null", "d-1"),
        ("u-1", "undefined"),
        ("same", "same"),
        ("u" * 201, "d-1"),
        ("u-1", "d" * 201),
    ],
)
def test_only_two_legal_and_different_ids_are_a_pair(user: str | None, device: str | None) -> None:
    """PostHog would refuse the merge, or cut an id that is too long."""
    assert person_of({"user_id": user, "device_id": device}).link is None


def test_two_legal_ids_are_a_pair() -> None:
    """Up to PostHog's 200 characters."""
    row = {"user_id": "u" * 200, "device_id": "d" * 200}
    assert person_of(row).link == Link(user_id="u" * 200, device_id="d" * 200)


def test_an_alias_merges_the_device_into_the_user() -> None:
    """The user is distinct_id: PostHog merges `alias` into it, never the other way round."""
    event = identity_event("alias", Link("u-1", "d-1"), TIME)
    assert {key: event[key] for key in ("event", "distinct_id", "timestamp")} == {
        "event": "$create_alias",
        "distinct_id": "u-1",
        "timestamp": TIME,
    }
    assert event["properties"] == {
        "distinct_id": "u-1",
        "alias": "d-1",
        "$geoip_disable": True,
        "analytics_source": "amplitude",
        "historical_migration": True,
    }


def test_an_identify_merges_the_device_into_the_user() -> None:
    """`$anon_distinct_id` is merged into distinct_id."""
    event = identity_event("identify", Link("u-1", "d-1"), TIME)
    assert event["event"] == "$identify"
    assert event["distinct_id"] == "u-1"
    assert event["properties"] == {
        "$anon_distinct_id": "d-1",
        "$geoip_disable": True,
        "analytics_source": "amplitude",
        "historical_migration": True,
    }


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
