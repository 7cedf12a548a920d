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
from tests.support.batch_messages import batch, put
from tests.support.processes import NEAR_SERVER
from tests.support.rows import ids, row, rows
from tests.support.singer import counts_in, record, schema, state
from tests.support.target import run_apart, started
from tests.support.unusual_files import Part, Writer, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.support.processes import Finished
    from tests.support.singer import Json
    from tests.support.target import Target

SETTINGS: Json = {"skip_events": ["left out"], "max_reject_ratio": 1}
HEAD = schema(event_type={"type": "string"}, amplitude_id={"type": "integer"})


def written_hours(
    target: Target, writer: Writer, *, hours: int, files: int, parts: int
) -> tuple[list[list[Part]], list[Json]]:
    """Write files; return what is in them, and a tap's messages, a state after each hour."""
    contents: list[list[Part]] = []
    messages: list[Json] = [HEAD]
    for hour in range(hours):
        paths = []
        for number in range(files):
            contents.append(writer.file(parts))
            text = text_of(contents[-1], ends=number % 2 == 0)
            paths.append(put_text(target, f"{hour}-{number}", text))
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


def rejects_in(target: Target) -> list[tuple[str, Any]]:
    """Return the codes and records in the rejects of the last run, and forget them."""
    (path,) = (target.folder / "rejects").iterdir()
    found = [(one["code"], one["record"]) for one in target.rejects]
    path.unlink()
    return found


def put_text(target: Target, name: str, text: bytes) -> Path:
    """Write a file of a text."""
    path = target.batches / f"{name}.json.gz"
    path.write_bytes(gzip.compress(text))
    return path


def fates_of(ended: Finished) -> Json:
    """Return the counts of a run without those of lines that are no records."""
    counts = counts_in(ended.stderr)
    return {name: counts[name] for name in ("accepted", "superseded", "skipped", "links", "groups")}


@pytest.mark.parametrize(("workers", "protocol"), [(1, "v1"), (2, "batch"), (4, "v1")])
def test_files_come_in_the_sequence_of_their_records(
    target: Target, protocol: str, workers: int
) -> None:
    """Events, links, group updates and rejects, whatever lines they stand in, block after block."""
    # Files of several blocks, which several workers have at the same time.
    writer = Writer(random.Random(workers), filling=4_000, devices_of_user=None)
    contents, messages = written_hours(target, writer, hours=2, files=3, parts=200)
    target.config.update(protocol=protocol, workers=workers, max_batch_events=50, **SETTINGS)
    by_files = run_apart(target, messages, NEAR_SERVER).checked()
    files, rejects = target.texts, rejects_in(target)
    assert target.capture.most_under_way == 1
    target.begin_anew()
    records = as_records(contents, 3)
    by_records = run_apart(target, records, NEAR_SERVER).checked()

    assert files == target.texts
    assert fates_of(by_files) == fates_of(by_records)
    of_files = [one for one in rejects if one[0] != "bad_line"]
    assert of_files == rejects_in(target)
    lines = [bad for parts in contents for part in parts for bad in part.bad]
    assert [one for code, one in rejects if code == "bad_line"] == lines
    assert len(rejects) - len(of_files) == len(lines) > 10
    assert len(of_files) > 50
    assert by_files.messages[-1] == by_records.messages[-1] == {"at": 2}
    assert list((target.folder / "batches").iterdir()) == []


@pytest.mark.parametrize(("workers", "protocol"), [(2, "v1"), (4, "batch")])
def test_over_many_lanes_each_person_has_the_sequence_of_the_records(
    target: Target, protocol: str, workers: int
) -> None:
    """Also around a request that is lost or halved; each group has its own. Nothing is doubled."""
    writer = Writer(random.Random(10 + workers))
    contents, messages = written_hours(target, writer, hours=3, files=3, parts=60)
    target.config.update(protocol=protocol, workers=workers, max_batch_events=20, **SETTINGS)
    records = as_records(contents, 3)
    by_records = run_apart(target, records, NEAR_SERVER).checked()
    wanted, stored = by_id(target.capture.events), len(target.capture.events)
    assert target.capture.most_under_way == 1
    target.begin_anew()
    target.capture.fail(Fault.SLOW, times=40, seconds=0.06)
    for status in (503, 413):
        target.capture.fail(Fault.STATUS, status=status)
        target.capture.fail(Fault.SLOW, times=5, seconds=0.06)
    target.capture.fail(Fault.LOSE_ANSWER)
    target.capture.fail(Fault.SLOW, times=10_000, seconds=0.06)
    by_files = run_apart(target, messages).checked()

    assert target.capture.most_under_way > 1
    assert by_id(target.capture.events) == wanted
    # Those of the request whose answer is lost come again.
    assert len(target.capture.events) <= stored + target.config["max_batch_events"]
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


