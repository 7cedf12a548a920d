"""Renames, standard names and skipped events."""

from __future__ import annotations

import pytest

from target_posthog.formats.names import STANDARD_EVENTS, EventNames
from target_posthog.posthog.names import RESERVED_NAMES


def test_a_name_stays_what_it_was() -> None:
    """Nothing is renamed unless the user says so."""
    assert EventNames().name_of("[Amplitude] Page Viewed") == "[Amplitude] Page Viewed"


def test_the_users_rename_is_used() -> None:
    """Exactly this name, no other."""
    names = EventNames({"Song Played": "song_played"})
    assert names.name_of("Song Played") == "song_played"
    assert names.name_of("song played") == "song played"


@pytest.mark.parametrize(("amplitude", "posthog"), sorted(STANDARD_EVENTS.items()))
def test_standard_events_give_posthogs_names(amplitude: str, posthog: str) -> None:
    """Only with the setting."""
    assert EventNames({}, standard_events=True).name_of(amplitude) == posthog
    assert EventNames({}, standard_events=False).name_of(amplitude) == amplitude


def test_the_users_rename_wins_over_the_standard_one() -> None:
    """What the user wrote is more certain than what we know."""
    names = EventNames({"[Amplitude] Page Viewed": "page"}, standard_events=True)
    assert names.name_of("[Amplitude] Page Viewed") == "page"
    assert names.name_of("[Amplitude] Screen Viewed") == "$screen"


def test_no_standard_name_is_reserved() -> None:
    """A standard name that is then rejected would lose events."""
    assert not RESERVED_NAMES & set(STANDARD_EVENTS.values())


def test_nothing_is_skipped_by_default() -> None:
    """An event is left out only when the user says so."""
    assert not EventNames().skips("session_start")


@pytest.mark.parametrize(
    ("glob", "name", "skipped"),
    [
        ("session_start", "session_start", True),
        ("session_start", "session_started", False),
        ("session_start", "my session_start", False),
        ("session_*", "session_end", True),
        ("session_*", "Session_end", False),
        ("*_end", "session_end", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("[Amplitude] *", "[Amplitude] Page Viewed", True),
        ("[Amplitude] Page Viewed", "[Amplitude] Page Viewed", True),
        ("[Amplitude] *", "A Page Viewed", False),
        ("[ab]", "a", False),
        ("[!x]*", "[!x] y", True),
        ("a.c", "abc", False),
        ("a(b|c)+", "a(b|c)+", True),
        ("*", "line one\nline two", True),
        ("", "anything", False),
    ],
)
def test_a_glob_knows_only_star_and_question_mark(
    glob: str,
    name: str,
    skipped: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Most of Amplitude's own names start with `[`, so it is a letter like any other."""
    assert EventNames({}, [glob]).skips(name) is skipped


def test_several_globs_are_all_meant() -> None:
    """Whichever of them fits."""
    names = EventNames({}, ["x", "[Amplitude] *", "session_*"])
    assert names.skips("x")
    assert names.skips("session_end")
    assert names.skips("[Amplitude] Dead Click")
    assert not names.skips("Song Played")


def test_skipping_goes_by_amplitudes_name() -> None:
    """The user knows the names of the source; a rename does not bring an event back."""
    names = EventNames({"a": "b"}, ["a"])
    assert names.skips("a")
    assert not names.skips("b")
