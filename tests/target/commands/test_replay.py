"""Rejected records go again, the target's own way; what is accepted leaves the rejects."""

from __future__ import annotations

import errno
import json
import os
import signal
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.commands.replay import Replay
from target_posthog.commands.replay_target import ReplayTarget
from target_posthog.errors import RunAgain
from target_posthog.identity.ledger import Ledger, Owner
from target_posthog.model import GroupState, Link
from target_posthog.posthog.groups import group_event
from target_posthog.posthog.people import identity_event
from tests.fakes.posthog_capture import Fault, PosthogCapture
from tests.support.documents import ROOT
from tests.support.processes import start
from tests.support.rows import row, rows, uuid_of
from tests.support.singer import counts_in, record, records, schema, state
from tests.support.target import started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Finished
    from tests.support.singer import Json
    from tests.support.target import Target

TIME = "2024-01-01T00:00:00.000000Z"
LONG = "n" * 201
RENAME: Json = {"event_names": [{"from": LONG, "to": "short"}]}
TWO_BAD_ROWS = [schema(), *records([*rows([1, 2], event_type=LONG), row(3)]), state({"at": 1})]
LINK = Link("u1", "d1")
SCHEMA_OF_EVENTS = ROOT / "tap-amplitude/tap_amplitude/schemas/events.json"


def replay(target: Target, *arguments: str, **settings: Any) -> Finished:
    """Run the command."""
    finished = target.command("replay", *arguments, **settings)
    assert finished.stdout == ""
    return finished


def reject(content: Json, code: str = "bad_time", stage: str = "convert", **more: Any) -> str:
    """Return a line of a rejects file."""
    return json.dumps({"code": code, "stage": stage, "reason": "…", "record": content, **more})


def refused(event: Json, **more: Any) -> str:
    """Return the line of an event that PostHog refused."""
    return reject(event, "refused_by_posthog", "send", **more)


def write(target: Target, *lines: str, name: str = "target-posthog-1.jsonl") -> Path:
    """Write a rejects file."""
    path = target.folder / "rejects" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def lines_of(path: Path) -> list[Json]:
    """Return the lines of a rejects file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def names_in(target: Target) -> list[str]:
    """Return the names of the files in the folder of the rejects."""
    return sorted(path.name for path in (target.folder / "rejects").iterdir())


def sent(target: Target) -> list[str]:
    """Return the names of the events that PostHog stored, in order, repeats included."""
    return [event["event"] for event in target.capture.events]


def owner(target: Target, device: str) -> Owner:
    """Return whose a device is, as the ledger of the runs knows."""
    with closing(Ledger(f"sqlite:///{target.folder}/target-posthog.db", "phc_test")) as ledger:
        return ledger.owners([device])[device]


def test_what_a_setting_mends_is_sent_and_leaves_the_rejects(target: Target) -> None:
    """A whole round: a run rejects, the user sets `event_names`, and the replay sends."""
    assert counts_in(target.run(TWO_BAD_ROWS).checked().stderr)["rejected"] == 2
    (path,) = (target.folder / "rejects").iterdir()
    before = path.read_bytes()

    finished = replay(target, **RENAME).checked()
    none = dict.fromkeys(("superseded", "skipped", "rejected", "links"), 0)
    assert none | counts_in(finished.stderr) == none | {"exported": 2, "accepted": 2}
    assert sent(target) == ["viewed", "short", "short"]
    assert target.uuids[1:] == [uuid_of(1), uuid_of(2)]
    assert names_in(target) == [f"{path.name}.replayed"]
    assert (path.parent / f"{path.name}.replayed").read_bytes() == before


def test_what_is_rejected_again_stays_with_its_new_reason(target: Target) -> None:
    """And only that; the file as it was is kept once, however often it is replayed."""
    bad = row(2, event_type=LONG)
    path = write(target, reject(row(1)), reject(bad), reject(row(3)))
    whole = path.read_bytes()
    for _ in range(2):
        finished = replay(target).checked()
        (left,) = lines_of(path)
        assert (left["code"], left["record"]) == ("event_name_too_long", bad)
    assert counts_in(finished.stderr)["rejected"] == 1
    assert names_in(target) == [path.name, f"{path.name}.replayed"]
    assert path.with_name(f"{path.name}.replayed").read_bytes() == whole
    assert sent(target) == ["viewed", "viewed"]

    replay(target, **RENAME).checked()
    assert names_in(target) == [f"{path.name}.replayed", f"{path.name}.replayed-2"]


def test_a_record_shows_its_link_as_in_a_run(target: Target) -> None:
    """The replay is the target: the ledger knows the device afterwards."""
    write(target, reject(row(1, user_id="u1", device_id="d1")))
    assert counts_in(replay(target).checked().stderr)["links"] == 1
    assert sent(target) == ["viewed", "$create_alias"]
    messages = [schema(), record(row(2, user_id="u1", device_id="d1"))]
    assert counts_in(target.run(messages).checked().stderr)["links"] == 0


@pytest.mark.parametrize("kind", ["alias", "identify"])
@pytest.mark.parametrize("more", [{}, {"added": {"link": ["u1", "d1"]}}])
def test_a_refused_link_is_told_and_remembered(target: Target, kind: Any, more: Json) -> None:
    """The ledger knows afterwards that it was taken; lines of older files do not say what it is."""
    event = identity_event(kind, LINK, TIME)
    write(target, refused(event, **more), refused(event, **more))
    counts = counts_in(replay(target).checked().stderr)
    assert (counts["accepted"], counts["skipped"]) == (1, 1)
    assert target.uuids == [event["uuid"]]
    assert owner(target, "d1") == Owner("u1", accepted=True)


def test_a_link_that_would_join_two_users_is_left_out(target: Target) -> None:
    """The device is somebody else's by now."""
    target.run([schema(), record(row(1, user_id="u2", device_id="d1"))]).checked()
    write(target, refused(identity_event("alias", LINK, TIME)))
    counts = counts_in(replay(target).checked().stderr)
    assert (counts["accepted"], counts["skipped"]) == (0, 1)
    assert sent(target).count("$create_alias") == 1
    assert owner(target, "d1").user_id == "u2"


