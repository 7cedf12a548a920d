"""Files of BATCH messages, by the real process over real HTTP: as good as records."""

from __future__ import annotations

import gzip
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.errors import BrokenInput
from target_posthog.input import batch_files
from target_posthog.json_codec import dumps
from tests.fakes.posthog_capture import Fault
from tests.support.batch_messages import GZIP, batch, hours, lines_of, put
from tests.support.histories import held_events, identities, keys_of, people
from tests.support.processes import NEAR_SERVER, is_alive
from tests.support.rows import row, rows
from tests.support.singer import counts_in, records, schema, state
from tests.support.target import run_apart, started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Finished
    from tests.support.singer import Json
    from tests.support.target import Target


def run_file(target: Target, content: bytes, **settings: Any) -> Finished:
    """Run over the file `a.json.gz` and a state behind it."""
    path = target.batches / "a.json.gz"
    path.write_bytes(content)
    return target.run([schema(), batch([path]), state({"at": 1})], **settings)


def test_files_are_delivered_as_records_are(target: Target) -> None:
    """Every row once, every device with its user, the last state out, and no file left."""
    sent = people(3000)
    run = run_apart(target, hours(target.batches, sent, files=3, each=100), workers=3).checked()

    assert held_events(target.capture) == keys_of(sent)
    assert len(identities(target.capture)) == 10
    counts = counts_in(run.stderr)
    assert counts["exported"] == counts["accepted"] == 3000
    assert counts["links"] == 10
    assert run.stdout.splitlines()[-1] == '{"at": 10}'
    assert list((target.folder / "batches").iterdir()) == []


def events_of(capture: PosthogCapture) -> list[str]:
    """Return every event that PostHog took, whole, as text, in order; without the SDK's times."""
    return [
        json.dumps(
            event
            | {"properties": {k: v for k, v in event["properties"].items() if k[:5] != "_sdc_"}},
            sort_keys=True,
        )
        for event in capture.events
    ]


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_files_and_records_become_the_same_events(target: Target, protocol: str) -> None:
    """Byte for byte, whatever is in them: links, groups, odd numbers, broken characters."""
    sent = people(500)
    sent += [
        row(600, groups={"org": ["acme"]}, group_properties={"org": {"acme": {"seats": 5}}}),
        row(601, event_properties={"big": 2**70, "tiny": 1e-300, "text": "\u2028 é 😀"}),
        row(602, user_id=None, device_id=None, amplitude_id=None),
        row(603, event_time="never", server_upload_time=None),
        row(604, event_time="2038-01-19 03:14:07", server_upload_time="2024-01-01 00:10:04"),
        row(605, event_properties='{"page": "/"}', amplitude_id=5.0, app="445566"),
        row(606, event_properties="{'page': None}"),
        {name.upper(): value for name, value in row(607).items()},
    ]
    target.config["protocol"] = protocol
    first = run_apart(target, [schema(), *records(sent), state({"at": 1})]).checked()
    by_record = events_of(target.capture)
    target.begin_anew()

    messages = [schema(), batch([put(target.batches, "a", sent)]), state({"at": 1})]
    second = run_apart(target, messages, workers=2).checked()
    assert events_of(target.capture) == by_record
    assert counts_in(first.stderr) == counts_in(second.stderr)
    codes = [line["code"] for line in target.rejects]
    assert codes == ["no_distinct_id", "bad_time", "bad_object"] * 2


def test_lines_that_are_no_records_go_to_the_rejects(target: Target) -> None:
    """The others of the file are delivered, and the counts add up; blank lines are nothing."""
    lines = [dumps(row(1)), b"", b"{", b"[1]", b"\xff", dumps(row(2))]
    run = run_file(target, gzip.compress(b"\n".join(lines))).checked()

    assert held_events(target.capture) == keys_of(rows([1, 2]))
    assert counts_in(run.stderr)["rejected"] == 3
    kept = target.rejects
    assert [one["record"] for one in kept] == ["{", "1", "\\xff"]
    assert {(one["code"], one["stage"]) for one in kept} == {("bad_line", "read")}
    assert "a.json.gz, line 3: not JSON" in kept[0]["reason"]
    assert run.stdout == '{"at": 1}\n'


