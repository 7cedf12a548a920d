"""A line of an export file → a record: what changes, what does not, and what is no record."""

from __future__ import annotations

import gzip
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.common.amplitude_columns import TIME_FIELDS
from tap_amplitude.common.lenient_json import MAX_DEPTH, TOO_DEEP
from tap_amplitude.records import Row
from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.amplitude.event_ids import event_uuid
from target_posthog.formats.options import Options
from target_posthog.model import Converted
from tests.support.export_files import file_name, hour_files, packed
from tests.support.export_settings import files_settings
from tests.support.processes import start
from tests.support.reading import read_row
from tests.support.rows import MERGE, START, hour_row, hour_rows, typical_row
from tests.support.selecting import run_with
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path


def record_of(line: bytes | str) -> dict[str, Any]:
    """Read a line that must be a record."""
    result = read_row(line if isinstance(line, bytes) else line.encode())
    assert isinstance(result, Row), result
    return result.record


def test_a_row_keeps_every_field_and_value() -> None:
    """Unknown fields, nulls, empty values and nested ones arrive as they were."""
    content: dict[str, Any] = {
        "uuid": "e6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d15",
        "a_field_of_tomorrow": {"deep": [1, {"er": None}]},
        "empty": "",
        "none": None,
        "list": [],
        "object": {},
        "float": 0.1,
        "event_properties": {"event_time": "2023-01-01 00:00:00", "when": "2023-01-01 00:00:00"},
        "user_properties": {"processed_time": ""},
    }

    assert record_of(json.dumps(content)) == content


@pytest.mark.parametrize("name", TIME_FIELDS)
@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2023-01-01 19:02:52.749000", "2023-01-01T19:02:52.749000Z"),
        ("2023-01-01 19:02:52", "2023-01-01T19:02:52.000000Z"),
        ("2023-01-01 19:02:52.7", "2023-01-01T19:02:52.700000Z"),
        ("2023-01-01T19:02:52.749Z", "2023-01-01T19:02:52.749000Z"),
        ("2023-01-01T19:02:52.749000123+02:00", "2023-01-01T17:02:52.749000Z"),
        ("2023-01-01 19:02:52.749-0130", "2023-01-01T20:32:52.749000Z"),
        ("", None),
        ("  ", None),
    ],
)
def test_each_time_of_a_row_becomes_rfc_3339(name: str, text: str, written: str | None) -> None:
    """Six decimals and Z, whatever form it had; an empty text is no time."""
    result = read_row(json.dumps({"uuid": "u", name: text}).encode())

    assert result == Row({"uuid": "u", name: written}, odd_times=0)


@pytest.mark.parametrize(
    "value",
    [
        "2023-02-30 00:00:00.000000",
        "2023-01-01 25:00:00.000000",
        "2022:05:27 02:00:43.324890",
        "yesterday",
        "2023-W01-1 00:00:00.000000",
        "0001-01-01 00:00:00+23:00",
        1672599772749,
        True,
    ],
)
def test_a_time_that_cannot_be_read_stays_and_is_counted(value: Any) -> None:
    """Nothing is invented in its place."""
    result = read_row(json.dumps({"uuid": "u", "event_time": value}).encode())

    assert result == Row({"uuid": "u", "event_time": value}, odd_times=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Some JSON readers turn integers beyond 64 bits into floats.
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"9223372036854775807", 9223372036854775807),
        (b"NaN", "NaN"),
        (b"-Infinity", "-Infinity"),
        (b"1e400", "1e400"),
        (b"-1e400", "-1e400"),
        (b'"\\ud83d"', "\ufffd"),
        (b'"a\\ud83dz"', "a\ufffdz"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\xed\xa0\xbd"', "\ufffd"),
        (b'"\xed\xa0\xbd\xed\xb8\x80 \xff"', "\U0001f600 \ufffd"),
        (b'"caf\xe9"', "caf\ufffd"),
        (b'"a\tb"', "a\tb"),
        (b"9" * 5000, "9" * 5000),
        (b'{"\\ud83d":1,"\\ud83e":2}', {"\ufffd": 1, "\ufffd\ufffd": 2}),
    ],
)
def test_what_json_readers_refuse_or_change_is_kept(text: bytes, value: Any) -> None:
    """An event is worth more than the letter of JSON."""
    assert record_of(b'{"uuid":"u","value":' + text + b"}")["value"] == value