def test_a_refused_link_that_a_record_of_the_same_file_tells_goes_once(target: Target) -> None:
    """The same uuid twice would be refused by v1."""
    shown = row(1, user_id="u1", device_id="d1")
    write(target, refused(identity_event("alias", LINK, TIME)), reject(shown))
    counts = counts_in(replay(target).checked().stderr)
    assert (counts["links"], counts["accepted"], counts["skipped"]) == (1, 1, 1)
    assert sent(target).count("$create_alias") == 1


@pytest.mark.parametrize("more", [{}, {"added": {"group": ["org", "acme"]}}])
def test_a_refused_group_is_told_unless_posthog_knows_another_state(
    target: Target, more: Json
) -> None:
    """An older state must not write over a newer one."""
    told = group_event(GroupState("org", "acme", {"plan": "a"}), "u1", TIME)
    older = group_event(GroupState("org", "acme", {"plan": "old"}), "u1", TIME)
    write(target, refused(told, **more))
    assert counts_in(replay(target).checked().stderr)["accepted"] == 1
    write(target, refused(older, **more))
    assert counts_in(replay(target).checked().stderr)["skipped"] == 1
    assert [event["properties"]["$group_set"] for event in target.capture.events] == [{"plan": "a"}]


def test_an_added_event_that_is_refused_again_stays(target: Target) -> None:
    """And the ledger does not take it for told."""
    path = write(target, refused(identity_event("alias", LINK, TIME)))
    target.capture.fail(Fault.STATUS, status=400, body="no")
    assert counts_in(replay(target).checked().stderr)["rejected"] == 1
    (left,) = lines_of(path)
    assert left["record"]["event"] == "$create_alias"
    assert left["added"] == {"link": ["u1", "d1"]}
    assert not owner(target, "d1").accepted


