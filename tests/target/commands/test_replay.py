"""Rejected records go again, the target's own way; what is accepted leaves the rejects."""

from __future__ import annotations

import errno
import json
import os
import signal
from contextlib import closing
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
from tests.support.singer import counts_in, record, records, schema
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Finished
    from tests.support.singer import Json

TIME = "2024-01-01T00:00:00.000000Z"
LONG = "n" * 201
RENAME = {"event_names": [{"from": LONG, "to": "short"}]}
LINK = Link("u1", "d1")
SCHEMA_OF_EVENTS = ROOT / "tap-amplitude/tap_amplitude/schemas/events.json"


def replay(config: Json, folder: Path, *arguments: str) -> Finished:
    """Run the command."""
    finished = run_here(config, (), folder, *arguments, program="target-posthog-replay")
    assert "Traceback" not in finished.stderr, finished.stderr
    assert finished.stdout == ""
    return finished


def reject(content: Json, code: str = "bad_time", stage: str = "convert", **more: Any) -> str:
    """Return a line of a rejects file."""
    return json.dumps({"code": code, "stage": stage, "reason": "…", "record": content, **more})


def refused(event: Json, **more: Any) -> str:
    """Return the line of an event that PostHog refused."""
    return reject(event, "refused_by_posthog", "send", **more)


def write(folder: Path, *lines: str, name: str = "target-posthog-1.jsonl") -> Path:
    """Write a rejects file."""
    path = folder / "rejects" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def lines_of(path: Path) -> list[Json]:
    """Return the lines of a rejects file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def names_in(folder: Path) -> list[str]:
    """Return the names of the files in the folder of the rejects."""
    return sorted(path.name for path in (folder / "rejects").iterdir())


def sent(capture: PosthogCapture) -> list[str]:
    """Return the names of the events that PostHog stored, in order, repeats included."""
    return [event["event"] for event in capture.events]


def test_what_a_setting_mends_is_sent_and_leaves_the_rejects(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """A whole round: a run rejects, the user sets `event_names`, and the replay sends."""
    messages = [schema(), *records(rows([1, 2], event_type=LONG)), record(row(3))]
    assert counts_in(run_here(config, messages, tmp_path).checked().stderr)["rejected"] == 2
    (path,) = (tmp_path / "rejects").iterdir()
    before = path.read_bytes()

    finished = replay(config | RENAME, tmp_path).checked()
    assert counts_in(finished.stderr) | {"links": 0} == {
        "exported": 2,
        "accepted": 2,
        "superseded": 0,
        "skipped": 0,
        "rejected": 0,
        "links": 0,
    }
    assert sent(capture) == ["viewed", "short", "short"]
    assert [event["uuid"] for event in capture.events][1:] == [uuid_of(1), uuid_of(2)]
    assert names_in(tmp_path) == [f"{path.name}.replayed"]
    assert (path.parent / f"{path.name}.replayed").read_bytes() == before


def test_a_second_replay_has_nothing_to_do(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """What was sent is not sent again."""
    write(tmp_path, reject(row(1)))
    replay(config, tmp_path).checked()
    again = replay(config, tmp_path).checked()
    assert "There are no rejects" in again.stderr
    assert sent(capture) == ["viewed"]


def test_what_is_rejected_again_stays_with_its_new_reason(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """And only that; the file as it was is kept once, however often it is replayed."""
    bad = row(2, event_type=LONG)
    path = write(tmp_path, reject(row(1)), reject(bad), reject(row(3)))
    whole = path.read_bytes()
    for _ in range(2):
        finished = replay(config, tmp_path).checked()
        (left,) = lines_of(path)
        assert (left["code"], left["record"]) == ("event_name_too_long", bad)
    assert counts_in(finished.stderr)["rejected"] == 1
    assert names_in(tmp_path) == [path.name, f"{path.name}.replayed"]
    assert path.with_name(f"{path.name}.replayed").read_bytes() == whole
    assert sent(capture) == ["viewed", "viewed"]

    replay(config | RENAME, tmp_path).checked()
    assert names_in(tmp_path) == [f"{path.name}.replayed", f"{path.name}.replayed-2"]


def test_a_record_shows_its_link_as_in_a_run(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """The replay is the target: the ledger knows the device afterwards."""
    write(tmp_path, reject(row(1, user_id="u1", device_id="d1")))
    assert counts_in(replay(config, tmp_path).checked().stderr)["links"] == 1
    assert sent(capture) == ["viewed", "$create_alias"]
    messages = [schema(), record(row(2, user_id="u1", device_id="d1"))]
    assert counts_in(run_here(config, messages, tmp_path).checked().stderr)["links"] == 0


@pytest.mark.parametrize("kind", ["alias", "identify"])
@pytest.mark.parametrize("more", [{}, {"added": {"link": ["u1", "d1"]}}])
def test_a_refused_link_is_told_and_remembered(
    tmp_path: Path, config: Json, capture: PosthogCapture, kind: Any, more: Json
) -> None:
    """The ledger knows afterwards that it was taken; lines of older files do not say what it is."""
    event = identity_event(kind, LINK, TIME)
    write(tmp_path, refused(event, **more), refused(event, **more))
    counts = counts_in(replay(config, tmp_path).checked().stderr)
    assert (counts["accepted"], counts["skipped"]) == (1, 1)
    assert [one["uuid"] for one in capture.events] == [event["uuid"]]
    assert owners(tmp_path, "d1") == {"d1": Owner("u1", accepted=True)}


def test_a_link_that_would_join_two_users_is_left_out(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """The device is somebody else's by now."""
    messages = [schema(), record(row(1, user_id="u2", device_id="d1"))]
    run_here(config, messages, tmp_path).checked()
    write(tmp_path, refused(identity_event("alias", LINK, TIME)))
    counts = counts_in(replay(config, tmp_path).checked().stderr)
    assert (counts["accepted"], counts["skipped"]) == (0, 1)
    assert sent(capture).count("$create_alias") == 1
    assert owners(tmp_path, "d1")["d1"].user_id == "u2"


