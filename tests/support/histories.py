"""Histories as a tap sends them, and what PostHog must hold of them."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from tests.support.batch_messages import batch
from tests.support.processes import run_target
from tests.support.rows import row, rows
from tests.support.singer import counts_in, record, records, schema, state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Finished
    from tests.support.singer import Json

IDENTITIES = {"$create_alias", "$identify"}


def with_states(sent: Sequence[Json], every: int, first: int = 0) -> list[Json]:
    """Return a tap's messages: rows from `first` on, and a state after every few of them.

    A tap that goes on from a state writes that one first.
    """
    messages = [*([state({"at": first})] if first else []), schema()]
    for number in range(first, len(sent)):
        messages.append(record(sent[number]))
        if (number + 1) % every == 0 or number + 1 == len(sent):
            messages.append(state({"at": number + 1}))
    return messages


def keys_of(sent: Sequence[Json]) -> set[tuple[str, str, str, str]]:
    """Return what PostHog tells the events of these rows apart by."""
    return {
        (
            one["uuid"],
            one["event_type"],
            one.get("user_id") or one["device_id"],
            one["event_time"][:10],
        )
        for one in sent
    }


def held_events(capture: PosthogCapture) -> set[tuple[str, str, str, str]]:
    """Return the keys of what PostHog holds, without what tells who is who."""
    return {key for key in capture.held() if key[1] not in IDENTITIES}


def identities(capture: PosthogCapture) -> list[Json]:
    """Return every identity event that PostHog holds, in order."""
    return [event for event in capture.held().values() if event["event"] in IDENTITIES]


def people(count: int) -> list[Json]:
    """Return rows of ten users with a device each, whose first events are anonymous."""
    return [
        row(
            number,
            user_id=None if number < 10 else f"user-{number % 10}",
            device_id=f"device-{number % 10}",
        )
        for number in range(count)
    ]


def check_the_repeat(
    config: Json,
    sent: Sequence[Json],
    killed: Finished,
    goes_on: str,
    folder: Path,
    capture: PosthogCapture,
) -> None:
    """Run once more after a kill; fail unless PostHog then holds exactly the source.

    Args:
        config: the target's settings.
        sent: the rows of `people(100)`.
        killed: what came of the killed run, whose states stood after every ten rows.
        goes_on: "from the state" or "from the start".
        folder: the working directory.
        capture: the stand-in.
    """
    assert killed.exit_code == -signal.SIGKILL
    places = [json.loads(line)["at"] for line in killed.stdout.splitlines()]

    capture.be_well()
    first = places[-1] if places and goes_on == "from the state" else 0
    ended = run_target(config, with_states(sent, every=10, first=first), folder).checked()

    assert ended.messages[-1] == {"at": 100}
    assert held_events(capture) == keys_of(sent)
    pairs = [(event["distinct_id"], event["properties"]["alias"]) for event in identities(capture)]
    assert sorted(pairs) == [(f"user-{n}", f"device-{n}") for n in range(10)]
    persons = capture.persons()
    assert persons.warnings == []
    assert sorted(map(sorted, persons.people())) == [
        [f"device-{n}", f"user-{n}"] for n in range(10)
    ]
    assert counts_in(ended.stderr)["accepted"] == 100 - first


def in_stretches(folder: Path, way: str) -> list[Json]:
    """Return messages of six hundred rows in six stretches, as records or as batch files."""
    made: list[Json] = [schema()]
    for part in range(6):
        contents = rows(range(part * 100, part * 100 + 100))
        if way == "records":
            made += records(contents)
        else:
            path = folder / f"{part}.jsonl"
            path.write_text("".join(f"{json.dumps(one)}\n" for one in contents))
            # Of other taps a manifest may hold paths.
            made.append(batch([path], {"format": "jsonl"}) | {"manifest": [str(path)]})
        made.append(state({"at": part}))
    return made
