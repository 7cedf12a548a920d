"""What a replay sends stands in the book as what it is, however often it is replayed."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias
from unittest.mock import Mock

import pytest

from target_posthog.books.whole import totals_of
from target_posthog.commands.replay import Replay
from target_posthog.commands.replay_target import ReplayTarget
from target_posthog.identity.resolver import IdentityResolver
from target_posthog.model import GroupState, Link
from target_posthog.posthog.groups import group_event
from target_posthog.posthog.people import identity_event
from tests.fakes.posthog_capture import Fault
from tests.support.rows import row
from tests.support.singer import hours_state, records, schema, state
from tests.support.target import run_apart, started
from tests.target.books.test_book_of_runs import DAY, book_in, messages_of, order, rows_of
from tests.target.commands.test_replay import LONG, RENAME, replay

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.singer import Json
    from tests.support.target import Target

#: Exported, accepted, skipped by rule, rejected by code.
Sums: TypeAlias = "tuple[int, int, Json, Json]"


def hour_with_long_names(hour: int = 5) -> list[Json]:
    """Return rows of an hour: a sound one, two whose names are too long, one without a time."""
    made = rows_of(hour, count=8)[5:8]
    long = [one | {"event_type": LONG} for one in made[1:]]
    never = made[0] | {"uuid": row(900 + hour)["uuid"], "event_time": "?"}
    return [made[0], *long, never | {"user_id": "u" * 201}]


def the_hour(rows: list[Json]) -> list[Json]:
    """Return the messages of an hour of these rows."""
    return [hours_state(5), schema(), *records(rows), hours_state(6)]


def rejecting_run(target: Target) -> Path:
    """Run over an hour with long names, and return the rejects file."""
    target.run(the_hour(hour_with_long_names())).checked()
    (path,) = (target.folder / "rejects").iterdir()
    return path


def sums(target: Target) -> dict[str, Sums]:
    """Return what the book says of each hour, or stretch; every record has a fate."""
    lines = book_in(target.folder)
    assert totals_of(lines).open == 0
    return {
        line.unit.hour[-2:]: (
            line.exported,
            line.accepted,
            dict(line.skipped_by_rule),
            dict(line.rejected_by_code),
        )
        for line in lines
    }


BEFORE: Sums = (4, 1, {}, {"event_name_too_long": 2, "distinct_id_too_long": 1})
AFTER: Sums = (4, 3, {}, {"distinct_id_too_long": 1})


@pytest.mark.parametrize("way", ["records", "files"])
def test_what_is_sent_moves_from_rejected_to_accepted(target: Target, way: str) -> None:
    """In the line of its hour; the file of before, replayed once more, changes nothing."""
    messages = messages_of(way, target.batches, {5: hour_with_long_names(), 6: rows_of(6)[:3]})
    run_apart(target, messages, workers=2).checked()
    assert sums(target) == {"05": BEFORE, "06": (3, 3, {}, {})}
    for _ in range(2):
        replay(target, **RENAME).checked()
        assert sums(target) == {"05": AFTER, "06": (3, 3, {}, {})}
    (was,) = (target.folder / "rejects").glob("*.replayed")
    replay(target, str(was), **RENAME).checked()
    replay(target, str(was)).checked()
    assert sums(target)["05"] == AFTER
    assert len({event["uuid"] for event in target.capture.events if event["event"] == "short"}) == 2


def test_a_replay_that_is_killed_behind_the_book_counts_once(target: Target) -> None:
    """The file is still as it was: the same records come again."""
    path = rejecting_run(target)
    was = path.read_bytes()
    replay(target, **RENAME).checked()
    for left in path.parent.iterdir():
        left.unlink()
    path.write_bytes(was)
    replay(target, **RENAME).checked()
    assert sums(target)["05"] == AFTER


def test_a_replay_that_is_stopped_says_nothing_that_is_not_so(target: Target) -> None:
    """Of what has no answer the book goes on to say that it was rejected."""
    rejecting_run(target)
    asked = len(target.capture.requests)
    target.capture.fail(Fault.SLOW, seconds=30)
    with started(target, "target-posthog-replay", **RENAME) as command:
        command.wait_for(lambda: len(target.capture.requests) > asked)
        command.stop(signal.SIGTERM)
    assert sums(target)["05"] == BEFORE
    replay(target, **RENAME).checked()
    assert sums(target)["05"] == AFTER


def test_another_code_or_rule_is_said_too(target: Target) -> None:
    """A remedy may lead to the next problem, and a map may leave a record out."""
    path = rejecting_run(target)
    was = path.read_text()
    path.write_text(was.replace(LONG, "short").replace('"user_id":"u', f'"user_id":"{"u" * 201}'))
    replay(target)
    assert sums(target)["05"] == (4, 1, {}, {"distinct_id_too_long": 3})
    path.write_text(was)
    replay(target)
    assert sums(target)["05"] == BEFORE
    replay(target, skip_events=[LONG])
    assert sums(target)["05"] == (4, 1, {"skip_events": 2}, {"distinct_id_too_long": 1})


def test_what_posthog_refused_and_takes_later_moves_too(target: Target) -> None:
    """Its event was in the book already, as rejected; and refused again, it stays so."""
    sent = rows_of(5, count=8)[5:8]
    target.config["protocol"] = "v1"
    target.capture.judge_v1([sent[0]["uuid"], sent[1]["uuid"]], "drop", "event_restriction_drop")
    target.run(the_hour(sent)).checked()
    refused: Sums = (3, 1, {}, {"refused_by_posthog": 2})
    assert sums(target)["05"] == refused
    replay(target)
    assert sums(target)["05"] == refused
    target.capture.judge_v1([sent[0]["uuid"], sent[1]["uuid"]], "warning", "none of them is wrong")
    replay(target).checked()
    assert sums(target)["05"] == (3, 3, {}, {})


@pytest.mark.parametrize("stopped_first", [True, False])
def test_what_two_runs_rejected_counts_as_often_as_the_book_has_it(
    target: Target, *, stopped_first: bool
) -> None:
    """The first was killed before its state, so the book has only the second."""
    messages = the_hour(hour_with_long_names())
    target.capture.fail(Fault.SLOW, times=2, seconds=60)
    with started(target) as running:
        running.write(messages)
        running.wait_for(lambda: target.capture.requests)
        running.stop(signal.SIGKILL)
    target.capture.be_well()
    (stopped,) = (target.folder / "rejects").iterdir()
    target.run(messages).checked()
    assert sums(target)["05"] == BEFORE
    (whole,) = set(stopped.parent.iterdir()) - {stopped}
    order_of = [stopped, whole] if stopped_first else [whole, stopped]
    replay(target, *map(str, order_of), **RENAME)
    assert sums(target)["05"] == AFTER


def test_an_hour_that_is_read_again_forgets_what_a_replay_made_of_it(target: Target) -> None:
    """Its rejects are those of the new run, which another replay may send."""
    messages = the_hour(hour_with_long_names())
    for _ in range(2):
        target.run(messages).checked()
        assert sums(target)["05"] == BEFORE
        replay(target, **RENAME).checked()
        assert sums(target)["05"] == AFTER
    target.run(messages, **RENAME).checked()
    assert sums(target)["05"] == AFTER
    for was in (target.folder / "rejects").glob("*.replayed*"):
        replay(target, str(was), **RENAME).checked()
    assert sums(target)["05"] == AFTER


def test_a_late_part_and_its_hour_are_replayed_apart(target: Target) -> None:
    """Two runs share the line, and each has rejects."""
    whole = [*hour_with_long_names(), *rows_of(5, count=40)[10:]]
    late = rows_of(5, count=60)[50:54]
    late[2]["event_type"] = late[3]["event_type"] = LONG
    for sent in (whole, late):
        target.run(the_hour(sent)).checked()
    exported, accepted, _, rejected = sums(target)["05"]
    assert rejected["event_name_too_long"] == 4
    replay(target, **RENAME).checked()
    assert sums(target)["05"] == (exported, accepted + 4, {}, {"distinct_id_too_long": 1})


def test_a_tap_that_goes_back_to_an_hour_has_all_of_its_rejects_moved(target: Target) -> None:
    """They were rejected in two parts of one run, and stand in one line."""
    rows = rows_of(5, count=30)[10:30]
    rows[1]["event_type"] = rows[15]["event_type"] = LONG
    messages = [schema()]
    for hour, sent in ((5, rows[:10]), (6, rows_of(6)[10:13]), (5, rows[10:])):
        messages += [*records(sent), hours_state(hour + 1)]
    target.run(messages).checked()
    assert sums(target)["05"] == (20, 18, {}, {"event_name_too_long": 2})
    replay(target, **RENAME).checked()
    assert sums(target)["05"] == (20, 20, {}, {})


def test_records_of_other_taps_are_found_by_their_part(target: Target) -> None:
    """Their line is named by a state that came later than they were rejected."""
    streams = {"orders": {"distinct_id": "customer", "timestamp": "created_at", "event": "name"}}
    target.config["streams"] = streams
    messages = [schema("orders", key="id", id={}, customer={}, created_at={}, name={})]
    for part in range(2):
        sent = [order(10 * part + n) | {"name": LONG if n < part + 1 else "paid"} for n in range(4)]
        messages += [*records(sent, "orders"), state({"bookmarks": {"orders": {"at": part}}})]
    target.run(messages).checked()
    assert {(one.exported, one.accepted) for one in book_in(target.folder)} == {(4, 3), (4, 2)}
    replay(target, **RENAME).checked()
    lines = book_in(target.folder)
    assert sorted((one.exported, one.accepted, one.rejected) for one in lines) == [(4, 4, 0)] * 2
    assert len(target.capture.held()) == 8


def test_a_rejects_file_of_an_earlier_version_is_sent_and_left_out_of_the_book(
    target: Target,
) -> None:
    """It does not say where its records are counted; a comparison explains them as replayed."""
    path = rejecting_run(target)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line.pop("counted")["part"] == 1 for line in lines)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    replay(target, **RENAME).checked()
    assert sums(target)["05"] == BEFORE
    assert sum(event["event"] == "short" for event in target.capture.events) == 2


LINK = Link("user-0", "device-0")
GROUP = GroupState("team", "red", {"size": 3})
ADDED = ["link", "group"]


def hour_that_adds(hour: int = 5) -> list[Json]:
    """Return rows of an hour that show a link and the properties of a group."""
    first, *others = rows_of(hour, count=40)[12:18]
    told = {GROUP.group_type: {GROUP.group_key: GROUP.properties}}
    groups = {"groups": {GROUP.group_type: [GROUP.group_key]}, "group_properties": told}
    return [first | groups, *others]


def refuse(target: Target, kind: str, verdict: str = "drop") -> None:
    """Have PostHog refuse what the first of these rows adds, or take it again."""
    time = f"{DAY}T05:10:12.000000Z"
    event = {
        "link": identity_event("alias", LINK, time),
        "group": group_event(GROUP, LINK.user_id, time),
    }[kind]
    target.capture.judge_v1([event["uuid"]], verdict, "as it was asked to")


def added(target: Target) -> tuple[int, int]:
    """Return how many links and group updates the book has."""
    lines = book_in(target.folder)
    return sum(line.links for line in lines), sum(line.groups for line in lines)


@pytest.mark.parametrize(("way", "kind"), [("records", "link"), ("files", "group")])
def test_a_link_or_group_update_that_a_replay_told_is_in_the_book(
    target: Target, way: str, kind: str
) -> None:
    """In the line of its hour; refused again it is not, and counted once however often it comes."""
    target.config.update(protocol="v1", workers=2)
    refuse(target, kind)
    messages = messages_of(way, target.batches, {5: hour_that_adds(), 6: rows_of(6)[:3]})
    run_apart(target, messages)
    without = (2, 1) if kind == "link" else (3, 0)
    assert added(target) == without
    replay(target)
    assert added(target) == without
    refuse(target, kind, "warning")
    replay(target).checked()
    assert added(target) == (3, 1)
    links_of = {line.unit.hour[-2:]: line.links for line in book_in(target.folder)}
    assert links_of == {"05": 3, "06": 0}
    was = [str(path) for path in (target.folder / "rejects").glob("*.replayed*")]
    replay(target, *was).checked()
    assert added(target) == (3, 1)


@pytest.mark.parametrize("kind", ADDED)
def test_a_replay_that_is_killed_before_the_ledger_knows_what_it_told_counts_it_once(
    target: Target, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The book comes first, so the same event goes again and changes nothing there."""
    target.config["protocol"] = "v1"
    refuse(target, kind)
    target.run(the_hour(hour_that_adds()))
    refuse(target, kind, "warning")
    monkeypatch.chdir(target.folder)
    with monkeypatch.context() as patch:
        patch.setattr(IdentityResolver, "accept", Mock(side_effect=Killed))
        with pytest.raises(Killed), closing(ReplayTarget(config=target.config)) as plugin:
            Replay(plugin).run([str(target.folder / "rejects")])
    assert added(target) == (3, 1)
    replay(target).checked()
    assert added(target) == (3, 1)


