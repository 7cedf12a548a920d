"""What a run says at its end."""

from __future__ import annotations

import re
from collections import Counter
from importlib.metadata import entry_points
from typing import Any

import pytest
import yaml

from target_posthog.progress.counts import Counts
from target_posthog.progress.end_of_run import (
    block_of,
    command_for,
    next_step,
    outcome_in_words,
    stopped_block_of,
)
from tests.support.documents import ROOT, document

DELIVERED = Counts(exported=10, accepted=10)
REJECTED = Counts(exported=10, accepted=9, rejected=Counter(bad_time=1))
EARLY = "The tap sent no record and no STATE: see its log."


@pytest.mark.parametrize(
    ("counts", "is_preview", "collects", "words"),
    [
        (DELIVERED, False, False, "sent to X"),
        (Counts(exported=2), False, False, "nothing was delivered"),
        (Counts(), False, False, "there was nothing to send"),
        (DELIVERED, True, False, "previewed in X, nothing was sent"),
        (DELIVERED, False, True, "people and groups were collected, nothing was sent"),
    ],
)
def test_the_end_says_what_became_of_the_events(
    counts: Counts, words: str, *, is_preview: bool, collects: bool
) -> None:
    """Nothing is sent to an address that got nothing."""
    assert outcome_in_words(counts, "X", is_preview=is_preview, collects=collects) == words


def test_the_end_of_a_good_run_is_one_short_block() -> None:
    """No line about what did not happen."""
    counts = Counts(exported=1_000, accepted=1_000, links=12)
    block = block_of(counts, seconds=61.4, destination="sent to X")
    assert block.splitlines() == [
        "Done in 0:01:01: sent to X.",
        "  exported        1,000  records from the tap",
        "  accepted        1,000",
        "  superseded          0",
        "  skipped             0",
        "  rejected            0",
        "  links              12  devices joined to their user",
    ]


def test_the_end_names_every_rule_and_code() -> None:
    """So that the user can go on without the documentation."""
    counts = Counts(
        exported=10,
        accepted=4,
        superseded=1,
        skipped=Counter(skip_events=2),
        rejected=Counter(bad_time=2, no_distinct_id=1),
        groups=4,
        shared_devices=3,
        added_rejected=Counter(refused_by_posthog=1),
    )
    block = block_of(counts, seconds=1, destination="sent to X")
    assert block.splitlines()[3:] == [
        "  superseded          1  older versions of the same event",
        "  skipped             2  skip_events 2",
        "  rejected            3  bad_time 2, no_distinct_id 1",
        "  links               0  devices joined to their user",
        "  groups              4  group updates",
        "  shared              3  further users of a device, not joined to it",
        "  PostHog refused 1 links or group updates.",
    ]


def test_a_run_that_is_stopped_says_what_is_open_and_what_is_saved() -> None:
    """As the guide shows it."""
    shown = next(
        block
        for block in document("docs/migrate.md").text.split("```text\n")
        if block.startswith("Stopped after")
    ).partition("\n```")[0]
    counts = Counts(exported=24_000, accepted=19_996, rejected=Counter(bad_time=4), links=310)
    block = stopped_block_of(
        counts,
        seconds=12,
        destination="https://eu.i.posthog.com",
        is_preview=False,
        state="the export hours before 2023-01-01T05Z are done.",
    )
    assert block == shown.rpartition("\n")[0]


@pytest.mark.parametrize(
    ("counts", "is_preview", "told"),
    [
        pytest.param(
            Counts(exported=3, accepted=1),
            True,
            [
                "Stopped after 0:00:02: not all records that came are previewed in X.",
                "Nothing was sent, and the state is as it was.",
            ],
            id="a preview",
        ),
        pytest.param(
            Counts(exported=3),
            False,
            [
                "Stopped after 0:00:02: no record is accepted by X.",
                "No state was written: the next run begins where this one did.",
            ],
            id="nothing accepted",
        ),
        pytest.param(
            DELIVERED,
            False,
            [
                "Stopped after 0:00:02, before the run came to its end.",
                "No state was written: the next run begins where this one did.",
                "What was accepted and comes again, PostHog keeps once.",
            ],
            id="nothing open",
        ),
    ],
)
def test_a_stop_says_nothing_that_is_not_so(
    counts: Counts, told: list[str], *, is_preview: bool
) -> None:
    """Not of what was sent, nor of a state."""
    block = stopped_block_of(
        counts, seconds=2.2, destination="X", is_preview=is_preview, state=None
    )
    lines = [line for line in block.splitlines() if not line.startswith("  ")]
    assert lines == told