@pytest.mark.parametrize(
    ("other", "is_replay_named"), [(row(1), False), (row(1, user_properties="{'a'"), True)]
)
def test_lines_that_are_no_records_are_never_said_to_be_sendable(
    target: Target, other: Json, *, is_replay_named: bool
) -> None:
    """The replay is named for rejected records alone, and for lines the files they came from."""
    run = run_file(target, gzip.compress(dumps(other) + b"\n{\n[1]"), max_reject_ratio=0.1)
    assert run.exit_code == 3, run.stderr
    assert ("send the records with `target-posthog-replay`" in run.stderr) == is_replay_named
    assert ("2 of them are lines" in run.stderr) == is_replay_named
    assert "have the tap read th" in run.stderr


def test_hours_go_out_in_their_order(target: Target) -> None:
    """No event of an hour arrives before the last of the hour before it, with many workers."""
    sent = rows(range(4000), event_properties={"filling": "x" * 2000})
    messages = hours(target.batches, sent, files=4, each=250)
    run_apart(target, messages, NEAR_SERVER, workers=4, max_batch_events=100).checked()

    arrived = [event["timestamp"] for event in target.capture.events]
    seconds = [int(one[11:13]) * 3600 + int(one[14:16]) * 60 + int(one[17:19]) for one in arrived]
    of_hour = [second // 1000 for second in seconds]
    assert len(arrived) == 4000
    assert of_hour == sorted(of_hour)


def test_a_device_belongs_to_the_user_of_the_earlier_hour(target: Target) -> None:
    """Whichever worker is faster: what a later hour shows waits until the earlier one is read."""
    shared = [
        row(number, user_id=f"user-{number // 500}", device_id="shared") for number in range(2000)
    ]
    messages = hours(target.batches, shared, files=1, each=500)
    run = run_apart(target, messages, workers=4).checked()

    (link,) = identities(target.capture)
    assert link["distinct_id"] == "user-0"
    assert counts_in(run.stderr)["shared"] == 3


def test_no_state_is_written_before_the_files_before_it_are_delivered(target: Target) -> None:
    """The state of an hour waits for its files, and not for those of the next."""
    target.capture.fail(Fault.SLOW, seconds=0.5)
    with started(target, workers=2) as running:
        running.write(hours(target.batches, people(100), files=1, each=100))
        running.wait_for(lambda: target.capture.requests)
        assert running.stdout == ""
        # The input is open and silent: nothing more has to come.
        running.wait_for(lambda: running.stdout)
        assert running.stdout == '{"at": 1}\n'
        assert running.finish().exit_code == 0


@pytest.mark.parametrize("killed", ["target", "worker"])
@pytest.mark.parametrize("after", [1, 9])
def test_a_killed_run_and_its_repeat_hold_exactly_the_source(
    target: Target, killed: str, after: int
) -> None:
    """From the last state on; no worker lives on, and what the tap hands over anew is taken."""
    sent = people(3000)
    target.config.update(workers=2, max_batch_events=50)
    with started(target) as running:
        running.write(hours(target.batches, sent, files=2, each=150))
        running.wait_for(lambda: len(target.capture.requests) >= after)
        workers = running.children
        os.kill(running.process.pid if killed == "target" else workers[0], signal.SIGKILL)
        ended = running.finish()
    assert ended.exit_code == (1 if killed == "worker" else -signal.SIGKILL)
    if killed == "worker":
        assert "A worker process ended before its work was done (signal 9)." in ended.stderr
    done = ended.messages[-1]["at"] if ended.messages else 0
    again = [{**one, "value": {"at": one["value"]["at"] + done}} if one["type"] == "STATE" else one
             for one in hours(target.batches, sent[done * 300 :], files=2, each=150)]  # fmt: skip
    before = [state({"at": done})] if done else []
    run = run_apart(target, [*before, *again]).checked()

    assert run.messages[-1] == {"at": 10}
    assert held_events(target.capture) == keys_of(sent)
    assert len(identities(target.capture)) == 10
    assert not any(map(is_alive, workers))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no gzip at all", "is cut off or damaged"),
        (b"", "is cut off or damaged"),
        (gzip.compress(lines_of(rows(range(200))))[:-20], "is cut off or damaged"),
        # A part is packed once: packing takes longer than what is tested.
        (gzip.compress(b"\n" * 10_000_000) * 30, "unpacks to far more than an export does"),
    ],
    ids=["no gzip", "empty", "cut off", "line ends beyond the ratio"],
)
def test_a_file_that_cannot_be_read_stops_the_run(
    target: Target, content: bytes, told: str
) -> None:
    """It is named, and the state stays before it."""
    run = run_file(target, content)
    assert (run.exit_code, run.stdout) == (1, "")
    assert f"The batch file a.json.gz {told}" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("text", [b" ", b"\0"], ids=["blanks", "NULs"])
