"""What people put in place of a project's number and of a personal API key."""

from __future__ import annotations

import pytest

from target_posthog.errors import FixConfiguration
from target_posthog.query.credentials import personal_key_of, project_id_of


@pytest.mark.parametrize("key", ["phx_aB3-x_9", "0123456789abcdefABCDEF"])
def test_keys_of_any_age_are_taken(key: str) -> None:
    """The first ones had no prefix."""
    assert personal_key_of(key) == key


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "is not set"),
        ("  ", "is not set"),
        ("phc_hush", "is the project token"),
        ("pha_hush", "is an OAuth access token"),
        ('"phx_hush"', "quotes"),
        ("phx_hush\n", "blanks"),
        ("Bearer phx_hush", "blanks"),
        ("$POSTHOG_KEY", "other characters"),
    ],
)
def test_what_is_no_personal_key_is_told_and_not_shown(key: str, words: str) -> None:
    """Before anything is asked."""
    with pytest.raises(FixConfiguration, match=words) as raised:
        personal_key_of(key)
    assert "hush" not in str(raised.value)
    assert "Query Read" in str(raised.value)


@pytest.mark.parametrize(("text", "number"), [("7", "7"), (" 12345 ", "12345"), (7, "7")])
def test_a_project_has_a_number(text: str | int, number: str) -> None:
    """Without quotes YAML reads one; blanks around it do no harm."""
    assert project_id_of(text) == number


@pytest.mark.parametrize(
    "text", ["", "Default project", "phc_token", "-1", "7/../8", "\N{FULLWIDTH DIGIT SEVEN}"]
)
def test_what_is_no_number_of_a_project_is_told(text: str) -> None:
    """It becomes a part of an address."""
    with pytest.raises(FixConfiguration, match=r"/project/12345/"):
        project_id_of(text)