def test_lines_that_cannot_be_sent_are_named_and_stay(target: Target) -> None:
    """Cut off by a crash, or edited; nothing of them is shown, and the others are sent."""
    broken = [
        '{"code": "bad_time", "stage": "conv',
        "[]",
        '{"code": 1, "record": {"a": "hushhush"}}',
    ]
    path = write(target, reject(row(1)), *broken, reject(row(2)))
    finished = replay(target)
    assert finished.exit_code == 3
    for number in (2, 3, 4):
        assert f"Line {number} of {path}" in finished.stderr
    assert "hushhush" not in finished.stderr
    assert path.read_text().splitlines() == broken
    assert sent(target) == ["viewed", "viewed"]


def test_lines_of_the_tap_are_reported_and_stay_as_they_are(target: Target) -> None:
    """They are no records, so there is nothing to send."""
    line = {"code": "bad_line", "stage": "read", "reason": "…", "record": "{not json"}
    path = write(target, json.dumps(line), name="tap-amplitude-1.jsonl")
    finished = replay(target).checked()
    assert f"{path} holds 1 lines that are not records" in finished.stderr
    assert lines_of(path) == [line]
    assert names_in(target) == [path.name]
    assert target.capture.requests == []


def test_the_stream_of_other_records_is_asked_for(target: Target) -> None:
    """It is their event's name, so it is never guessed; a line may say it."""
    order = {"user_id": "u1", "created_at": "2024-01-01", "total": 3}
    path = write(target, reject(order), reject(order, stream="refunds"))
    finished = replay(target)
    assert finished.exit_code == 3
    assert "1 records that name no stream: give it with --stream" in finished.stderr
    assert lines_of(path)[0]["record"] == order
    replay(target, "--stream", "orders", str(path)).checked()
    assert sent(target) == ["refunds", "orders"]


def test_posthog_events_need_no_stream(target: Target) -> None:
    """They name themselves."""
    event = {"event": "bought", "distinct_id": "u1", "timestamp": TIME}
    write(target, reject(event))
    replay(target, source_format="posthog").checked()
    assert sent(target) == ["bought"]


def test_a_failure_leaves_the_file_as_it_was(target: Target) -> None:
    """Running it again doubles nothing: what was accepted before has the same uuids."""
    path = write(target, *(reject(one) for one in rows(range(10))))
    before = path.read_bytes()
    target.capture.fail(Fault.SLOW, seconds=0)
    target.capture.fail(
        Fault.STATUS, status=200, body='{"status": "Ok", "quota_limited": ["events"]}'
    )
    finished = replay(target, max_batch_events=3)
    assert finished.exit_code == 1
    assert "quota is used up. Rejects files that were not done are as they were." in finished.stderr
    assert path.read_bytes() == before
    assert names_in(target) == [path.name]

    replay(target).checked()
    assert len(target.capture.events) > 10
    assert len(target.capture.held()) == 10
    assert names_in(target) == [f"{path.name}.replayed"]


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_replay_that_is_stopped_loses_nothing(target: Target, signum: signal.Signals) -> None:
    """While PostHog has taken a part and the file is not yet rewritten."""
    bad = row(50, event_type=LONG)
    path = write(target, reject(bad), *(reject(one) for one in rows(range(10))))
    before = path.read_bytes()
    target.capture.fail(Fault.SLOW, seconds=0)
    target.capture.fail(Fault.SLOW, seconds=30)
    with started(target, "target-posthog-replay", max_batch_events=3) as command:
        command.wait_for(lambda: len(target.capture.requests) >= 2)
        assert command.stop(signum).exit_code in {1, -signal.SIGKILL}
    assert path.read_bytes() == before

    finished = replay(target).checked()
    assert counts_in(finished.stderr)["exported"] == 11
    assert len(target.capture.held()) == 10
    assert [line["record"] for line in lines_of(path)] == [bad]
    assert names_in(target) == [path.name, f"{path.name}.replayed"]


