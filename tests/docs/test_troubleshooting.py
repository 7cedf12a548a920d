"""docs/troubleshooting.md is complete: every message, every code, every exit code."""

from __future__ import annotations

import re

import pytest

from tap_amplitude import errors as tap_errors
from target_posthog import errors as target_errors
from target_posthog.rejects.codes import CODES
from tests.support.documents import document
from tests.support.plugin_messages import PACKAGES, messages_of, plain

PAGE = document("docs/troubleshooting.md")


@pytest.mark.parametrize("plugin", PACKAGES)
def test_every_message_of_a_plugin_is_explained(plugin: str) -> None:
    """What the code can say and what the tables explain are the same."""
    explained = {plain(row[0]) for row in PAGE.rows(f"## {plugin}")}
    said = messages_of(plugin)
    assert said - explained == set(), "not explained"
    assert explained - said == set(), "said nowhere"


def test_the_code_is_really_searched_for_messages() -> None:
    """The search finds plain texts, texts with gaps, and texts in tables."""
    assert "api_key is not set." in messages_of("target-posthog")
    assert "The tap sent a record of the stream … before its schema." in messages_of(
        "target-posthog"
    )
    assert "Amplitude refused the keys: …" in messages_of("tap-amplitude")
    assert "archive_path: … does not exist. …" in messages_of("tap-amplitude")


@pytest.mark.parametrize("plugin", PACKAGES)
def test_every_message_stands_under_its_exit_code(plugin: str) -> None:
    """The tables are headed with the exit codes of the errors in them."""
    module = {"tap-amplitude": tap_errors, "target-posthog": target_errors}[plugin]
    codes = {
        value.exit_code
        for value in vars(module).values()
        if isinstance(value, type) and hasattr(value, "exit_code")
    }
    section = PAGE.text.partition(f"\n## {plugin}\n")[2].partition("\n## ")[0]
    assert {code for code in range(1, 10) if f"(exit code {code})" in section} == codes


def test_every_exit_code_is_explained() -> None:
    """0 and the exit codes of both plugins' errors, no more and no fewer."""
    codes = {
        value.exit_code
        for module in (tap_errors, target_errors)
        for value in vars(module).values()
        if isinstance(value, type) and hasattr(value, "exit_code")
    }
    assert {int(row[0]) for row in PAGE.rows("## Exit codes")} == codes | {0}


def test_every_code_of_a_reject_is_explained() -> None:
    """The table holds the closed list of codes, in its order, and the rules of skipping."""
    rows = [row for row in PAGE.rows("## Rejects") if len(row) == 3]
    assert [row[0].strip("`") for row in rows] == list(CODES)


def test_the_remedy_of_a_code_is_the_one_that_commands_show() -> None:
    """The page has links where `target-posthog-rejects` has none; the words are the same."""
    rows = [row for row in PAGE.rows("## Rejects") if len(row) == 3]
    remedies = {row[0].strip("`"): re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", row[2]) for row in rows}
    assert remedies == {name: code.remedy for name, code in CODES.items()}
