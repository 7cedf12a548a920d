"""Files of BATCH messages, by the real process over real HTTP: as good as records."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.errors import BrokenInput
from target_posthog.input import batch_files
from target_posthog.json_codec import dumps
from tests.fakes.posthog_capture import Fault
from tests.support.histories import held_events, identities, keys_of, people
from tests.support.processes import NEAR_SERVER, run_target, start
from tests.support.rows import row, rows
from tests.support.singer import counts_in, records, schema, state
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json

GZIP = {"format": "jsonl", "compression": "gzip"}
#: Where no other process is needed.
ALONE = {"workers": 1}
RUN_FOLDER = "tap-amplitude-20240101T000000-0123abcd"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as tap-amplitude makes it for the files of a run."""
    made = tmp_path / "batches" / RUN_FOLDER
    made.mkdir(parents=True)
    return made


def lines_of(contents: Iterable[Json]) -> bytes:
    """Return records as JSON lines."""
    return b"".join(dumps(one) + b"\n" for one in contents)


def batch(paths: Sequence[Path], encoding: Json = GZIP) -> Json:
    """Return a BATCH message."""
    manifest = [path.as_uri() for path in paths]
    return {"type": "BATCH", "stream": "events", "encoding": encoding, "manifest": manifest}


def put(folder: Path, name: str, contents: Iterable[Json]) -> Path:
    """Write a file of records, as Amplitude packs them."""
    path = folder / f"{name}.json.gz"
    path.write_bytes(gzip.compress(lines_of(contents)))
    return path


def hours(folder: Path, sent: Sequence[Json], *, files: int, each: int) -> list[Json]:
    """Return a tap's messages: hours of so many files with so many rows each, and their states."""
    messages = [schema()]
    for hour, start_at in enumerate(range(0, len(sent), files * each)):
        paths = [
            put(folder, f"{hour}-{n}", sent[start_at + n * each : start_at + (n + 1) * each])
            for n in range(files)
        ]
        messages += [batch(paths), state({"at": hour + 1})]
    return messages


def test_files_are_delivered_as_records_are(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture
) -> None:
    """Every row once, every device with its user, the last state out, and no file left."""
    sent = people(3000)
    run = run_target(config | {"workers": 3}, hours(folder, sent, files=3, each=100), tmp_path)

    assert run.exit_code == 0, run.stderr
    assert held_events(capture) == keys_of(sent)
    assert len(identities(capture)) == 10
    counts = counts_in(run.stderr)
    assert counts["exported"] == counts["accepted"] == 3000
    assert counts["links"] == 10
    assert run.stdout.splitlines()[-1] == '{"at": 10}'
    assert not folder.exists()


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
def test_files_and_records_become_the_same_events(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture, protocol: str
) -> None:
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
    own = config | {"protocol": protocol}
    first = run_target(own, [schema(), *records(sent), state({"at": 1})], tmp_path).checked()
    by_record = events_of(capture)
    capture.events.clear()
    (tmp_path / "target-posthog.db").unlink()

    messages = [schema(), batch([put(folder, "a", sent)]), state({"at": 1})]
    second = run_target(own | {"workers": 2}, messages, tmp_path).checked()
    assert events_of(capture) == by_record
    assert counts_in(first.stderr) == counts_in(second.stderr)
    rejects = [
        [line["code"] for line in map(json.loads, path.read_text().splitlines())]
        for path in (tmp_path / "rejects").iterdir()
    ]
    assert rejects == [["no_distinct_id", "bad_time", "bad_object"]] * 2


def test_lines_that_are_no_records_go_to_the_rejects(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture
) -> None:
    """The others of the file are delivered, and the counts add up; blank lines are nothing."""
    path = folder / "a.json.gz"
    lines = [dumps(row(1)), b"", b"{", b"[1]", b"\xff", dumps(row(2))]
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    run = run_here(config | ALONE, [schema(), batch([path]), state({"at": 1})], tmp_path).checked()

    assert held_events(capture) == keys_of(rows([1, 2]))
    assert counts_in(run.stderr)["rejected"] == 3
    (rejects,) = (tmp_path / "rejects").iterdir()
    kept = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [one["record"] for one in kept] == ["{", "1", "\\xff"]
    assert {(one["code"], one["stage"]) for one in kept} == {("bad_line", "read")}
    assert "a.json.gz, line 3: not JSON" in kept[0]["reason"]
    assert run.stdout == '{"at": 1}\n'