def test_the_file_of_a_run_that_goes_on_is_left_alone(target: Target) -> None:
    """Its next lines would be written to a file that nobody looks at."""
    second = replace(target, folder=target.folder / "second")
    second.folder.mkdir()
    second.config["rejects_path"] = str(target.folder / "rejects")
    with started(target) as running:
        running.write(TWO_BAD_ROWS)
        running.wait_for(lambda: running.stdout)
        finished = replay(second)
        assert finished.exit_code == 3
        assert "is in use by another run" in finished.stderr
        running.finish().checked()
    assert len(names_in(target)) == 1
    assert sent(target) == ["viewed"]
    replay(second, **RENAME).checked()
    assert sent(target) == ["viewed", "short", "short"]


def test_the_objects_of_a_run_that_goes_on_are_left_alone(target: Target, ledger_url: str) -> None:
    """What a replay sent of an hour that is not over, the book would call rejected for ever."""
    bucket = target.folder / "bucket"
    target.config.update(ledger_url=ledger_url, rejects_path=f"local://{bucket}")
    with started(target) as running:
        running.write(TWO_BAD_ROWS)
        running.wait_for(lambda: running.stdout)
        (lines,) = [path.read_bytes() for path in bucket.iterdir()]
        finished = replay(target, **RENAME)
        assert finished.exit_code == 3
        assert "is in use by another run: left as it is." in finished.stderr
        running.finish().checked()
    assert sent(target) == ["viewed"]
    assert [path.read_bytes() for path in bucket.iterdir()] == [lines]
    replay(target, **RENAME).checked()
    assert sent(target) == ["viewed", "short", "short"]
    assert [path.suffix for path in bucket.iterdir()] == [".replayed"]


def test_of_two_replays_of_a_bucket_the_second_leaves_what_the_first_is_at(target: Target) -> None:
    """Else it would send the same, and put back what the first has taken away."""
    path = write(target, reject(row(1)), reject(row(2, event_type=LONG)))
    before = path.read_bytes()
    target.config["rejects_path"] = f"local://{path.parent}"
    target.capture.fail(Fault.SLOW, seconds=5)
    with started(target, "target-posthog-replay") as first:
        first.wait_for(lambda: target.capture.requests)
        second = replay(target)
        assert second.exit_code == 3
        assert "is in use by another run: left as it is." in second.stderr
        assert path.read_bytes() == before
        first.finish().checked()
    assert [line["code"] for line in lines_of(path)] == ["event_name_too_long"]
    assert sent(target) == ["viewed"]


def test_a_preview_sends_nothing_and_leaves_the_files(target: Target) -> None:
    """To see what a replay would do."""
    path = write(target, reject(row(1)), reject(row(2, event_type=LONG)))
    before = path.read_bytes()
    counts = counts_in(replay(target, preview_path="out").checked().stderr)
    assert (counts["accepted"], counts["rejected"]) == (1, 1)
    assert path.read_bytes() == before
    assert names_in(target) == [path.name]
    assert target.capture.requests == []
    assert len(list((target.folder / "out").glob("*.jsonl"))) == 1