def test_a_bomb_of_nothing_ends_soon_and_takes_no_memory(target: Target, text: bytes) -> None:
    """A line without a record may be of any length."""
    run_file(target, gzip.compress(text * 10_000_000) * 3).checked()


@pytest.mark.parametrize("announced", [{"compression": "gzip"}, {"compression": "none"}, {}])
@pytest.mark.parametrize("through_sdk", [False, True])
def test_nothing_is_sent_of_a_gzip_file_whose_checksum_is_wrong_whatever_its_tap_says(
    target: Target, announced: Json, *, through_sdk: bool
) -> None:
    """Not one event, however many come before the damage; the hours before are in the state.

    The SDK's writer compresses without a look at `compression`.
    """
    good, bad = put(target.batches, "a", people(10)), put(target.batches, "b", people(3000)[1000:])
    content = bytearray(bad.read_bytes())
    content[-8] ^= 1  # the checksum itself
    bad.write_bytes(content)
    files = [batch([path], {"format": "jsonl", **announced}) for path in (good, bad)]
    messages = [schema(), files[0], state({"at": 1}), files[1], state({"at": 2})]
    run = target.run(messages, add_record_metadata=through_sdk)

    assert (run.exit_code, run.stdout) == (1, '{"at": 1}\n')
    assert "The batch file b.json.gz is cut off or damaged." in run.stderr
    assert held_events(target.capture) == keys_of(people(10))


@pytest.mark.parametrize("in_memory", [10, 1_000_000])
def test_a_file_is_seen_to_its_end_before_its_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    """From the memory, or unpacked twice when it does not fit: the same lines, or none."""
    monkeypatch.setattr(batch_files, "_IN_MEMORY_BYTES", in_memory)
    monkeypatch.setattr(batch_files, "_BLOCK_BYTES", 64)
    path = put(tmp_path, "a", rows(range(50)))
    file = batch_files.BatchFile(str(path), is_gzip=True)
    whole = [line for _, lines in file.blocks() for line in lines]
    assert whole == lines_of(rows(range(50))).splitlines(keepends=True)

    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BrokenInput):
        next(iter(file.blocks()))


def test_a_long_line_is_kept_by_its_beginning(target: Target) -> None:
    """The reject says how long it is and where it stands; what follows is read."""
    run = run_file(target, gzip.compress(b"x" * 5_000_000 + b"\n" + dumps(row(1)))).checked()
    assert counts_in(run.stderr)["accepted"] == counts_in(run.stderr)["rejected"] == 1
    (kept,) = target.rejects
    assert kept["record"] == "x" * 1024 * 1024
    assert "a.json.gz, line 1: not JSON" in kept["reason"]
    assert "5,000,000 bytes" in kept["reason"]


