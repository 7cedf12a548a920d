"""The short way from a line to its record gives what the long way gives, byte for byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.common.amplitude_columns import TIME_FIELDS
from tap_amplitude.common.object_cutter import taken_from
from tap_amplitude.records import Row, encode, fast_json, fast_row, json_of
from tap_amplitude.times import parse
from tests.support.export_files import file_name, packed, write_files
from tests.support.processes import run_tap
from tests.support.reading import read_row
from tests.support.rows import START, hour_row, typical_row

if TYPE_CHECKING:
    from pathlib import Path

    from tap_amplitude.common.object_cutter import Found

ANY_TEXT = st.text(alphabet=st.characters(codec=None, exclude_categories=()))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)
NAMES = ANY_TEXT | st.sampled_from([*TIME_FIELDS, "uuid", "$insert_id", "device_id"])


def both_ways_agree(line: bytes) -> None:
    """Compare what comes of a line."""
    usual, long = fast_json(line), read_row(line)
    if usual is None:
        return  # takes the long way in any case
    assert isinstance(long, Row)
    assert usual == (encode(long.record), long.odd_times)
    assert fast_row(line) == long
    assert objects_of(line) == [usual]


def objects_of(file: bytes) -> list[tuple[bytes, int] | Found]:
    """Return what comes of a file when no line of it is usual."""
    return list(taken_from([(1, file.splitlines(keepends=True))], lambda _: None, json_of))


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_the_same_record_or_none(line: bytes) -> None:
    """Nothing that a file can hold raises, and both ways give the same reason."""
    both_ways_agree(line)


@given(st.dictionaries(NAMES, VALUES, max_size=8), st.booleans())
def test_any_row_is_the_same_record(content: dict[str, Any], escaped: bool) -> None:  # noqa: FBT001
    """NaN, half surrogate pairs, integers of any size, odd times, missing uuids."""
    line = json.dumps(content, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    both_ways_agree(line)


def nested(depth: int, inner: str = "1") -> bytes:
    """A row with values so deep, objects and lists in turn."""
    text = inner
    for level in range(depth - 1):
        text = f'{{"a":{text}}}' if level % 2 else f"[{text}]"
    return f'{{"event_time":"2024-01-01 00:00:00.000000","x":{text}}}'.encode()


@pytest.mark.parametrize(
    "line",
    [
        *(nested(depth) for depth in (2, 253, 254, 255, 256, 499, 500, 501, 502, 990, 5000)),
        nested(3, "NaN"),
        nested(3, "1e400"),
        nested(3, "1" * 400 + ".0"),
        nested(3, str(2**64)),
        nested(3, str(-(2**63) - 1)),
        nested(3, "1" * 5000),
        nested(3, "1.0"),
        nested(3, "0.1e-7"),
        nested(3, '"\\ud83d"'),
        nested(3, '"\\u0000"'),
        b'{"a":1,"a":2}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        b'{"uuid":"  ","event_time":"","client_event_time":"2024-01-01T00:00:00+05:30"}',
        b'{"uuid":7,"event_time":7}',
        b"[]",
        b"null",
    ],
    ids=lambda line: line[:40].decode("utf-8", "replace"),
)
def test_what_is_unusual_is_the_same_record(line: bytes) -> None:
    """The bounds of the fast libraries are not the bounds of a record."""
    both_ways_agree(line)


@pytest.mark.parametrize("options", [(), ("field_of_nobody",)])
def test_messages_are_the_same_whichever_way_they_go(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Fields, order, time of extraction: a stream map that changes nothing changes nothing."""
    content = [typical_row(START, n) for n in range(5)]
    content += [hour_row(START, 7, big=2**80, emoji="\ud83d", empty="", event_time="soon")]
    folder = write_files(tmp_path / "a", {file_name(0): packed(content)})
    maps = {"stream_maps": {"events": dict.fromkeys(options)}} if options else {}
    debug = {"TAP_AMPLITUDE_LOGLEVEL": "DEBUG"}  # shows the SDK's count of records
    run = run_tap(tmp_path, {"archive_path": str(folder)} | maps, environment=debug)

    whole = [record for line in content for record in [read_row(json.dumps(line).encode())]]
    records = [one.record for one in whole if isinstance(one, Row)]
    assert run.records == json.loads(json.dumps(records))
    messages = [message for message in run.messages if message["type"] == "RECORD"]
    assert [list(message) for message in messages] == [
        ["type", "stream", "record", "time_extracted"]
    ] * 6
    assert all(parse(message["time_extracted"]) for message in messages)
    assert '"value":6' in run.stderr