def test_a_disk_that_is_full_leaves_the_file_as_it_was(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is rejected again must be written down before it leaves the old file."""
    path = write(target, reject(row(1)), reject(row(2, event_type=LONG)))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("target_posthog.rejects.writer.os.fsync", full)
    target.config["ledger_url"] = f"sqlite:///{target.folder}/target-posthog.db"
    plugin = ReplayTarget(config=target.config)
    with closing(plugin), pytest.raises(RunAgain, match=r"No space left on device"):
        Replay(plugin).run([str(path)])
    assert path.read_bytes() == before
    assert names_in(target) == [path.name]
    assert len(target.capture.events) == 1


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("no-such-file.jsonl", "no-such-file.jsonl cannot be used: No such file or directory"),
        ("no-such-folder/", "no-such-folder cannot be used: No such file or directory"),
        ("--code=bad_tim", "'bad_time'"),
    ],
)
def test_a_typing_mistake_does_not_look_like_a_clean_replay(
    target: Target, argument: str, words: str
) -> None:
    """It is a matter of configuration."""
    finished = replay(target, argument)
    assert finished.exit_code == 2
    assert words in finished.stderr


def test_without_rejects_there_is_nothing_to_do(target: Target) -> None:
    """A run without any does not even make the folder; what was sent is not sent again."""
    for _ in range(2):
        assert "There are no rejects; nothing to do." in replay(target).checked().stderr
        (target.folder / "rejects").mkdir(exist_ok=True)
    write(target, reject(row(1)))
    replay(target).checked()
    assert "There are no rejects; nothing to do." in replay(target).checked().stderr
    assert sent(target) == ["viewed"]


def test_files_and_folders_are_read_once_each(target: Target) -> None:
    """In the order of their names, and only rejects files."""
    first = write(target, reject(row(1)), name="a.jsonl")
    write(target, reject(row(2)), name="b.jsonl")
    write(target, reject(row(3)), name="c.jsonl.replayed")
    write(target, reject(row(4)), name="d.jsonl.part")
    replay(target, str(first), "rejects", "./rejects/b.jsonl").checked()
    assert target.uuids == [uuid_of(1), uuid_of(2)]


def test_rejects_of_a_preview_and_of_another_project_stay(target: Target) -> None:
    """They share the folder with the run's; who names a file has it sent all the same."""
    bad, good = ([schema(), record(row(number, event_type=LONG))] for number in (1, 2))
    target.run(bad, rejects_path="rejects", preview_path="preview").checked()
    with PosthogCapture(api_key="phc_scratch") as scratch:
        target.run(bad, api_key=scratch.api_key, host=scratch.url).checked()
    of_others = sorted((target.folder / "rejects").iterdir())
    target.run(good).checked()

    log = replay(target, **RENAME).checked().stderr
    assert target.uuids == [uuid_of(2)]
    assert "Rejects files of a preview or of another PostHog project: 2, left" in log
    assert set(of_others) < set((target.folder / "rejects").iterdir())
    replay(target, *map(str, of_others), **RENAME).checked()
    assert set(target.uuids) == {uuid_of(1), uuid_of(2)}


def test_settings_come_from_the_environment_too(target: Target) -> None:
    """As `meltano invoke target-posthog:replay` gives them."""
    write(target, reject(row(1, event_type=LONG)))
    variables = {
        f"TARGET_POSTHOG_{name.upper()}": str(value) for name, value in target.config.items()
    }
    variables["TARGET_POSTHOG_EVENT_NAMES"] = json.dumps(RENAME["event_names"])
    name, folder = "target-posthog-replay", target.folder
    with start(name, {}, folder, "--config=ENV", environment=variables) as command:
        command.finish().checked()
    assert sent(target) == ["short"]


def test_only_the_codes_that_are_named_are_sent(target: Target) -> None:
    """The others stay as they are, and so do lines that nobody can read."""
    others = [reject(row(2), "future_time"), "[]", refused(identity_event("alias", LINK, TIME))]
    path = write(target, reject(row(1)), *others, reject(row(3), "bad_object"))
    finished = replay(target, "--code", "bad_time", "--code=bad_object").checked()
    assert counts_in(finished.stderr)["exported"] == 2
    assert target.uuids == [uuid_of(1), uuid_of(3)]
    assert path.read_text().splitlines() == others
    assert "nothing to do" not in replay(target, "--code=bad_time").checked().stderr


def test_what_two_runs_rejected_goes_once(target: Target) -> None:
    """In whichever requests they are; a later version of it is another event."""
    later = row(1, event_properties={"later": True})
    write(target, reject(row(1)), reject(row(2)), name="target-posthog-1.jsonl")
    write(target, reject(row(2)), reject(row(1)), reject(later), name="target-posthog-2.jsonl")
    counts = counts_in(replay(target, max_batch_events=1).checked().stderr)
    assert (counts["accepted"], counts["skipped"], counts["superseded"]) == (2, 2, 1)
    assert target.uuids == [uuid_of(1), uuid_of(2), uuid_of(1)]
    assert names_in(target) == [f"target-posthog-{n}.jsonl.replayed" for n in (1, 2)]


MAPS: dict[str, Json] = {
    "events": {"user_id": "md5(user_id)", "event_time": "event_time.replace('?', '0')"}
}


def test_a_map_acts_on_a_reject_as_on_a_record(target: Target) -> None:
    """One that mends the cause, and one that was there before: no map acts twice."""
    bad = row(1, user_id="u1", device_id=None, event_time="2024-01-01 0?:00:00")
    bad |= dict.fromkeys(
        ("client_event_time", "server_received_time", "server_upload_time", "client_upload_time")
    )
    before = {"events": {"user_id": MAPS["events"]["user_id"]}}
    messages = [schema(), record(bad), record(row(2, user_id="u1", device_id=None))]
    target.run(messages, stream_maps=before).checked()
    (path,) = (target.folder / "rejects").iterdir()
    (line,) = lines_of(path)
    assert line["record"]["user_id"] == "u1"
    assert (line["stream"], line["mapped_to"], line["code"]) == ("events", "events", "bad_time")

    again = replay(target, stream_maps=before, max_reject_ratio=0.5)
    # All that it sent was rejected again, which is more than `max_reject_ratio` allows.
    assert again.exit_code == 3
    assert counts_in(again.stderr)["rejected"] == 1
    assert lines_of(path) == [line]
    replay(target, stream_maps=MAPS).checked()
    first, second = target.capture.events
    assert first["distinct_id"] == second["distinct_id"] != "u1"
    assert second["timestamp"].startswith("2024-01-01T00:00:00")


def test_a_map_that_came_after_the_run_acts_too(target: Target) -> None:
    """It is what the documents advise: shorten an id, correct a time."""
    long = row(1, user_id="u" * 300, device_id=None)
    target.run([schema(), record(long), record(row(2))]).checked()
    replay(target, stream_maps={"events": {"user_id": "user_id[:10]"}}).checked()
    sent_last = target.capture.events[-1]
    assert (sent_last["event"], sent_last["distinct_id"]) == ("viewed", "u" * 10)


def test_of_two_streams_out_of_one_only_the_rejected_goes_again(target: Target) -> None:
    """The record stands once for each that was rejected."""
    maps: dict[str, Json] = {
        "orders": {"name": "'order'"},
        "sales": {"__source__": "orders", "name": "'sale'", "at": "at.replace('?', '')"},
    }
    streams = {name: {"event": "name", "distinct_id": "who", "timestamp": "at"} for name in maps}
    target.config.update(source_format="fields", streams=streams, stream_maps=maps)
    order = {"id": "1", "who": "u1", "at": "2024-01-01?", "name": "n"}
    fields = {name: {"type": "string"} for name in order}
    target.run([schema("orders", key="id", **fields), record(order, "orders")]).checked()
    assert sent(target) == ["sale"]
    maps["orders"]["at"] = "at[:10]"
    replay(target).checked()
    assert sent(target) == ["sale", "order"]


def test_a_map_that_leaves_a_stream_out_leaves_its_rejects_out(target: Target) -> None:
    """As a run leaves its records out: counted as skipped, and gone from the file."""
    write(target, reject(row(1)))
    finished = replay(target, stream_maps={"events": None}).checked()
    assert counts_in(finished.stderr)["skipped"] == 1
    assert sent(target) == []
    assert names_in(target) == ["target-posthog-1.jsonl.replayed"]


@pytest.mark.parametrize("maps", [{}, {"stream_maps": {"*": {"user_id": "md5(user_id)"}}}])
def test_a_flattened_stream_is_flattened_once(target: Target, maps: Json) -> None:
    """A rejected row becomes what its neighbour became, by the tap's own schema."""
    target.config.update(flattening_enabled=True, flattening_max_depth=2, **maps)
    shared: Json = {"user_id": "u1", "device_id": None, "amplitude_id": 7}
    shared["event_properties"] = {"a": {"b": [1]}}
    properties = json.loads(SCHEMA_OF_EVENTS.read_text())["properties"]
    sent_rows = [row(1, **shared), row(2, **shared, event_type=LONG)]
    target.run([schema(**properties), *records(sent_rows)]).checked()
    replay(target, **RENAME).checked()
    usual, replayed = (event["properties"] for event in target.capture.events)
    differ = {name for name in usual.keys() | replayed if usual.get(name) != replayed.get(name)}
    assert differ <= {"$amplitude_event_type", "server_upload_time"}