@pytest.mark.parametrize(
    ("address", "told", "code"),
    [
        (7, "is not the address of a file", 1),
        (None, "is not the address of a file", 1),
        ({"path": "a"}, "is not the address of a file", 1),
        (["a"], "is not the address of a file", 1),
        ("  ", "is not the address of a file", 1),
        ("a\0b", "is not the address of a file", 1),
        ("{folder}", "is not a file but a folder or a device", 1),
        ("/dev/zero", "is not a file but a folder or a device", 1),
        ("file://{folder}/../secret.json", "holds an address with `..` in it", 1),
        ("file://{folder}/%2e%2e/secret.json", "holds an address with `..` in it", 1),
        ("file://{folder}/gone.json.gz", "file gone.json.gz is gone before it was delivered", 1),
        ("http://127.0.0.1:1/a.json.gz", "lie at http://, which the target cannot read", 2),
        ("HTTPS://example.com/a.json.gz", "lie at HTTPS://, which the target cannot read", 2),
        ("nowhere://a/b.json.gz", "lie at nowhere://, which the target cannot read", 2),
        ("zip://a::{folder}/b.zip", "lie at zip://, which the target cannot read", 2),
        ("reference://a.json", "lie at reference://, which the target cannot read", 2),
    ],
)
def test_an_address_that_is_none_is_refused_in_words(
    target: Target, address: Any, told: str, code: int
) -> None:
    """By whose mistake it is; never by a traceback."""
    if isinstance(address, str):
        address = address.replace("{folder}", str(target.batches))
    message = {"type": "BATCH", "stream": "events", "encoding": GZIP, "manifest": [address]}
    run = target.run([schema(), message, state({"at": 1})])
    assert (run.exit_code, run.stdout) == (code, ""), run.stderr
    assert told in run.stderr
    assert "Traceback" not in run.stderr
    assert "bug" not in run.stderr


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"encoding": {"format": "parquet"}, "manifest": []}, "The tap's batch files are parquet"),
        ({"encoding": None, "manifest": []}, "a BATCH message that is not valid"),
        ({"encoding": GZIP, "manifest": "a"}, "a BATCH message that is not valid"),
    ],
)
def test_a_message_that_cannot_be_understood_stops_the_run(
    target: Target, message: Json, told: str
) -> None:
    """In words, and with what to do."""
    broken = {"type": "BATCH", "stream": "events", **message}
    run = target.run([schema(), broken, state({"at": 1})])
    assert run.exit_code in {1, 2}
    assert told in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize(
    "setting",
    [
        {"stream_maps": {"events": {"plan": "'gold'"}}},
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"add_record_metadata": True},
        {"preview_path": "preview"},
    ],
    ids=["stream maps", "flattening", "metadata", "preview"],
)
def test_what_changes_records_works_on_files_too(target: Target, setting: dict[str, Any]) -> None:
    """The SDK's way is taken by itself, with the same result as for records."""
    sent = people(300)
    shape: Json = {"uuid": {"type": "string"}, "event_properties": {"type": ["object", "null"]}}
    head = schema(**shape)
    target.config.update(setting)
    target.run([head, *records(sent), state({"at": 1})]).checked()
    by_record, previews = events_of(target.capture), previews_in(target.folder)
    target.begin_anew()
    messages = [head, batch([put(target.batches, "a", sent)]), state({"at": 1})]
    run = target.run(messages).checked()

    assert counts_in(run.stderr)["accepted"] == 300
    assert events_of(target.capture) == by_record
    # Those of the run before lie in a folder of their own by now.
    assert previews_in(target.folder) == previews
    assert list((target.folder / "batches").iterdir()) == []


def previews_in(folder: Path) -> list[bytes]:
    """Return the bodies of the last preview."""
    return [
        line
        for path in sorted((folder / "preview").glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


def test_plain_files_of_other_taps_are_read(target: Target) -> None:
    """Other taps of the SDK write where they like; what lies there is not ours to remove."""
    folder = target.folder / "elsewhere"
    folder.mkdir()
    path = folder / "a.json"
    path.write_bytes(lines_of(rows(range(10))))
    plain = {"format": "jsonl", "compression": "none"}
    messages = [schema(), batch([path], plain), state({"at": 1})]
    target.run(messages).checked()
    assert held_events(target.capture) == keys_of(rows(range(10)))
    assert list(folder.iterdir()) == [path]

    target.run(messages, remove_batch_files=True).checked()
    assert list(folder.iterdir()) == []


def test_rejects_of_all_workers_count_against_the_limit(target: Target) -> None:
    """A wrong mapping fills no disk, however many workers there are."""
    bad = [row(number, event_time="never", server_upload_time=None) for number in range(12_000)]
    messages = hours(target.batches, bad, files=4, each=3000)
    run = run_apart(target, messages, workers=4, max_reject_ratio=0.1)
    assert run.exit_code == 3
    assert "(0.1) allows" in run.stderr
