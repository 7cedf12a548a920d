"""BATCH gives the very sequence of RECORD, by the real processes over real HTTP."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.processes import NEAR_SERVER, run_target, start
from tests.support.rows import row, rows
from tests.support.singer import counts_in, record, schema, state
from tests.support.unusual_files import Part, Writer, text_of
from tests.target.input.test_batch_messages import RUN_FOLDER, batch, put

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Finished
    from tests.support.singer import Json

SETTINGS: Json = {"skip_events": ["left out"], "max_reject_ratio": 1}
HEAD = schema(event_type={"type": "string"}, amplitude_id={"type": "integer"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as tap-amplitude makes it for the files of a run."""
    made = tmp_path / "batches" / RUN_FOLDER
    made.mkdir(parents=True)
    return made


def written_hours(
    folder: Path, writer: Writer, *, hours: int, files: int, parts: int
) -> tuple[list[list[Part]], list[Json]]:
    """Write files; return what is in them, and a tap's messages, a state after each hour."""
    contents: list[list[Part]] = []
    messages: list[Json] = [HEAD]
    for hour in range(hours):
        paths = []
        for number in range(files):
            contents.append(writer.file(parts))
            paths.append(folder / f"{hour}-{number}.json.gz")
            text = text_of(contents[-1], ends=number % 2 == 0)
            paths[-1].write_bytes(gzip.compress(text))
        messages += [batch(paths), state({"at": hour + 1})]
    return contents, messages