@pytest.mark.parametrize(
    ("other", "is_replay_named"), [(row(1), False), (row(1, user_properties="{'a'"), True)]
)
def test_lines_that_are_no_records_are_never_said_to_be_sendable(
    tmp_path: Path, folder: Path, config: Json, other: Json, *, is_replay_named: bool
) -> None:
    """The replay is named for rejected records alone, and for lines the files they came from."""
    path = folder / "a.json.gz"
    path.write_bytes(gzip.compress(dumps(other) + b"\n{\n[1]"))
    run = run_here(config | ALONE | {"max_reject_ratio": 0.1}, [schema(), batch([path])], tmp_path)

    assert run.exit_code == 3, run.stderr
    assert ("send the records with `target-posthog-replay`" in run.stderr) == is_replay_named
    assert ("2 of them are lines" in run.stderr) == is_replay_named
    assert "have the tap read th" in run.stderr


def test_hours_go_out_in_their_order(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture
) -> None:
    """No event of an hour arrives before the last of the hour before it, with many workers."""
    sent = rows(range(4000), event_properties={"filling": "x" * 2000})
    messages = hours(folder, sent, files=4, each=250)
    own = config | {"workers": 4, "max_batch_events": 100}
    run = run_target(own, messages, tmp_path, environment=NEAR_SERVER)

    assert run.exit_code == 0, run.stderr
    arrived = [event["timestamp"] for event in capture.events]
    seconds = [int(one[11:13]) * 3600 + int(one[14:16]) * 60 + int(one[17:19]) for one in arrived]
    of_hour = [second // 1000 for second in seconds]
    assert len(arrived) == 4000
    assert of_hour == sorted(of_hour)


def test_a_device_belongs_to_the_user_of_the_earlier_hour(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture
) -> None:
    """Whichever worker is faster: what a later hour shows waits until the earlier one is read."""
    shared = [
        row(number, user_id=f"user-{number // 500}", device_id="shared") for number in range(2000)
    ]
    run = run_target(config | {"workers": 4}, hours(folder, shared, files=1, each=500), tmp_path)

    assert run.exit_code == 0, run.stderr
    (link,) = identities(capture)
    assert link["distinct_id"] == "user-0"
    assert counts_in(run.stderr)["shared"] == 3


def test_no_state_is_written_before_the_files_before_it_are_delivered(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture
) -> None:
    """The state of an hour waits for its files, and not for those of the next."""
    capture.fail(Fault.SLOW, seconds=0.5)
    with start("target-posthog", config | {"workers": 2}, tmp_path) as target:
        target.write(hours(folder, people(100), files=1, each=100))
        target.wait_for(lambda: capture.requests)
        assert target.stdout == ""
        # The input is open and silent: nothing more has to come.
        target.wait_for(lambda: target.stdout)
        assert target.stdout == '{"at": 1}\n'
        assert target.finish().exit_code == 0


@pytest.mark.parametrize("killed", ["target", "worker"])
@pytest.mark.parametrize("after", [1, 9])
def test_a_killed_run_and_its_repeat_hold_exactly_the_source(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture, killed: str, after: int
) -> None:
    """From the last state on; no worker lives on, and what the tap hands over anew is taken."""
    sent = people(3000)
    own = config | {"workers": 2, "max_batch_events": 50}
    with start("target-posthog", own, tmp_path) as target:
        target.write(hours(folder, sent, files=2, each=150))
        target.wait_for(lambda: len(capture.requests) >= after)
        workers = children_of(target.process.pid)
        os.kill(target.process.pid if killed == "target" else workers[0], signal.SIGKILL)
        ended = target.finish()
    assert ended.exit_code == (1 if killed == "worker" else -signal.SIGKILL)
    if killed == "worker":
        assert "A worker process ended before its work was done (signal 9)." in ended.stderr
    states = [json.loads(line) for line in ended.stdout.splitlines()]
    done = states[-1]["at"] if states else 0
    again = [{**one, "value": {"at": one["value"]["at"] + done}} if one["type"] == "STATE" else one
             for one in hours(folder, sent[done * 300 :], files=2, each=150)]  # fmt: skip
    before = [state({"at": done})] if done else []
    run = run_target(own, [*before, *again], tmp_path).checked()

    assert run.stdout.splitlines()[-1] == '{"at": 10}'
    assert held_events(capture) == keys_of(sent)
    assert len(identities(capture)) == 10
    assert not any(map(is_alive, workers))


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not asked for its end does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("content", "told", "code"),
    [
        (b"no gzip at all", "is cut off or damaged", 1),
        (b"", "is cut off or damaged", 1),
        (gzip.compress(lines_of(rows(range(200))))[:-20], "is cut off or damaged", 1),
        (None, "is gone before it was read", 1),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_run(
    tmp_path: Path, folder: Path, config: Json, content: bytes | None, told: str, code: int
) -> None:
    """It is named, and the state stays before it."""
    path = folder / "a.json.gz"
    if content is not None:
        path.write_bytes(content)
    run = run_here(config | ALONE, [schema(), batch([path]), state({"at": 1})], tmp_path)

    assert run.exit_code == code
    assert f"The batch file a.json.gz {told}" in run.stderr
    assert run.stdout == ""
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("announced", [{"compression": "none"}, {}])
@pytest.mark.parametrize("through_sdk", [False, True])
def test_a_gzip_file_is_read_as_one_whatever_its_tap_says(
    tmp_path: Path,
    folder: Path,
    config: Json,
    capture: PosthogCapture,
    through_sdk: bool,  # noqa: FBT001
    announced: Json,
) -> None:
    """The SDK's writer compresses without a look at `compression`; checksums count here, too."""
    sent = people(20)
    good, bad = put(folder, "a", sent), put(folder, "b", people(40)[20:])
    bad.write_bytes(bad.read_bytes()[:-8] + bytes(8))
    encoding = {"format": "jsonl", **announced}
    messages = [schema(), batch([good], encoding), state({"at": 1}), batch([bad], encoding)]
    run = run_here(config | ALONE | {"add_record_metadata": through_sdk}, messages, tmp_path)

    assert run.exit_code == 1
    assert "The batch file b.json.gz is cut off or damaged." in run.stderr
    assert run.stdout == '{"at": 1}\n'
    assert held_events(capture) == keys_of(sent)


@pytest.mark.parametrize("through_sdk", [False, True])
def test_nothing_is_sent_of_a_file_whose_checksum_is_wrong(
    tmp_path: Path,
    folder: Path,
    config: Json,
    capture: PosthogCapture,
    through_sdk: bool,  # noqa: FBT001
) -> None:
    """Not one event, however many come before the damage; the hours before are in the state."""
    good, bad = put(folder, "a", people(10)), put(folder, "b", people(3000)[1000:])
    content = bytearray(bad.read_bytes())
    content[-8] ^= 1  # the checksum itself
    bad.write_bytes(content)
    messages = [schema(), batch([good]), state({"at": 1}), batch([bad]), state({"at": 2})]
    run = run_here(config | ALONE | {"add_record_metadata": through_sdk}, messages, tmp_path)

    assert run.exit_code == 1
    assert "The batch file b.json.gz is cut off or damaged." in run.stderr
    assert held_events(capture) == keys_of(people(10))
    assert run.stdout == '{"at": 1}\n'


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


@pytest.mark.parametrize(
    ("text", "told", "code"),
    [
        (b"\n", "unpacks to far more than an export does", 1),
        (b" ", None, 0),
        (b"\0", None, 0),
    ],
    ids=["line ends beyond the ratio", "blanks", "NULs"],
)
def test_a_bomb_ends_soon_and_takes_no_memory(
    tmp_path: Path, folder: Path, config: Json, text: bytes, told: str | None, code: int
) -> None:
    """A few kilobytes that unpack to hundreds of megabytes stop the run, or are nothing."""
    path = folder / "a.json.gz"
    # A part is packed once: packing takes longer than what is tested.
    path.write_bytes(gzip.compress(text * 10_000_000, 9) * (30 if code else 3))
    run = run_here(config | ALONE, [schema(), batch([path]), state({"at": 1})], tmp_path)
    assert run.exit_code == code, run.stderr
    assert told is None or f"The batch file a.json.gz {told}" in run.stderr


def test_a_long_line_is_kept_by_its_beginning(tmp_path: Path, folder: Path, config: Json) -> None:
    """The reject says how long it is and where it stands; what follows is read."""
    path = folder / "a.json.gz"
    path.write_bytes(gzip.compress(b"x" * 5_000_000 + b"\n" + dumps(row(1))))
    messages = [schema(), batch([path]), state({"at": 1})]
    run = run_here(config | ALONE | {"max_reject_ratio": 1}, messages, tmp_path).checked()

    assert counts_in(run.stderr)["accepted"] == counts_in(run.stderr)["rejected"] == 1
    (rejects,) = (tmp_path / "rejects").iterdir()
    kept = json.loads(rejects.read_text())
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
        ("file://{folder}/gone.json.gz", "is gone before it was read", 1),
        ("http://127.0.0.1:1/a.json.gz", "lie at http://, which the target cannot read", 2),
        ("HTTPS://example.com/a.json.gz", "lie at HTTPS://, which the target cannot read", 2),
        ("nowhere://a/b.json.gz", "lie at nowhere://, which the target cannot read", 2),
    ],
)
def test_an_address_that_is_none_is_refused_in_words(
    tmp_path: Path, folder: Path, config: Json, address: Any, told: str, code: int
) -> None:
    """By whose mistake it is; never by a traceback."""
    if isinstance(address, str):
        address = address.replace("{folder}", str(folder))
    message = {"type": "BATCH", "stream": "events", "encoding": GZIP, "manifest": [address]}
    run = run_here(config | ALONE, [schema(), message, state({"at": 1})], tmp_path)
    assert run.exit_code == code, run.stderr
    assert told in run.stderr
    assert "Traceback" not in run.stderr
    assert "bug" not in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"encoding": {"format": "parquet"}, "manifest": []}, "The tap's batch files are parquet"),
        ({"encoding": None, "manifest": []}, "a BATCH message that is not valid"),
        ({"encoding": GZIP, "manifest": "a"}, "a BATCH message that is not valid"),
    ],
)
def test_a_message_that_cannot_be_understood_stops_the_run(
    tmp_path: Path, config: Json, message: Json, told: str
) -> None:
    """In words, and with what to do."""
    broken = {"type": "BATCH", "stream": "events", **message}
    run = run_here(config | ALONE, [schema(), broken, state({"at": 1})], tmp_path)
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
def test_what_changes_records_works_on_files_too(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture, setting: dict[str, Any]
) -> None:
    """The SDK's way is taken by itself, with the same result as for records."""
    sent = people(300)
    shape: Json = {"uuid": {"type": "string"}, "event_properties": {"type": ["object", "null"]}}
    head = schema(**shape)
    run_here(config | setting, [head, *records(sent), state({"at": 1})], tmp_path).checked()
    by_record, previews = events_of(capture), previews_in(tmp_path)
    capture.events.clear()
    for path in tmp_path.glob("*.db"):
        path.unlink()
    run = run_here(
        config | ALONE | setting,
        [head, batch([put(folder, "a", sent)]), state({"at": 1})],
        tmp_path,
    ).checked()

    assert counts_in(run.stderr)["accepted"] == 300
    assert events_of(capture) == by_record
    # Those of the run before lie in a folder of their own by now.
    assert previews_in(tmp_path) == previews
    assert not folder.exists()


