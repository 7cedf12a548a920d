"""What names and first bytes say: never more than they do, whatever they are."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.files.forms import Form, form_of
from tap_amplitude.files.names import ignorable, read_name
from tap_amplitude.files.row_kinds import Rows, rows_in

HOURS = st.integers(0, 24 * 365 * 9).map(
    lambda hours: datetime(2015, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hours)
)
PARTS = st.integers(0, 10**6)
#: How `#` and the end of a name change on their way.
SEPARATORS = st.sampled_from(["#", "%23", "%2523", "-", "_", "\uff03", "~"])
ENDINGS = st.sampled_from([".json.gz", ".json", ".gz", ".JSON.GZ", ".jsonl", ".json.gz.gz", ""])
COPIES = st.sampled_from(["", " (1)", "(12)", " - Copy", " - Copy (3)", " copy 2", " 2"])


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