def test_a_refused_link_that_a_record_of_the_same_file_tells_goes_once(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """The same uuid twice would be refused by v1."""
    shown = row(1, user_id="u1", device_id="d1")
    write(tmp_path, refused(identity_event("alias", LINK, TIME)), reject(shown))
    counts = counts_in(replay(config, tmp_path).checked().stderr)
    assert (counts["links"], counts["accepted"], counts["skipped"]) == (1, 1, 1)
    assert sent(capture).count("$create_alias") == 1


@pytest.mark.parametrize("more", [{}, {"added": {"group": ["org", "acme"]}}])
def test_a_refused_group_is_told_unless_posthog_knows_another_state(
    tmp_path: Path, config: Json, capture: PosthogCapture, more: Json
) -> None:
    """An older state must not write over a newer one."""
    told = group_event(GroupState("org", "acme", {"plan": "a"}), "u1", TIME)
    older = group_event(GroupState("org", "acme", {"plan": "old"}), "u1", TIME)
    write(tmp_path, refused(told, **more))
    assert counts_in(replay(config, tmp_path).checked().stderr)["accepted"] == 1
    write(tmp_path, refused(older, **more))
    assert counts_in(replay(config, tmp_path).checked().stderr)["skipped"] == 1
    assert [event["properties"]["$group_set"] for event in capture.events] == [{"plan": "a"}]


def test_an_added_event_that_is_refused_again_stays(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """And the ledger does not take it for told."""
    path = write(tmp_path, refused(identity_event("alias", LINK, TIME)))
    capture.fail(Fault.STATUS, status=400, body="no")
    assert counts_in(replay(config, tmp_path).checked().stderr)["rejected"] == 1
    (left,) = lines_of(path)
    assert left["record"]["event"] == "$create_alias"
    assert left["added"] == {"link": ["u1", "d1"]}
    assert not owners(tmp_path, "d1")["d1"].accepted


def test_lines_that_cannot_be_sent_are_named_and_stay(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """Cut off by a crash, or edited; nothing of them is shown, and the others are sent."""
    broken = [
        '{"code": "bad_time", "stage": "conv',
        "[]",
        '{"code": 1, "record": {"a": "hushhush"}}',
    ]
    path = write(tmp_path, reject(row(1)), *broken, reject(row(2)))
    finished = replay(config, tmp_path)
    assert finished.exit_code == 3
    for number in (2, 3, 4):
        assert f"Line {number} of {path}" in finished.stderr
    assert "hushhush" not in finished.stderr
    assert path.read_text().splitlines() == broken
    assert sent(capture) == ["viewed", "viewed"]


def test_lines_of_the_tap_are_reported_and_stay_as_they_are(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """They are no records, so there is nothing to send."""
    line = {"code": "bad_line", "stage": "read", "reason": "…", "record": "{not json"}
    path = write(tmp_path, json.dumps(line), name="tap-amplitude-1.jsonl")
    finished = replay(config, tmp_path).checked()
    assert f"{path} holds 1 lines that are not records" in finished.stderr
    assert lines_of(path) == [line]
    assert names_in(tmp_path) == [path.name]
    assert capture.requests == []


def test_the_stream_of_other_records_is_asked_for(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """It is their event's name, so it is never guessed; a line may say it."""
    order = {"user_id": "u1", "created_at": "2024-01-01", "total": 3}
    path = write(tmp_path, reject(order), reject(order, stream="refunds"))
    finished = replay(config, tmp_path)
    assert finished.exit_code == 3
    assert "1 records that name no stream: give it with --stream" in finished.stderr
    assert lines_of(path)[0]["record"] == order
    replay(config, tmp_path, "--stream", "orders", str(path)).checked()
    assert sent(capture) == ["refunds", "orders"]


def test_posthog_events_need_no_stream(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """They name themselves."""
    event = {"event": "bought", "distinct_id": "u1", "timestamp": TIME}
    write(tmp_path, reject(event))
    replay(config | {"source_format": "posthog"}, tmp_path).checked()
    assert sent(capture) == ["bought"]


def test_a_failure_leaves_the_file_as_it_was(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """Running it again doubles nothing: what was accepted before has the same uuids."""
    path = write(tmp_path, *(reject(one) for one in rows(range(10))))
    before = path.read_bytes()
    capture.fail(Fault.SLOW, seconds=0)
    capture.fail(Fault.STATUS, status=200, body='{"status": "Ok", "quota_limited": ["events"]}')
    finished = replay(config | {"max_batch_events": 3}, tmp_path)
    assert finished.exit_code == 1
    assert "quota is used up. Rejects files that were not done are as they were." in finished.stderr
    assert path.read_bytes() == before
    assert names_in(tmp_path) == [path.name]

    replay(config, tmp_path).checked()
    assert len(capture.events) > 10
    assert len(capture.held()) == 10
    assert names_in(tmp_path) == [f"{path.name}.replayed"]


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_replay_that_is_stopped_loses_nothing(
    tmp_path: Path, config: Json, capture: PosthogCapture, signum: signal.Signals
) -> None:
    """While PostHog has taken a part and the file is not yet rewritten."""
    bad = row(50, event_type=LONG)
    path = write(tmp_path, reject(bad), *(reject(one) for one in rows(range(10))))
    before = path.read_bytes()
    capture.fail(Fault.SLOW, seconds=0)
    capture.fail(Fault.SLOW, seconds=30)
    small = config | {"max_batch_events": 3}
    with start("target-posthog-replay", small, tmp_path) as command:
        command.wait_for(lambda: len(capture.requests) >= 2)
        assert command.stop(signum).exit_code in {1, -signal.SIGKILL}
    assert path.read_bytes() == before

    finished = replay(config, tmp_path).checked()
    assert counts_in(finished.stderr)["exported"] == 11
    assert len(capture.held()) == 10
    assert [line["record"] for line in lines_of(path)] == [bad]
    assert names_in(tmp_path) == [path.name, f"{path.name}.replayed"]


def test_the_file_of_a_run_that_goes_on_is_left_alone(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """Its next lines would be written to a file that nobody looks at."""
    with start("target-posthog", config, tmp_path) as target:
        target.write([schema(), *records(rows([1, 2], event_type=LONG)), record(row(3))])
        target.write([{"type": "STATE", "value": {"at": 1}}])
        target.wait_for(lambda: target.stdout)
        folder = tmp_path / "second"
        folder.mkdir()
        rejects = str(tmp_path / "rejects")
        finished = replay(config | {"rejects_path": rejects}, folder)
        assert finished.exit_code == 3
        assert "is in use by another run" in finished.stderr
        target.finish().checked()
    assert len(names_in(tmp_path)) == 1
    assert sent(capture) == ["viewed"]
    replay(config | {"rejects_path": rejects} | RENAME, folder).checked()
    assert sent(capture) == ["viewed", "short", "short"]


def test_the_objects_of_a_run_that_goes_on_are_left_alone(
    tmp_path: Path, config: Json, capture: PosthogCapture, ledger_url: str
) -> None:
    """What a replay sent of an hour that is not over, the book would call rejected for ever."""
    bucket = tmp_path / "bucket"
    own = config | {"ledger_url": ledger_url, "rejects_path": f"local://{bucket}"}
    with start("target-posthog", own, tmp_path) as target:
        target.write([schema(), *records(rows([1, 2], event_type=LONG)), record(row(3))])
        target.write([{"type": "STATE", "value": {"at": 1}}])
        target.wait_for(lambda: target.stdout)
        (lines,) = [path.read_bytes() for path in bucket.iterdir()]
        finished = replay(own | RENAME, tmp_path)
        assert finished.exit_code == 3
        assert "is in use by another run: left as it is." in finished.stderr
        target.finish().checked()
    assert sent(capture) == ["viewed"]
    assert [path.read_bytes() for path in bucket.iterdir()] == [lines]
    replay(own | RENAME, tmp_path).checked()
    assert sent(capture) == ["viewed", "short", "short"]
    assert [path.suffix for path in bucket.iterdir()] == [".replayed"]


def test_of_two_replays_of_a_bucket_the_second_leaves_what_the_first_is_at(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """Else it would send the same, and put back what the first has taken away."""
    path = write(tmp_path, reject(row(1)), reject(row(2, event_type=LONG)))
    before = path.read_bytes()
    own = config | {"rejects_path": f"local://{path.parent}"}
    capture.fail(Fault.SLOW, seconds=5)
    with start("target-posthog-replay", own, tmp_path) as first:
        first.wait_for(lambda: capture.requests)
        second = replay(own, tmp_path)
        assert second.exit_code == 3
        assert "is in use by another run: left as it is." in second.stderr
        assert path.read_bytes() == before
        first.finish().checked()
    assert [line["code"] for line in lines_of(path)] == ["event_name_too_long"]
    assert sent(capture) == ["viewed"]


def test_a_preview_sends_nothing_and_leaves_the_files(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """To see what a replay would do."""
    path = write(tmp_path, reject(row(1)), reject(row(2, event_type=LONG)))
    before = path.read_bytes()
    counts = counts_in(replay(config | {"preview_path": "out"}, tmp_path).checked().stderr)
    assert (counts["accepted"], counts["rejected"]) == (1, 1)
    assert path.read_bytes() == before
    assert names_in(tmp_path) == [path.name]
    assert capture.requests == []
    assert len(list((tmp_path / "out").glob("*.jsonl"))) == 1


def test_a_disk_that_is_full_leaves_the_file_as_it_was(
    tmp_path: Path, config: Json, capture: PosthogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is rejected again must be written down before it leaves the old file."""
    path = write(tmp_path, reject(row(1)), reject(row(2, event_type=LONG)))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("target_posthog.rejects.writer.os.fsync", full)
    target = ReplayTarget(
        config={**config, "ledger_url": f"sqlite:///{tmp_path}/target-posthog.db"}
    )
    with closing(target), pytest.raises(RunAgain, match=r"No space left on device"):
        Replay(target).run([str(path)])
    assert path.read_bytes() == before
    assert names_in(tmp_path) == [path.name]
    assert len(capture.events) == 1


@pytest.mark.parametrize("what", ["no-such-file.jsonl", "no-such-folder/"])
def test_a_path_that_is_not_there_is_a_matter_of_configuration(
    tmp_path: Path, config: Json, what: str
) -> None:
    """A typing mistake must not look like a clean replay."""
    finished = replay(config, tmp_path, what)
    assert finished.exit_code == 2
    assert "cannot be used: No such file or directory" in finished.stderr
    assert what.rstrip("/") in finished.stderr


def test_an_empty_folder_is_nothing_to_do(tmp_path: Path, config: Json) -> None:
    """The best case; a run without rejects does not even make the folder."""
    assert "There are no rejects; nothing to do." in replay(config, tmp_path).checked().stderr
    (tmp_path / "rejects").mkdir()
    assert "There are no rejects; nothing to do." in replay(config, tmp_path).checked().stderr


def test_files_and_folders_are_read_once_each(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """In the order of their names, and only rejects files."""
    first = write(tmp_path, reject(row(1)), name="a.jsonl")
    write(tmp_path, reject(row(2)), name="b.jsonl")
    write(tmp_path, reject(row(3)), name="c.jsonl.replayed")
    write(tmp_path, reject(row(4)), name="d.jsonl.part")
    replay(config, tmp_path, str(first), "rejects", "./rejects/b.jsonl").checked()
    assert [event["uuid"] for event in capture.events] == [uuid_of(1), uuid_of(2)]


def test_rejects_of_a_preview_and_of_another_project_stay(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """They share the folder with the run's; who names a file has it sent all the same."""
    bad, good = row(1, event_type=LONG), row(2, event_type=LONG)
    given = config | {"rejects_path": "rejects", "max_reject_ratio": 1}
    run_here(given | {"preview_path": "preview"}, [schema(), record(bad)], tmp_path).checked()
    with PosthogCapture(api_key="phc_scratch") as scratch:
        trial = given | {"api_key": scratch.api_key, "host": scratch.url}
        run_here(trial, [schema(), record(bad)], tmp_path).checked()
    of_others = sorted((tmp_path / "rejects").iterdir())
    run_here(given, [schema(), record(good)], tmp_path).checked()

    log = replay(config | RENAME, tmp_path).checked().stderr
    assert [event["uuid"] for event in capture.events] == [uuid_of(2)]
    assert "Rejects files of a preview or of another PostHog project: 2, left" in log
    assert set(of_others) < set((tmp_path / "rejects").iterdir())
    replay(config | RENAME, tmp_path, *map(str, of_others)).checked()
    assert {event["uuid"] for event in capture.events} == {uuid_of(1), uuid_of(2)}


def test_settings_come_from_the_environment_too(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """As `meltano invoke target-posthog:replay` gives them."""
    write(tmp_path, reject(row(1, event_type=LONG)))
    variables = {f"TARGET_POSTHOG_{name.upper()}": str(value) for name, value in config.items()}
    variables["TARGET_POSTHOG_EVENT_NAMES"] = json.dumps(RENAME["event_names"])
    command = start("target-posthog-replay", {}, tmp_path, "--config=ENV", environment=variables)
    with command:
        command.finish().checked()
    assert sent(capture) == ["short"]


def owners(folder: Path, *devices: str) -> dict[str, Owner]:
    """Return what the ledger of the runs knows."""
    ledger = Ledger(f"sqlite:///{folder}/target-posthog.db", "phc_test")
    try:
        return ledger.owners(devices)
    finally:
        ledger.close()


def test_only_the_codes_that_are_named_are_sent(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """The others stay as they are, and so do lines that nobody can read."""
    others = [reject(row(2), "future_time"), "[]", refused(identity_event("alias", LINK, TIME))]
    path = write(tmp_path, reject(row(1)), *others, reject(row(3), "bad_object"))
    codes = ["--code", "bad_time", "--code=bad_object"]
    counts = counts_in(replay(config, tmp_path, *codes).checked().stderr)
    assert counts["exported"] == 2
    assert [event["uuid"] for event in capture.events] == [uuid_of(1), uuid_of(3)]
    assert path.read_text().splitlines() == others
    assert "nothing to do" not in replay(config, tmp_path, "--code=bad_time").checked().stderr


def test_a_code_that_does_not_exist_is_refused(tmp_path: Path, config: Json) -> None:
    """With the codes that there are."""
    finished = replay(config, tmp_path, "--code=bad_tim")
    assert finished.exit_code == 2
    assert "'bad_time'" in finished.stderr


def test_what_two_runs_rejected_goes_once(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """In whichever requests they are; a later version of it is another event."""
    later = row(1, event_properties={"later": True})
    write(tmp_path, reject(row(1)), reject(row(2)), name="target-posthog-1.jsonl")
    write(tmp_path, reject(row(2)), reject(row(1)), reject(later), name="target-posthog-2.jsonl")
    counts = counts_in(replay(config | {"max_batch_events": 1}, tmp_path).checked().stderr)
    assert (counts["accepted"], counts["skipped"], counts["superseded"]) == (2, 2, 1)
    assert [event["uuid"] for event in capture.events] == [uuid_of(1), uuid_of(2), uuid_of(1)]
    assert names_in(tmp_path) == [f"target-posthog-{n}.jsonl.replayed" for n in (1, 2)]


MAPS: dict[str, Json] = {
    "events": {"user_id": "md5(user_id)", "event_time": "event_time.replace('?', '0')"}
}


def test_a_map_acts_on_a_reject_as_on_a_record(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """One that mends the cause, and one that was there before: no map acts twice."""
    bad = row(1, user_id="u1", device_id=None, event_time="2024-01-01 0?:00:00")
    times = dict.fromkeys(
        ("client_event_time", "server_received_time", "server_upload_time", "client_upload_time")
    )
    bad |= times
    before = {"events": {"user_id": MAPS["events"]["user_id"]}}
    messages = [schema(), record(bad), record(row(2, user_id="u1", device_id=None))]
    given = config | {"max_reject_ratio": 1}
    run_here(given | {"stream_maps": before}, messages, tmp_path).checked()
    (path,) = (tmp_path / "rejects").iterdir()
    (line,) = lines_of(path)
    assert line["record"]["user_id"] == "u1"
    assert (line["stream"], line["mapped_to"], line["code"]) == ("events", "events", "bad_time")

    again = replay(config | {"stream_maps": before, "max_reject_ratio": 0.5}, tmp_path)
    # All that it sent was rejected again, which is more than `max_reject_ratio` allows.
    assert again.exit_code == 3
    assert counts_in(again.stderr)["rejected"] == 1
    assert lines_of(path) == [line]
    replay(config | {"stream_maps": MAPS}, tmp_path).checked()
    first, second = capture.events
    assert first["distinct_id"] == second["distinct_id"] != "u1"
    assert second["timestamp"].startswith("2024-01-01T00:00:00")


def test_a_map_that_came_after_the_run_acts_too(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """It is what the documents advise: shorten an id, correct a time."""
    long = row(1, user_id="u" * 300, device_id=None)
    messages = [schema(), record(long), record(row(2))]
    run_here(config, messages, tmp_path).checked()
    maps = {"events": {"user_id": "user_id[:10]"}}
    replay(config | {"stream_maps": maps}, tmp_path).checked()
    assert capture.events[-1]["distinct_id"] == "u" * 10
    assert capture.events[-1]["event"] == "viewed"


def test_of_two_streams_out_of_one_only_the_rejected_goes_again(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """The record stands once for each that was rejected."""
    maps: dict[str, Json] = {
        "orders": {"name": "'order'"},
        "sales": {"__source__": "orders", "name": "'sale'", "at": "at.replace('?', '')"},
    }
    streams = {name: {"event": "name", "distinct_id": "who", "timestamp": "at"} for name in maps}
    mapped = config | {
        "source_format": "fields",
        "max_reject_ratio": 1,
        "streams": streams,
        "stream_maps": maps,
    }
    fields = {name: {"type": "string"} for name in ("id", "who", "at", "name")}
    order = {"id": "1", "who": "u1", "at": "2024-01-01?", "name": "n"}
    messages = [
        {
            "type": "SCHEMA",
            "stream": "orders",
            "schema": {"properties": fields},
            "key_properties": ["id"],
        },
        {"type": "RECORD", "stream": "orders", "record": order},
    ]
    run_here(mapped, messages, tmp_path).checked()
    assert sent(capture) == ["sale"]
    mended = {**maps, "orders": {**maps["orders"], "at": "at[:10]"}}
    replay(mapped | {"stream_maps": mended}, tmp_path).checked()
    assert sent(capture) == ["sale", "order"]


def test_a_map_that_leaves_a_stream_out_leaves_its_rejects_out(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """As a run leaves its records out: counted as skipped, and gone from the file."""
    write(tmp_path, reject(row(1)))
    finished = replay(config | {"stream_maps": {"events": None}}, tmp_path).checked()
    assert counts_in(finished.stderr)["skipped"] == 1
    assert sent(capture) == []
    assert names_in(tmp_path) == ["target-posthog-1.jsonl.replayed"]


@pytest.mark.parametrize("maps", [{}, {"stream_maps": {"*": {"user_id": "md5(user_id)"}}}])
def test_a_flattened_stream_is_flattened_once(
    tmp_path: Path, config: Json, capture: PosthogCapture, maps: Json
) -> None:
    """A rejected row becomes what its neighbour became, by the tap's own schema."""
    flat = config | {"flattening_enabled": True, "flattening_max_depth": 2} | maps
    shared: Json = {"user_id": "u1", "device_id": None, "amplitude_id": 7}
    shared["event_properties"] = {"a": {"b": [1]}}
    properties = json.loads(SCHEMA_OF_EVENTS.read_text())["properties"]
    messages = [
        {"type": "SCHEMA", "stream": "events", "schema": {"properties": properties}}
        | {"key_properties": ["uuid"]},
        record(row(1, **shared)),
        record(row(2, **shared, event_type=LONG)),
    ]
    run_here(flat, messages, tmp_path).checked()
    replay(flat | RENAME, tmp_path).checked()
    usual, replayed = (event["properties"] for event in capture.events)
    differ = {name for name in usual.keys() | replayed if usual.get(name) != replayed.get(name)}
    assert differ <= {"$amplitude_event_type", "server_upload_time"}