def test_a_byte_order_mark_is_no_reason_to_refuse_a_row() -> None:
    """Tools on Windows put one at the start of a file."""
    assert record_of(b'\xef\xbb\xbf{"uuid":"u"}') == {"uuid": "u"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"event_type": "cut of', "not JSON"),
        (b"", "not JSON"),
        (b"plain text", "not JSON"),
        (b"[1]", "a JSON array, not an object"),
        (b'"text"', "a JSON string, not an object"),
        (b"12", "a JSON number, not an object"),
        (b"true", "a JSON boolean, not an object"),
        (b"null", "a JSON null, not an object"),
        (b"[" * 100_000, TOO_DEEP),
        (b'{"a":' * 100_000, TOO_DEEP),
        (
            b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
            TOO_DEEP,
        ),
    ],
)
def test_what_is_no_object_is_unreadable(line: bytes, reason: str) -> None:
    """The reason tells what it is, never what is in it."""
    assert read_row(line) == reason


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"uuid": None},
        {"uuid": ""},
        {"uuid": " "},
        {"$insert_id": "i", "device_id": "d", "app": 1},
        {"$insert_id": "i", "user_id": "u", "app": 1, "event_type": "x"},
        {"$insert_id": "", "device_id": "d", "event_time": "2023-01-01 00:00:00"},
        {"event_type": "\u00e4\U0001f600", "price": 0.1, "server_upload_time": ""},
    ],
)
def test_a_row_without_uuid_gets_the_one_that_the_target_would_give(
    content: dict[str, Any],
) -> None:
    """Whichever of the two plugins gives it, the event has one id."""
    line = json.dumps(content).encode()

    assert record_of(line)["uuid"] == event_uuid(content)
    assert record_of(line)["uuid"] == record_of(line)["uuid"]


@pytest.mark.parametrize("without", [(), ("uuid",), ("uuid", "$insert_id"), ("$insert_id",)])
@pytest.mark.parametrize("own", ["7D2C8C1E-0A3B-4C55-9B6E-AA0000000100", "no uuid", ""])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_row_with_a_warehouses_columns_is_the_same_event_as_record_and_in_its_file(
    without: tuple[str, ...],
    own: str,
    as_text: bool,  # noqa: FBT001
) -> None:
    """A record gets Amplitude's names, of which key and schema are; a file is handed over as is."""
    row = typical_row(START, 1) | {"uuid": own}
    columns = {
        name.removeprefix("$").upper(): json.dumps(value)
        if as_text and not isinstance(value, str)
        else value
        for name, value in row.items()
        if name not in without
    }
    record = record_of(json.dumps(columns))

    assert {"uuid", "event_type", "device_id", "event_properties"} <= record.keys()
    assert "UUID" not in record
    amplitude = Amplitude(Options())
    of_record, of_file = amplitude.convert(record), amplitude.convert(columns)
    assert isinstance(of_record, Converted)
    assert isinstance(of_file, Converted)
    made = of_record.event["properties"].pop("$amplitude_uuid", record["uuid"])
    assert made == record["uuid"]
    of_file.event["properties"].pop("$amplitude_uuid", None)
    assert of_record.event == of_file.event


def test_a_given_uuid_is_left_as_it_is() -> None:
    """Even one that is no UUID: what to make of it is the target's decision."""
    assert record_of(b'{"uuid":"not a uuid"}')["uuid"] == "not a uuid"


def test_unusual_values_come_out_of_the_tap_as_valid_json(tmp_path: Path) -> None:
    """Big integers and deep nesting pass the writer, too; odd times are counted at the end."""
    depth = 300
    lines = [
        b'{"uuid":"1","event_time":"odd","n":123456789012345678901234567890}',
        b'{"uuid":"2","n":' + b"[" * depth + b"]" * depth + b"}",
        b'{"uuid":"3","n":NaN,"t":"\\ud83d"}',
        b'{"uuid":"4","n":"\\u2028\\u0000"}',
    ]
    run = run_here(files_settings(tmp_path, {PLAIN_0: b"\n".join(lines)}))

    assert run.exit_code == 0
    assert run.ids == ["1", "2", "3", "4"]
    assert run.records[0]["n"] == 123456789012345678901234567890
    assert json.dumps(run.records[1]["n"]) == "[" * depth + "]" * depth
    assert run.records[2]["n"] == "NaN"
    assert run.records[3]["n"] == "\u2028\u0000"
    assert "1 unreadable time " in run.stderr


BAD = b'{"event_type": "cut of'
#: A file of which each line is bad, and a list of merged users.
PLAIN_0, MERGES = file_name(0).removesuffix(".gz"), "-9_2024-01-01_5.json.gz"


def test_a_bad_line_stops_before_its_hour_is_done(tmp_path: Path) -> None:
    """With `fail`, the state stays before the hour, and file and line are told."""
    text = packed([hour_row(START)]) + packed([]) + gzip.compress(BAD + b"\n")
    run = run_here(files_settings(tmp_path, {**hour_files(0), file_name(1): text}))

    assert run.exit_code == 1
    assert run.states[-1]["next_export_hour"] == "2024-01-01T01:00:00Z"
    error = run.lines("ERROR")[0]
    assert file_name(1) in error
    assert "line 2" in error
    assert "on_bad_line" in error


