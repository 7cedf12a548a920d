"""What names and first bytes say: never more than they do, whatever they are."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.files.forms import Form, form_of
from tap_amplitude.files.left_out import Why
from tap_amplitude.files.names import ignorable, is_marker, is_packed, read_name
from tap_amplitude.files.row_kinds import Rows, rows_in

HOURS = st.integers(0, 24 * 365 * 9).map(
    lambda hours: datetime(2015, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hours)
)
PARTS = st.integers(0, 10**6)
#: How `#` and the end of a name change on their way.
SEPARATORS = st.sampled_from(["#", "%23", "%2523", "-", "_", "\uff03", "~"])
ENDINGS = st.sampled_from([".json.gz", ".json", ".gz", ".JSON.GZ", ".jsonl", ".json.gz.gz", ""])
COPIES = st.sampled_from(
    ["", " (1)", "(12)", " - Copy", " - Copy (3)", " copy 2", " 2", " (copy)", " (3rd copy)"]
)


@given(hour=HOURS, part=PARTS, separator=SEPARATORS, ending=ENDINGS, copy=COPIES)
def test_a_name_that_changed_on_its_way_says_the_same(
    hour: datetime, part: int, separator: str, ending: str, copy: str
) -> None:
    """The same project, hour and part, with padded hours or not."""
    own = read_name(f"203138_{hour:%Y-%m-%d}_{hour.hour}#{part}.json.gz")
    changed = f"203138_{hour:%Y-%m-%d}_{hour:%H}{separator}{part}{copy}{ending}"

    assert own is not None
    assert own.hour == hour
    assert own.app == "203138"
    assert own.is_certain
    assert read_name(f"some/folder/{changed}") == own
    assert ignorable(changed) is None


@pytest.mark.parametrize(
    ("name", "hour", "app", "is_certain", "is_foreign"),
    [
        ("7_2024-02-29_0#1.json.gz", "2024-02-29T00", "7", True, False),
        ("7_2024-02-29_23#1", "2024-02-29T23", "7", True, False),
        ("7_2024-02-29_5.json.gz", "2024-02-29T05", "7", False, False),
        ("-7_2024-02-29_5.json.gz", "2024-02-29T05", "-7", False, False),
        ("-7_2024-02-29_5#1.json.gz", "2024-02-29T05", "-7", False, False),
        ("2024-02-29_5#1.json.gz", "2024-02-29T05", "", True, False),
        ("x\\y/my_2024-02-29_5#1.json.gz", "2024-02-29T05", "", True, False),
        # Until 2014-11-11 a file holds a day.
        ("7_2014-11-11#1.json.gz", "2014-11-11T23", "7", True, False),
        ("7_2024-02-29_5#1.json.gz.bak", "2024-02-29T05", "7", True, True),
        (".7_2024-02-29_5#1.JSON.gz.iCloud", "2024-02-29T05", "7", True, True),
    ],
)
def test_what_a_name_says(
    name: str, hour: str, app: str, *, is_certain: bool, is_foreign: bool
) -> None:
    """Hour, app, and whether it can only be events."""
    moment = datetime.fromisoformat(hour).replace(tzinfo=timezone.utc)
    said = read_name(name)

    assert said is not None
    assert (said.hour, said.app) == (moment, app)
    assert (said.is_certain, said.is_foreign) == (is_certain, is_foreign)


@pytest.mark.parametrize(
    "name",
    [
        *("7_2024-02-30_5#1.json.gz", "7_2024-02-29_24#1.json.gz", "7_2024-02-29_25#1.json.gz"),
        *("7_2014-11-12#1.json.gz", "7_2024-02-29#1.json.gz", "9999-12-31_5#1.json.gz"),
        *("my_2024-02-29_5", "my_2024-02-29_5#1.png", "2024-02-29_5", "notes.json.gz", ""),
    ],
)
def test_what_is_no_export_hour_is_no_name_of_one(name: str) -> None:
    """No such day or hour, or a day of a time whose files hold hours; or somebody else's file."""
    assert read_name(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *((name, Why.LITTER) for name in ("a/.DS_Store", "._7_2024-02-29_5#1.json.gz")),
        *((name, Why.LITTER) for name in ("__MACOSX/a.json", "$Recycle.Bin\\a.json", ".keep")),
        *((name, Why.LITTER) for name in ("#recycle/a.json", ".Trash-1000/files/a.json")),
        *((name, Why.PARTIAL) for name in ("a.json.gz.crdownload", "a.download/b.json", "a~")),
        *((name, Why.PARTIAL) for name in ("~$a.json", ".~a.json")),
        *((name, Why.MARKER) for name in ("_SUCCESS", "a/_success.crc", "_started_7", "_done")),
        *((name, None) for name in ("success", "_other", "a.json.gz", "download/a", "_dones")),
    ],
)
def test_files_that_are_not_worth_a_look(name: str, why: Why | None) -> None:
    """By their names alone."""
    assert ignorable(name) is why


def test_marks_and_packed_files_are_told_by_their_names() -> None:
    """Not by the folder that they are in."""
    assert is_marker("a/7_2024-02-29_5_Complete")
    assert not is_marker("complete/a.json")
    assert all(map(is_packed, ("a.tar", "a.TGZ", "a.json.zst", "a.7z.001", "a.z")))
    assert not any(map(is_packed, ("a.gz", "a.zip", "a.tar/b.json", "tar", "a.tars")))


@given(st.text() | st.text(alphabet="0123456789_-#.jsongz/\\ ()%-"))
def test_any_name_can_be_read(name: str) -> None:
    """Names come from archives that anybody made."""
    read_name(name)
    ignorable(name)


@given(st.binary(max_size=600))
def test_any_bytes_have_a_form_and_rows(content: bytes) -> None:
    """And what gzip packs is gzip."""
    form_of(content)
    rows_in(content)
    assert form_of(gzip.compress(content)) in {Form.GZIP, Form.LAYERED}


EVENT = {"event_type": "merge", "data": {"merged_amplitude_id": 7}}
MERGE = {"scope": 1, "merge_server_time": 2, "amplitude_id": 3, "merged_amplitude_id": 4}


@given(
    row=st.sampled_from([EVENT, MERGE]),
    form=st.sampled_from(
        ["{0}\n{0}", "[{0},\n{0}]", "{0}{0}", "\r{0}\r{0}", "\ufeff{0}", "\0\0{0}"]
    ),
    upper=st.booleans(),
)
def test_rows_are_told_apart_however_they_are_laid_out(
    row: dict[str, object], form: str, *, upper: bool
) -> None:
    """An event may speak of a merge; a warehouse writes its columns in capitals."""
    written = {key.upper() if upper else key: value for key, value in row.items()}
    text = form.replace("{0}", json.dumps(written))

    assert rows_in(text.encode()) is (Rows.EVENTS if row is EVENT else Rows.MERGES)
    assert rows_in(text.encode()[:-3]) is (Rows.EVENTS if row is EVENT else Rows.MERGES)