def previews_in(folder: Path) -> list[bytes]:
    """Return the bodies of the last preview."""
    return [
        line
        for path in sorted((folder / "preview").glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


def test_plain_files_of_other_taps_are_read(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """Other taps of the SDK write where they like; what lies there is not ours to remove."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path = folder / "a.json"
    path.write_bytes(lines_of(rows(range(10))))
    plain = {"format": "jsonl", "compression": "none"}
    messages = [schema(), batch([path], plain), state({"at": 1})]
    run_here(config | ALONE, messages, tmp_path).checked()
    assert held_events(capture) == keys_of(rows(range(10)))
    assert list(folder.iterdir()) == [path]

    run_here(config | ALONE | {"remove_batch_files": True}, messages, tmp_path).checked()
    assert list(folder.iterdir()) == []


def test_rejects_of_all_workers_count_against_the_limit(
    tmp_path: Path, folder: Path, config: Json
) -> None:
    """A wrong mapping fills no disk, however many workers there are."""
    bad = [row(number, event_time="never", server_upload_time=None) for number in range(12_000)]
    messages = hours(folder, bad, files=4, each=3000)
    run = run_target(config | {"workers": 4, "max_reject_ratio": 0.1}, messages, tmp_path)
    assert run.exit_code == 3
    assert "(0.1) allows" in run.stderr