def as_records(contents: Sequence[Sequence[Part]], files: int) -> list[Json]:
    """Return the same as RECORD messages, where lines that are no records cannot stand."""
    messages: list[Json] = [HEAD]
    for number, parts in enumerate(contents, 1):
        messages += [record(one) for part in parts for one in part.records]
        if number % files == 0:
            messages.append(state({"at": number // files}))
    return messages


def sequence_of(capture: PosthogCapture) -> list[str]:
    """Return every event that PostHog took, whole, as text, in its order."""
    return [json.dumps(event, sort_keys=True) for event in capture.events]


def start_anew(capture: PosthogCapture, folder: Path) -> None:
    """Forget what came before, here and at PostHog."""
    capture.events.clear()
    capture.requests.clear()
    (folder / "target-posthog.db").unlink()


def rejects_in(folder: Path) -> list[tuple[str, Any]]:
    """Return the codes and records in the rejects of the last run, and forget them."""
    (path,) = (folder / "rejects").iterdir()
    found = [(one["code"], one["record"]) for one in map(json.loads, path.read_text().splitlines())]
    path.unlink()
    return found


def fates_of(ended: Finished) -> Json:
    """Return the counts of a run without those of lines that are no records."""
    counts = counts_in(ended.stderr)
    return {name: counts[name] for name in ("accepted", "superseded", "skipped", "links", "groups")}


@pytest.mark.parametrize(("workers", "protocol"), [(1, "v1"), (2, "batch"), (4, "v1")])
def test_files_come_in_the_sequence_of_their_records(
    tmp_path: Path,
    folder: Path,
    config: Json,
    capture: PosthogCapture,
    protocol: str,
    workers: int,
) -> None:
    """Events, links, group updates and rejects, whatever lines they stand in, block after block."""
    # Files of several blocks, which several workers have at the same time.
    writer = Writer(random.Random(workers), filling=4_000, devices_of_user=None)
    contents, messages = written_hours(folder, writer, hours=2, files=3, parts=200)
    own = config | SETTINGS | {"protocol": protocol, "workers": workers, "max_batch_events": 50}
    by_files = run_target(own, messages, tmp_path, environment=NEAR_SERVER).checked()
    files, rejects = sequence_of(capture), rejects_in(tmp_path)
    assert capture.most_under_way == 1
    start_anew(capture, tmp_path)
    records = as_records(contents, 3)
    by_records = run_target(own, records, tmp_path, environment=NEAR_SERVER).checked()

    assert files == sequence_of(capture)
    assert fates_of(by_files) == fates_of(by_records)
    of_files = [one for one in rejects if one[0] != "bad_line"]
    assert of_files == rejects_in(tmp_path)
    lines = [bad for parts in contents for part in parts for bad in part.bad]
    assert [one for code, one in rejects if code == "bad_line"] == lines
    assert len(rejects) - len(of_files) == len(lines) > 10
    assert len(of_files) > 50
    assert by_files.messages[-1] == by_records.messages[-1] == {"at": 2}
    assert not folder.exists()


@pytest.mark.parametrize(("workers", "protocol"), [(2, "v1"), (4, "batch")])
def test_over_many_lanes_each_person_has_the_sequence_of_the_records(
    tmp_path: Path,
    folder: Path,
    config: Json,
    capture: PosthogCapture,
    protocol: str,
    workers: int,
) -> None:
    """Also around a request that is lost or halved; each group has its own. Nothing is doubled."""
    writer = Writer(random.Random(10 + workers))
    contents, messages = written_hours(folder, writer, hours=3, files=3, parts=60)
    own = config | SETTINGS | {"protocol": protocol, "workers": workers, "max_batch_events": 20}
    records = as_records(contents, 3)
    by_records = run_target(own, records, tmp_path, environment=NEAR_SERVER).checked()
    wanted, stored = by_id(capture.events), len(capture.events)
    assert capture.most_under_way == 1
    start_anew(capture, tmp_path)
    capture.fail(Fault.SLOW, times=40, seconds=0.06)
    for status in (503, 413):
        capture.fail(Fault.STATUS, status=status)
        capture.fail(Fault.SLOW, times=5, seconds=0.06)
    capture.fail(Fault.LOSE_ANSWER)
    capture.fail(Fault.SLOW, times=10_000, seconds=0.06)
    by_files = run_target(own, messages, tmp_path).checked()

    assert capture.most_under_way > 1
    assert by_id(capture.events) == wanted
    # Those of the request whose answer is lost come again.
    assert len(capture.events) <= stored + own["max_batch_events"]
    assert fates_of(by_files) == fates_of(by_records)


def by_id(events: Iterable[Json]) -> dict[str, list[str]]:
    """Return what came of each person, device and group, in order; of repeats the first.

    No device here is used by two people.
    """
    found: dict[str, list[str]] = defaultdict(list)
    seen = set()
    for event in events:
        if event["uuid"] in seen:
            continue
        seen.add(event["uuid"])
        properties, text = event["properties"], json.dumps(event, sort_keys=True)
        if event["event"] == "$groupidentify":
            ids = {f"group {properties['$group_key']}"}
        else:
            ids = {event["distinct_id"], properties.get("$device_id") or properties["alias"]}
        for one in ids:
            found[one].append(text)
    return found


def test_rejects_at_the_time_of_sending_hold_the_very_record(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture
) -> None:
    """By its line in its block, or as it was cut out of an unusual line: to be sent again."""
    # Small enough as JSON, and too large once PostHog has escaped it for Kafka.
    large = {"text": '"' * 300_000}
    sent = rows(range(400), event_properties={"filling": "y" * 2000})
    bad = [3, 150, 151, 250, 398, 399]
    for number in bad:
        sent[number]["event_properties"] = {**large, "number": number}
    texts = [json.dumps(one).encode() for one in sent]
    lines = [text + b"\n" for text in texts[:150]]
    lines += [b"[" + b", ".join(texts[150:152]) + b"]\r\n", b"\n \n"]
    lines += [text + b"\n" for text in texts[152:250]]
    lines += [b"".join(texts[250:252]) + b"\n", *(text + b"\n" for text in texts[252:399])]
    lines += [b"\xef\xbb\xbf" + texts[399]]
    path = folder / "a.json.gz"
    path.write_bytes(gzip.compress(b"".join(lines)))
    own = config | {"workers": 2}
    run = run_target(own, [HEAD, batch([path]), state({"at": 1})], tmp_path).checked()

    counts = counts_in(run.stderr)
    assert (counts["accepted"], counts["rejected"]) == (394, 6)
    rejects = rejects_in(tmp_path)
    assert rejects == [("refused_by_posthog", sent[number]) for number in bad]
    good = [one["uuid"] for number, one in enumerate(sent) if number not in bad]
    assert [event["uuid"] for event in capture.events] == good


@pytest.mark.parametrize("damage", ["cut off", "gone", "a bad line", "another coding"])
def test_a_bad_file_stops_behind_what_came_before_it(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture, damage: str
) -> None:
    """The hours before are delivered, in the state and gone from the disk; it stays, to be seen."""
    parts = [rows(range(300 * n, 300 * n + 300)) for n in range(6)]
    paths = [put(folder, f"{n}", part) for n, part in enumerate(parts)]
    own = config | {"workers": 2, "max_batch_events": 70}
    messages: list[Json] = [HEAD]
    for hour in range(3):
        message = batch(paths[2 * hour : 2 * hour + 2])
        messages += [message | {"on_bad_line": "fail"}, state({"at": hour + 1})]
    bad = paths[3]
    if damage == "cut off":
        bad.write_bytes(bad.read_bytes()[:-9])
    elif damage == "a bad line":
        lines = gzip.decompress(bad.read_bytes()).splitlines(keepends=True)
        bad.write_bytes(gzip.compress(b"".join([*lines[:100], b"nothing\n", *lines[100:]])))
    elif damage == "another coding":
        text = gzip.decompress(bad.read_bytes()).decode()
        bad.write_bytes(gzip.compress(text.encode("utf-16")))
    if damage == "gone":
        bad.unlink()
    run = run_target(own, messages, tmp_path, environment=NEAR_SERVER)

    assert run.exit_code == 1, run.stderr
    assert "The batch file 3.json.gz" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.messages[-1] == {"at": 1}
    came = [event["uuid"] for event in capture.events]
    whole = [one["uuid"] for part in parts for one in part]
    # All that came before, in order; when the message itself is at fault, nothing of it.
    known = {"cut off": 900, "gone": 600, "a bad line": 1000, "another coding": 900}
    assert came == whole[: known[damage]]
    left = {path.name for path in folder.iterdir()}
    assert {"3.json.gz", "4.json.gz", "5.json.gz"} - {bad.name if damage == "gone" else ""} <= left
    assert not left & {"0.json.gz", "1.json.gz"}


def test_a_run_that_goes_on_behind_a_bad_file_has_everything_once(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture
) -> None:
    """The tap hands over anew what is not in the state."""
    parts = [[row(100 * n + one, device_id=f"d{one % 5}") for one in range(100)] for n in range(4)]
    paths = [put(folder, f"{n}", part) for n, part in enumerate(parts)]
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[:-9])
    own = config | {"workers": 2}
    messages = [HEAD]
    for number, path in enumerate(paths):
        messages += [batch([path]), state({"at": number + 1})]
    first = run_target(own, messages, tmp_path)
    assert first.exit_code == 1
    assert first.messages[-1] == {"at": 2}

    paths[2].write_bytes(whole)
    again = [state({"at": 2}), HEAD, *messages[5:]]
    run_target(own, again, tmp_path).checked()
    of_rows = [event["uuid"] for event in capture.events if event["event"] == "viewed"]
    assert of_rows == [one["uuid"] for part in parts for one in part]


@pytest.mark.parametrize("ends", ["a state behind them", "nothing behind them"])
@pytest.mark.parametrize("content", [b"\n" * 9_000_000, b" \n" * 1_000_000])
def test_files_without_records_end_as_others_do(
    tmp_path: Path, folder: Path, config: Json, content: bytes, ends: str
) -> None:
    """Nothing is under way then whose end would wake the target."""
    path = folder / "a.json.gz"
    # So large that the input ends before it is read.
    path.write_bytes(gzip.compress(content))
    messages = [HEAD, batch([path])]
    if ends == "a state behind them":
        messages.append(state({"at": 1}))
    with start("target-posthog", config | {"workers": 2}, tmp_path) as target:
        target.write(messages)
        assert target.process.stdin is not None
        target.process.stdin.close()
        assert target.process.wait(30) == 0, target.stderr
    assert not folder.exists()


@pytest.mark.parametrize("behind", ["nothing", "records"])
def test_files_without_a_state_behind_them_are_not_waited_for_in_vain(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture, behind: str
) -> None:
    """Once all is taken there may be neither a request under way nor a state: none to wait for."""
    sent = rows(range(20))
    messages = [HEAD, batch([put(folder, "a", sent[:10])])]
    if behind == "records":
        messages += map(record, sent[10:])
    began = time.monotonic()
    run_target(config | {"workers": 2}, messages, tmp_path).checked()
    assert time.monotonic() - began < 30
    order = [event["uuid"] for event in capture.events]
    assert order == [one["uuid"] for one in (sent if behind == "records" else sent[:10])]


def test_the_share_of_rejects_is_judged_as_of_records(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture
) -> None:
    """The rejects of a block stand between its events, and are no larger share of the run."""
    # 980 rejects of 10,000; then a block of which nearly a tenth are rejects at its end.
    sent = rows(range(12_000))
    bad = [*range(0, 9_800, 10), *range(11_820, 12_000)]
    for number in bad:
        sent[number] |= {"event_time": "never", "server_upload_time": "never"}
    messages = [HEAD, batch([put(folder, "a", sent)]), state({"at": 1})]
    own = config | {"workers": 1, "max_reject_ratio": 0.1}
    by_files = run_target(own, messages, tmp_path).checked()
    assert counts_in(by_files.stderr)["rejected"] == len(bad)
    assert len(capture.events) == len(sent) - len(bad)


def test_rejects_of_lines_amid_a_block_hold_their_own_records(
    tmp_path: Path, folder: Path, config: Json, capture: PosthogCapture
) -> None:
    """PostHog says of single events that it dropped them; their blocks are at hand until then."""
    sent = rows(range(900), event_properties={"filling": "y" * 1000})
    bad = [0, 7, 8, 333, 334, 700, 899]
    capture.judge_v1([sent[number]["uuid"] for number in bad], "drop", "for a reason")
    text = b"".join(json.dumps(one).encode() + b"\n" for one in sent[:800])
    array = b"[" + b",\n".join(json.dumps(one).encode() for one in sent[800:]) + b"]"
    path = folder / "a.json.gz"
    path.write_bytes(gzip.compress(text + array))
    own = config | {"workers": 2, "protocol": "v1", "max_batch_events": 100}
    run = run_target(own, [HEAD, batch([path]), state({"at": 1})], tmp_path).checked()
    assert counts_in(run.stderr)["rejected"] == len(bad)
    assert [one for _, one in rejects_in(tmp_path)] == [sent[number] for number in bad]