@pytest.mark.parametrize("protocol", ["batch", "v1"])
@pytest.mark.parametrize("bad", [7, 19])
@pytest.mark.parametrize(
    ("others", "said"),
    [
        (None, "0.json.gz is gone before it was delivered"),
        (0, "0.json.gz has changed while it was delivered"),
        (3, "0.json.gz has changed while it was delivered"),
        (20, "0.json.gz has changed while it was delivered"),
    ],
)
def test_a_file_that_is_another_one_when_posthog_refuses_a_line_of_it_stops_the_run(
    target: Target, others: int | None, said: str, bad: int, protocol: str
) -> None:
    """The reject would hold no record, or a wrong one; nothing moves the state past it."""
    sent = rows(range(20))
    sent[bad]["event_properties"] = {"text": '"' * 300_000}
    path = put(target.batches, "0", sent)
    target.capture.fail(Fault.SLOW, seconds=1)
    with started(target, protocol=protocol) as running:
        running.write([HEAD, batch([path]), state({"at": 1})])
        running.wait_for(lambda: target.capture.requests)
        path.unlink()
        if others is not None:
            put(target.batches, "0", [*rows(range(50, 50 + others)), {}])
        ended = running.finish()
    assert (ended.exit_code, ended.messages) == (1, [])
    assert not list(target.folder.glob("rejects/*"))
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_rejects_at_the_time_of_sending_hold_the_very_record(target: Target) -> None:
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
    path = put_text(target, "a", b"".join(lines))
    run = run_apart(target, [HEAD, batch([path]), state({"at": 1})], workers=2).checked()

    counts = counts_in(run.stderr)
    assert (counts["accepted"], counts["rejected"]) == (394, 6)
    assert rejects_in(target) == [("refused_by_posthog", sent[number]) for number in bad]
    good = [one["uuid"] for number, one in enumerate(sent) if number not in bad]
    assert target.uuids == good


@pytest.mark.parametrize("damage", ["cut off", "gone", "a bad line", "another coding"])
def test_a_bad_file_stops_behind_what_came_before_it(target: Target, damage: str) -> None:
    """The hours before are delivered, in the state and gone from the disk; it stays, to be seen."""
    parts = [rows(range(300 * n, 300 * n + 300)) for n in range(6)]
    paths = [put(target.batches, f"{n}", part) for n, part in enumerate(parts)]
    target.config.update(workers=2, max_batch_events=70)
    messages: list[Json] = [HEAD]
    for hour in range(3):
        message = batch(paths[2 * hour : 2 * hour + 2])
        messages += [message | {"on_bad_line": "fail"}, state({"at": hour + 1})]
    bad = paths[3]
    text = gzip.decompress(bad.read_bytes())
    if damage == "cut off":
        bad.write_bytes(bad.read_bytes()[:-9])
    elif damage == "a bad line":
        lines = text.splitlines(keepends=True)
        put_text(target, "3", b"".join([*lines[:100], b"nothing\n", *lines[100:]]))
    elif damage == "another coding":
        put_text(target, "3", text.decode().encode("utf-16"))
    else:
        bad.unlink()
    run = run_apart(target, messages, NEAR_SERVER)

    assert run.exit_code == 1, run.stderr
    assert "The batch file 3.json.gz" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.messages[-1] == {"at": 1}
    whole = [one["uuid"] for part in parts for one in part]
    # All that came before, in order; when the message itself is at fault, nothing of it.
    known = {"cut off": 900, "gone": 600, "a bad line": 1000, "another coding": 900}
    assert target.uuids == whole[: known[damage]]
    left = {path.name for path in target.batches.iterdir()}
    assert {"3.json.gz", "4.json.gz", "5.json.gz"} - {bad.name if damage == "gone" else ""} <= left
    assert not left & {"0.json.gz", "1.json.gz"}