class Killed(Exception):
    """Nobody catches it."""


@pytest.mark.parametrize(("kind", "stopped_first"), [("link", True), ("group", False)])
def test_what_two_runs_were_refused_to_add_counts_once(
    target: Target, kind: str, *, stopped_first: bool
) -> None:
    """The first was killed before its state: the book does not have it, as if of another ledger."""
    target.config["protocol"] = "v1"
    refuse(target, kind)
    elsewhere = replace(target, folder=target.folder / "elsewhere")
    elsewhere.folder.mkdir()
    files: list[Path] = []
    for one in (elsewhere, target):
        one.run(the_hour(hour_that_adds())).checked()
        files += (one.folder / "rejects").iterdir()
    refuse(target, kind, "warning")
    replay(target, *map(str, files if stopped_first else reversed(files)))
    assert added(target) == (3, 1)


@pytest.mark.parametrize("kind", ADDED)
def test_what_the_record_of_a_replay_adds_and_posthog_refuses_may_be_told_later(
    target: Target, kind: str
) -> None:
    """It belongs to the line of the record that showed it, and moves none of the records."""
    target.config["protocol"] = "v1"
    rows = hour_that_adds()[:1]
    rows[0]["event_type"] = LONG
    target.run(the_hour(rows)).checked()
    assert added(target) == (0, 0)
    refuse(target, kind)
    replay(target, **RENAME)
    assert added(target) == ((0, 1) if kind == "link" else (1, 0))
    assert sums(target)["05"] == (1, 1, {}, {})
    refuse(target, kind, "warning")
    replay(target).checked()
    assert added(target) == (1, 1)
    assert sums(target)["05"] == (1, 1, {}, {})