PROOF = (
    "compare with PostHog (`target-posthog-reconcile`), see it all (`target-posthog-report`), "
    "and run again at any time for what is new."
)
WHY = (
    "see why records were rejected, and what to do: `target-posthog-rejects` (file "
    "rejects/r.jsonl)."
)


APPLY = (
    "every hour of the migration is collected, send them with `free_order: apply`, in any "
    "order and with another state id."
)


@pytest.mark.parametrize(
    ("counts", "how", "told"),
    [
        pytest.param(DELIVERED, {}, PROOF, id="good"),
        pytest.param(Counts(), {}, "run again at any time for what is new.", id="nothing"),
        pytest.param(
            REJECTED,
            {},
            f"{WHY} Then compare with PostHog: `target-posthog-reconcile`.",
            id="rejects",
        ),
        pytest.param(DELIVERED, {"early": EARLY}, "see the log of the tap. Run again.", id="early"),
        pytest.param(
            REJECTED,
            {"early": EARLY},
            f"see the log of the tap. S{WHY[1:]} Run again.",
            id="early, with rejects",
        ),
        # A tap that never writes STATE: to run it again for ever would not change it.
        pytest.param(
            DELIVERED,
            {"early": EARLY, "may_have_ended": True},
            "see the log of the tap. Run again if it did not finish.",
            id="early, or at its end",
        ),
        # Who names the file of the rejects wants to see them.
        pytest.param(
            REJECTED,
            {"is_preview": True, "rejects": "my folder/r.jsonl"},
            "see why records were rejected, and what to do: "
            "`target-posthog-rejects 'my folder/r.jsonl'`. To send, take `preview_path` out. The "
            "preview left the state as it was.",
            id="a preview",
        ),
        # The rejects are a trial's: those of the run that sends are the ones to replay.
        pytest.param(Counts(), {"collects": True}, f"once {APPLY}", id="collects"),
        pytest.param(
            REJECTED,
            {"collects": True},
            f"{WHY.partition('`')[0]}`target-posthog-rejects rejects/r.jsonl`. Once {APPLY}",
            id="collects, with rejects",
        ),
        pytest.param(
            Counts(),
            {"collects": True, "early": EARLY},
            "see the log of the tap. Run again.",
            id="collects, early",
        ),
    ],
)
def test_a_run_ends_with_what_to_do_next(counts: Counts, how: dict[str, Any], told: str) -> None:
    """Whatever it came to."""
    assert next_step(counts, {}, **{"rejects": "rejects/r.jsonl", **how}) == told


def test_a_run_that_applies_ends_with_what_is_still_to_be_sent() -> None:
    """Until all of the pass is sent, people are not what they will be."""
    for counts in (DELIVERED, REJECTED):
        told = next_step(counts, {}, rejects="r.jsonl", unsent=(1200, "2024-01-01T05"))
        assert told.endswith(
            "end the other 1,200 hours of the people pass, the first is 2024-01-01T05."
        )
        assert told.count(". ") <= 1


def test_the_longest_next_step_is_a_few_words_and_the_commands() -> None:
    """A line of 400 characters is read by nobody."""
    variables = {"MELTANO_LOADER_NAME": "target-posthog", "MELTANO_ENVIRONMENT": "production"}
    name = "rejects/target-posthog-20240101T000000Z-1234-0123abcd-c0ffee.jsonl"
    for early in (None, EARLY):
        assert len(next_step(REJECTED, variables, rejects=name, early=early)) < 290


def test_with_meltano_the_next_step_is_a_command_of_meltano() -> None:
    """Of the same environment and the same plugin, which may inherit from ours."""
    variables = {"MELTANO_LOADER_NAME": "target-posthog--eu", "MELTANO_ENVIRONMENT": "prod"}
    assert command_for("report", variables) == (
        "meltano --environment=prod invoke target-posthog--eu:report"
    )
    del variables["MELTANO_ENVIRONMENT"]
    assert command_for("report", variables) == "meltano invoke target-posthog--eu:report"


def test_every_command_that_a_run_names_exists() -> None:
    """As a console script, and for Meltano."""
    scripts = {point.name for point in entry_points(group="console_scripts")}
    loaders = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]["loaders"]
    (commands,) = (one["commands"] for one in loaders if one["name"] == "target-posthog")
    named = set(re.findall(r"`target-posthog-(\w+)", f"{PROOF} {WHY}"))
    assert named == {"reconcile", "report", "rejects"}
    assert {f"target-posthog-{name}" for name in named} <= scripts
    assert named <= commands.keys()
