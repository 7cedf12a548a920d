"""What a check found, as a person and as a machine read it."""

from __future__ import annotations

import pytest

from target_posthog.common.findings import Finding, Level, as_json, as_text, exit_code_of

OK = Finding("host", Level.OK, "Events go to https://us.i.posthog.com: US Cloud.")
NOTE = Finding("speed", Level.NOTE, "`max_events_per_second` is not set.", "Set it.")
FIX = Finding("token", Level.FIX, "`api_key` is not set.", "Set `api_key`.")
UNKNOWN = Finding("ingestion", Level.UNKNOWN, "No answer.", "Check again.")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([OK, NOTE], 0),
        ([OK, UNKNOWN], 1),
        ([UNKNOWN, FIX], 2),
    ],
    ids=["nothing", "notes", "unknown", "to fix"],
)
def test_the_exit_code_is_that_of_the_worst_finding(findings: list[Finding], code: int) -> None:
    """To fix comes before what could not be asked."""
    assert exit_code_of(findings) == code
    assert as_json(findings)["exit_code"] == code


def test_each_finding_has_its_lines_and_the_end_its_sum() -> None:
    """Texts stand in one column; a remedy follows its finding."""
    assert as_text([OK, NOTE, FIX, UNKNOWN], colours=False).splitlines() == [
        "OK      host       Events go to https://us.i.posthog.com: US Cloud.",
        "NOTE    speed      `max_events_per_second` is not set.",
        "                   → Set it.",
        "FIX     token      `api_key` is not set.",
        "                   → Set `api_key`.",
        "UNKNOWN ingestion  No answer.",
        "                   → Check again.",
        "",
        "1 to fix, 1 not known, 1 to look at, 1 OK.",
    ]


def test_long_texts_are_wrapped_and_names_stay_whole() -> None:
    """An address can be copied."""
    address = "https://" + "x" * 120
    lines = as_text([Finding("host", Level.OK, f"{'word ' * 30}{address}")], colours=False)
    assert address in lines
    assert max(len(line) for line in lines.splitlines() if address not in line) <= 100


def test_colours_are_for_terminals() -> None:
    """They stand around the level alone."""
    assert "\x1b[31m" in as_text([FIX], colours=True)
    assert "\x1b" not in as_text([FIX], colours=False)
    assert "\x1b" not in str(as_json([FIX]))


def test_a_machine_reads_the_same() -> None:
    """Level, area, text and remedy of each."""
    assert as_json([FIX])["findings"] == [
        {
            "area": "token",
            "level": "FIX",
            "text": "`api_key` is not set.",
            "remedy": "Set `api_key`.",
        }
    ]