def test_a_bad_line_goes_to_the_rejects(tmp_path: Path) -> None:
    """With `reject`, it is kept word for word, counted and told; all other rows come out."""
    good = json.dumps(hour_row(START)).encode()
    lines = [BAD, good, b"[1]", b'{"a":"\xff"']
    rejects = {"on_bad_line": "reject", "rejects_path": "kept/here", "max_reject_ratio": 1}
    run = run_here(files_settings(tmp_path, {PLAIN_0: b"\n".join(lines)}, **rejects))

    assert run.exit_code == 0
    assert len(run.records) == 1
    assert run.states[-1]["next_export_hour"] == "2024-01-01T01:00:00Z"
    (file,) = (tmp_path / "kept" / "here").iterdir()
    assert file.name.startswith("tap-amplitude-")
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [one["record"] for one in kept] == [BAD.decode(), "1", '{"a":"\\xff"']
    assert {(one["code"], one["stage"]) for one in kept} == {("bad_line", "read")}
    assert "line 1: not JSON" in kept[0]["reason"]
    assert "line 3: a JSON number, not an object" in kept[1]["reason"]
    (warning,) = run.lines("WARNING")
    assert "3 lines rejected" in warning


def test_rejected_merges_are_told(tmp_path: Path) -> None:
    """The stream of merged users says how many of its lines were rejected, and where they are."""
    lists = {MERGES: packed([MERGE]) + gzip.compress(b"no merge\n")}
    config = files_settings(tmp_path, lists, on_bad_line="reject", max_reject_ratio=0.5)
    run = run_with(config, "merged_ids")

    assert (run.exit_code, len(run.records)) == (0, 1)
    (told,) = run.lines("WARNING")
    assert "Exported 1 merged user of 1 hour; 1 line rejected, kept in " in told


@pytest.mark.parametrize("merges", [1, 30, 20_000])
@pytest.mark.parametrize(("start", "between", "end"), [("", "\n", "\n"), ("[", ",", "]")])
def test_an_event_in_a_list_of_merges_is_never_left_out_with_it(
    tmp_path: Path, merges: int, start: str, between: str, end: str
) -> None:
    """However far behind it stands: `events` reads it, and for `merged_ids` it is no merge."""
    rows = [*[MERGE] * merges, {"event_type": "viewed", "uuid": "u"}]
    content = f"{start}{between.join(map(json.dumps, rows))}{end}".encode()
    config = files_settings(tmp_path, {MERGES: gzip.compress(content)})
    events, stopped = run_here(config), run_with(config, "merged_ids")

    assert [row["uuid"] for row in events.records if "event_type" in row] == ["u"]
    (error,) = stopped.lines("ERROR")
    assert f"{MERGES!r} is a list of merged users, and also holds events" in error
    assert (stopped.exit_code, len(stopped.states)) == (1, 0)


def test_a_list_of_merges_that_unpacks_to_far_more_than_an_export_is_not_read_to_its_end(
    tmp_path: Path,
) -> None:
    """It is looked at before it is left out, and the bound of any other file holds for it."""
    content = gzip.compress(json.dumps(MERGE).encode() + b"\n" * 80_000_000)
    run = run_here(files_settings(tmp_path, {MERGES: content}))

    (error,) = run.lines("ERROR")
    assert "unpacks to far more than an export does" in error
    assert (run.records, run.states) == ([], [])


def test_rejects_are_on_the_disk_before_the_state_moves_past_them(tmp_path: Path) -> None:
    """A kill after the STATE of an hour does not lose the rejected lines of that hour."""
    files = {PLAIN_0: BAD, file_name(1): packed(hour_rows(1, each=3000))}
    config = files_settings(tmp_path, files, on_bad_line="reject", rejects_path="rejects")
    with start("tap-amplitude", config, tmp_path, stdout=subprocess.PIPE) as tap:
        tap.read_to(b'"STATE"')
        tap.process.kill()

    (file,) = (tmp_path / "rejects").iterdir()
    assert json.loads(file.read_text())["record"] == BAD.decode()


def test_no_rejects_file_is_made_when_nothing_is_rejected(tmp_path: Path) -> None:
    """An empty file would look like a finding."""
    run_here(files_settings(tmp_path, hour_files(0), on_bad_line="reject"))

    assert not (tmp_path / "rejects").exists()


def test_rejects_that_cannot_be_written_stop_the_run(tmp_path: Path) -> None:
    """A line that is neither out nor kept would be lost."""
    (tmp_path / "rejects").write_text("a file")
    run = run_here(files_settings(tmp_path, {PLAIN_0: BAD}, on_bad_line="reject"))

    assert run.exit_code == 2
    assert "`rejects_path`" in run.lines("ERROR")[0]
    assert run.states == []
