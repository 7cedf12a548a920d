"""A line of another tap becomes the same event by the fast way and through the SDK."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.formats.converter import Conversions, Converter
from target_posthog.formats.mapping_reader import read_mappings
from target_posthog.json_codec import loads
from target_posthog.model import Converted, Json, StreamRecord, whole_record
from target_posthog.posthog.events import OutgoingEvent, prepare
from tests.support.examples import examples
from tests.support.target_settings import settings_of
from tests.target.formats.test_any_record import KEYS, LATEST, MAPPINGS, NAMES, USUAL, WIRE
from tests.target.formats.test_converter import converter_of
from tests.target.test_any_input import VALUES

#: Values as they are written: how a number looks, what no number is, and what is no JSON by the
#: letter.
TEXTS = st.one_of(
    VALUES.map(json.dumps),
    st.sampled_from(
        ["1", "1.0", '"1"', "1e0", "-0.0", "1E400", "NaN", "-Infinity", "12345678901234567890123"]
    ),
    st.sampled_from(['"\\ud800"', '"\ud83d\ude00"', '"\\u0000"', "\\", '{"b":1,"b":2}', "[[]]"]),
    st.sampled_from(['"{\\"b\\":1.0}"', '"2024-01-01T00:00:00.5+00:00"', '"$device:1"', "[1,]"]),
)
FIELDS = st.sampled_from([*NAMES, "_sdc_extracted_at", "_sdc_source_lineno", "event_type"])
#: An event of PostHog's own form.
POSTHOGS: Json = {"event": "e", "distinct_id": "u1", "timestamp": "2024-01-01", "properties": {}}


def line_of(usual: Json, fields: list[tuple[str, str]]) -> bytes:
    """Return a record as JSON, some fields behind its own; of two of one name the last counts."""
    own = [(name, json.dumps(value)) for name, value in usual.items()]
    written = ",".join(f"{json.dumps(name)}: {text}" for name, text in [*own, *fields])
    return f"{{{written}}}".encode("utf-8", "surrogatepass")


LINES = st.builds(
    line_of, st.sampled_from([USUAL, POSTHOGS]), st.lists(st.tuples(FIELDS, TEXTS), max_size=5)
)
FORMATS = st.sampled_from(["fields", "posthog", "auto"])


def mapped(source_format: str, parts: Any, key: tuple[str, ...]) -> Converter:
    """Return the converter of a stream `s`, with a mapping if it can have that one."""
    _, problems = read_mappings({"s": parts})
    streams = {} if source_format == "posthog" or problems else {"streams": {"s": parts}}
    return converter_of("s", key=key, source_format=source_format, **streams)


def by_the_sdk(converter: Converter, line: bytes) -> OutgoingEvent | None:
    """Return the event of a line as `Delivery.take` makes it, or None when it is none."""
    try:
        record = loads(line)
    except ValueError:
        return None
    conversion = converter.convert(record)
    if not isinstance(conversion, Converted):
        return None
    item = prepare(conversion, converter.known(record), WIRE.fitted, LATEST)
    return item if isinstance(item, OutgoingEvent) else None


def parts_of(item: OutgoingEvent | None) -> Any:
    """Return all that an event is, but its record."""
    return item and msgspec.structs.astuple(msgspec.structs.replace(item, record={}))


@examples(400)
@given(source_format=FORMATS, parts=MAPPINGS, key=KEYS, lines=st.lists(LINES, max_size=3))
def test_a_usual_line_has_the_event_that_the_sdks_way_gives_it(
    source_format: str, parts: Any, key: tuple[str, ...], lines: list[bytes]
) -> None:
    """To the byte; and the rejects would hold the same record, with its stream."""
    converter = mapped(source_format, parts, key)
    assert converter.fast is not None
    items = converter.fast.events_of(lines)
    assert len(items) == len(lines)
    for line, item in zip(lines, items, strict=True):
        if item is None:
            continue
        assert parts_of(item) == parts_of(by_the_sdk(converter, line))
        known, record = converter.known(loads(line)), whole_record(item.record)
        assert record == known
        assert isinstance(record, StreamRecord) == isinstance(known, StreamRecord)


@examples(150)
@given(parts=MAPPINGS, line=LINES)
def test_what_is_json_by_the_letter_and_an_event_is_usual(parts: Any, line: bytes) -> None:
    """Else the fast way would be right and of no use."""
    converter = mapped("fields", parts, ())
    assert converter.fast is not None
    (item,) = converter.fast.events_of([line])
    try:
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeError):
        assert item is None
    else:
        assert (item is None) == (by_the_sdk(converter, line) is None)


@pytest.mark.parametrize("source_format", ["fields", "posthog"])
def test_a_record_without_its_key_is_left_to_the_sdk_which_stops(source_format: str) -> None:
    """A null is there."""
    sound = {"event": "e", "distinct_id": "u", "timestamp": "2024-01-01"}
    converter = mapped(source_format, {}, ("number",))
    assert converter.fast is not None
    lines = [json.dumps(sound | more).encode() for more in ({}, {"number": None})]
    without, with_null = converter.fast.events_of(lines)
    assert without is None
    assert with_null is not None


def test_nothing_is_usual_where_all_is_left_out() -> None:
    """Nor is Meltano's own test stream, which is never sent."""
    for stream in ("s", "meltano_test_stream"):
        assert converter_of(stream, unmapped_streams="skip").fast is None


def test_the_fast_way_says_and_notes_what_the_other_does() -> None:
    """What stands for the parts that are left open, once; and which fields of the mapping came."""
    settings = settings_of(source_format="fields", streams={"s": {"event": "kind"}})
    conversions, said = Conversions(settings), []
    schema: Json = {"properties": {"user_id": {}, "time": {}}}
    converter = Converter(conversions, "s", schema, (), lambda _, text: said.append(text))
    assert converter.fast is not None
    unmet = list(conversions.entries.warnings(()))
    assert len(unmet) == 1
    line = json.dumps({"kind": "k", "user_id": "u", "time": "2024-01-01"}).encode()
    assert all(converter.fast.events_of([line, line]))
    (text,) = said
    assert "by default distinct_id is user_id" in text
    assert list(conversions.entries.warnings(())) == []