def test_a_run_that_goes_on_behind_a_bad_file_has_everything_once(target: Target) -> None:
    """The tap hands over anew what is not in the state."""
    parts = [[row(100 * n + one, device_id=f"d{one % 5}") for one in range(100)] for n in range(4)]
    paths = [put(target.batches, f"{n}", part) for n, part in enumerate(parts)]
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[:-9])
    target.config["workers"] = 2
    messages = [HEAD]
    for number, path in enumerate(paths):
        messages += [batch([path]), state({"at": number + 1})]
    first = run_apart(target, messages)
    assert first.exit_code == 1
    assert first.messages[-1] == {"at": 2}

    paths[2].write_bytes(whole)
    again = [state({"at": 2}), HEAD, *messages[5:]]
    run_apart(target, again).checked()
    of_rows = [event["uuid"] for event in target.capture.events if event["event"] == "viewed"]
    assert of_rows == [one["uuid"] for part in parts for one in part]


@pytest.mark.parametrize("ends", ["a state behind them", "nothing behind them"])
@pytest.mark.parametrize("content", [b"\n" * 9_000_000, b" \n" * 1_000_000])
def test_files_without_records_end_as_others_do(target: Target, content: bytes, ends: str) -> None:
    """Nothing is under way then whose end would wake the target."""
    # So large that the input ends before it is read.
    messages = [HEAD, batch([put_text(target, "a", content)])]
    if ends == "a state behind them":
        messages.append(state({"at": 1}))
    with started(target, workers=2) as running:
        running.write(messages)
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert running.process.wait(30) == 0, running.stderr
    assert list((target.folder / "batches").iterdir()) == []


@pytest.mark.parametrize("behind", ["nothing", "records"])
def test_files_without_a_state_behind_them_are_not_waited_for_in_vain(
    target: Target, behind: str
) -> None:
    """Once all is taken there may be neither a request under way nor a state: none to wait for."""
    sent = rows(range(20))
    messages = [HEAD, batch([put(target.batches, "a", sent[:10])])]
    if behind == "records":
        messages += map(record, sent[10:])
    began = time.monotonic()
    run_apart(target, messages, workers=2).checked()
    assert time.monotonic() - began < 30
    assert target.uuids == ids(sent if behind == "records" else sent[:10])


def test_the_share_of_rejects_is_judged_as_of_records(target: Target) -> None:
    """The rejects of a block stand between its events, and are no larger share of the run."""
    # 980 rejects of 10,000; then a block of which nearly a tenth are rejects at its end.
    sent = rows(range(12_000))
    bad = [*range(0, 9_800, 10), *range(11_820, 12_000)]
    for number in bad:
        sent[number] |= {"event_time": "never", "server_upload_time": "never"}
    messages = [HEAD, batch([put(target.batches, "a", sent)]), state({"at": 1})]
    by_files = run_apart(target, messages, workers=1, max_reject_ratio=0.1).checked()
    assert counts_in(by_files.stderr)["rejected"] == len(bad)
    assert len(target.capture.events) == len(sent) - len(bad)


def test_rejects_of_lines_amid_a_block_hold_their_own_records(target: Target) -> None:
    """PostHog says of single events that it dropped them; their blocks are at hand until then."""
    sent = rows(range(900), event_properties={"filling": "y" * 1000})
    bad = [0, 7, 8, 333, 334, 700, 899]
    target.capture.judge_v1([sent[number]["uuid"] for number in bad], "drop", "for a reason")
    text = b"".join(json.dumps(one).encode() + b"\n" for one in sent[:800])
    array = b"[" + b",\n".join(json.dumps(one).encode() for one in sent[800:]) + b"]"
    target.config.update(workers=2, protocol="v1", max_batch_events=100)
    path = put_text(target, "a", text + array)
    run = run_apart(target, [HEAD, batch([path]), state({"at": 1})], NEAR_SERVER).checked()
    assert counts_in(run.stderr)["rejected"] == len(bad)
    assert [one for _, one in rejects_in(target)] == [sent[number] for number in bad]
