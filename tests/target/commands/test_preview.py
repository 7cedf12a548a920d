"""`target-posthog-preview`: records, the events that they become, and why."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from contextlib import closing, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.commands.preview import PreviewTarget, command
from target_posthog.errors import FixConfiguration, TargetPosthogError
from target_posthog.preview.files import messages_of
from target_posthog.preview.page import page_of
from target_posthog.preview.screen import show
from target_posthog.preview.texts import as_json
from target_posthog.preview.wanted import Wanted
from tests.support.any_amplitude_rows import GOOD_ROWS, ROWS
from tests.support.batch_messages import batch, put
from tests.support.examples import examples
from tests.support.processes import encoded
from tests.support.rows import START, hour_row, row, typical_row
from tests.support.singer import record, records, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_posthog.preview.pairs import Pair
    from tests.support.singer import Json


def previewed(
    source: Iterable[bytes], folder: Path, wanted: Wanted | None = None, **settings: Any
) -> PreviewTarget:
    """Preview what a source says, in this process; nothing of it goes to standard output."""
    target = PreviewTarget(wanted or Wanted(20), folder / "scratch", config=settings)
    with closing(target), redirect_stdout(io.StringIO()) as said:
        target.run(source)
    assert said.getvalue() == ""
    return target


def preview(
    messages: Iterable[Any], folder: Path, wanted: Wanted | None = None, **settings: Any
) -> PreviewTarget:
    """Preview messages."""
    return previewed(io.BytesIO(encoded(messages)), folder, wanted, **settings)


def screen(target: PreviewTarget) -> str:
    """Return what is printed, as plain text."""
    text = io.StringIO()
    show(target.found, target.delivery.counts, text)
    return text.getvalue()


def whys(target: PreviewTarget, number: int = 0) -> dict[str, tuple[str, str]]:
    """Return source and rule of each property of a pair."""
    lines = target.found.pairs[number].lines()
    return {line.name: (line.source, line.why) for line in lines if line.name}


THREE = [
    {
        "uuid": "00000000-0000-4000-8000-000000000001",
        "event_type": "viewed",
        "user_id": "ann",
        "event_time": "2024-01-01 00:00:01.000000",
        "country": "France",
        "city": "",
    },
    {
        "uuid": "00000000-0000-4000-8000-000000000002",
        "event_type": "bought",
        "device_id": "d-2",
        "event_time": "2024-01-01 00:00:02.000000",
        "event_properties": {"email": "ann@example.com", "total": 9.5},
    },
    {"uuid": "00000000-0000-4000-8000-000000000003", "event_type": "viewed", "user_id": "ann"},
]


def test_a_user_who_is_not_there_is_told(tmp_path: Path) -> None:
    """With the records that were looked through."""
    messages = [schema(), *records(row(number) for number in (1, 2, 3))]
    shown = screen(preview(messages, tmp_path, Wanted(20, user="nobody"))).splitlines()
    assert shown[0].startswith("No record matches --hour, --event and --user.")
    assert [line.split() for line in shown if line.startswith("records")] == [["records", "3"]]


#: Each line was held by hand to docs/mapping.md.
GOLDEN = Path(__file__).parents[2] / "fixtures" / "preview.txt"


def test_three_rows_are_shown_with_the_rules_that_made_them(tmp_path: Path) -> None:
    """A plain row, one with a renamed and a skipped property, and one that is rejected."""
    names: dict[str, Any] = {
        "property_names": [{"from": "total", "to": "revenue"}],
        "skip_properties": ["email"],
    }
    target = preview([schema(), *records(THREE)], tmp_path, source_format="amplitude", **names)
    assert screen(target) == GOLDEN.read_text(encoding="utf-8")


def test_nothing_is_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No state, no ledger, no rejects: the settings of the runs are not touched."""
    monkeypatch.chdir(tmp_path)
    messages = [schema(), record(row(1)), record(row(2, event_type="")), state({"at": 1})]
    target = preview(messages, tmp_path, preview_path="out")
    assert list(tmp_path.iterdir()) == []
    assert [pair.fate for pair in target.found.pairs] == ["kept", "rejected"]


def test_it_ends_when_enough_is_found(tmp_path: Path) -> None:
    """What stands behind is not read, whatever it is."""
    target = preview([schema(), *records([row(1), row(2)]), "no message"], tmp_path, Wanted(2))
    assert len(target.found.pairs) == 2
    assert target.delivery.counts.accepted == 2


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(20, hour="2024-01-01T01"), [2, 3]),
        (Wanted(20, event="bought"), [1, 3]),
        (Wanted(20, event="Order"), [1, 3]),
        (Wanted(20, user="user-3"), [3]),
        (Wanted(20, user="1002"), [2]),
        (Wanted(20, "2024-01-01T01", "bought", "user-3"), [3]),
        (Wanted(20, "2024-01-01T00", "bought", "user-3"), []),
        (Wanted(1, hour="2024-01-01T01"), [2]),
    ],
    ids=["hour", "event", "renamed event", "user", "amplitude id", "all", "none", "first"],
)
def test_what_is_wanted_is_shown(tmp_path: Path, wanted: Wanted, numbers: list[int]) -> None:
    """The others are counted, and come before it in the ledger."""
    hours = [START, START.replace(hour=1), START.replace(hour=1)]
    made = [
        hour_row(hour, number, event_type="bought" if number % 2 else "viewed")
        for number, hour in enumerate(hours, 1)
    ]
    settings = {"event_names": [{"from": "bought", "to": "Order"}]}
    target = preview([schema(), *records(made)], tmp_path, wanted, **settings)
    shown = [pair.record["event_properties"]["number"] for pair in target.found.pairs]
    assert shown == numbers


def test_links_and_groups_stand_beside_their_row_with_the_reason(tmp_path: Path) -> None:
    """As the run tells them: once."""
    groups = {"groups": {"team": ["red"]}, "group_properties": {"team": {"red": {"size": 3}}}}
    made = [row(number, user_id="ann", device_id="d-1", **groups) for number in (1, 2)]
    target = preview([schema(), *records(made)], tmp_path)
    first, second = target.found.pairs
    assert {one.event["event"] for one in first.added} == {"$create_alias", "$groupidentify"}
    assert all(one.why for one in first.added)
    assert second.added == []
    assert whys(target)["$groupidentify"][0] == "group_properties"


def test_what_an_older_row_tells_of_a_person_stays_on_its_event(tmp_path: Path) -> None:
    """The reason is that a newer row came before it."""
    late = {"server_upload_time": "2024-01-02 00:00:00.000000", "user_properties": {"plan": "pro"}}
    early = {
        "server_upload_time": "2024-01-01 00:00:00.000000",
        "user_properties": {"plan": "free"},
    }
    made = [row(1, user_id="ann", **late), row(2, user_id="ann", **early)]
    target = preview([schema(), *records(made)], tmp_path)
    assert "$set.plan" in whys(target)
    assert "newer row" in whys(target, 1)["user_properties"][1]
    assert "$set.plan" not in whys(target, 1)


def test_an_event_that_another_one_stands_for_says_so(tmp_path: Path) -> None:
    """Of two of one uuid the last is sent."""
    first, last = row(1), row(1, event_properties={"number": 2})
    pairs = preview([schema(), *records([first, last])], tmp_path).found.pairs
    assert [pair.is_sent for pair in pairs] == [False, True]
    assert pairs[0].head.startswith("not sent")


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_every_line_has_its_reason(tmp_path: Path, protocol: str) -> None:
    """By either protocol, of a row with all fields."""
    made = [typical_row(START, number) for number in range(6)]
    target = preview([schema(), *records(made)], tmp_path, protocol=protocol)
    for pair in target.found.pairs:
        assert all(line.why for line in pair.lines())


#: What the newer protocol has where it wants it (docs/decisions/0008-two-protocols.md).
_OF_V1 = {"options", "$lib", "$lib_version", "lib", "lib_version"}
SETTINGS = st.sampled_from(
    [
        {},
        {"protocol": "v1"},
        {"user_properties": "ignore", "skip_properties": ["c*"]},
        {"person_profiles": "identified_only", "standard_events": True},
    ]
)


@examples(25)
@given(st.lists(GOOD_ROWS | ROWS, min_size=1, max_size=5), SETTINGS)
def test_every_part_of_what_is_sent_is_shown_with_its_reason(
    rows: list[Json], settings: dict[str, Any]
) -> None:
    """Whatever the rows are, and whatever the newest rows, the ledger and the protocol changed."""
    messages = [schema(key=None), *records(rows)]
    with TemporaryDirectory() as folder:
        target = preview(messages, Path(folder), source_format="amplitude", **settings)
    assert len(target.found.pairs) == len(rows)
    for pair in target.found.pairs:
        if pair.event is not None:
            _hold(pair, pair.event)


def _hold(pair: Pair, event: Json) -> None:
    lines = [line for line in pair.lines() if line.name is not None]
    assert all(line.why for line in pair.lines())
    shown = {str(line.name).partition(".")[0] for line in lines} | {line.name for line in lines}
    assert event.keys() - {"properties"} | event["properties"].keys() <= shown
    by_protocol = [str(line.name) for line in lines if line.why == "`protocol`"]
    assert {one.removeprefix("source_") for one in by_protocol} <= _OF_V1


def test_batch_files_are_read_and_stay(tmp_path: Path) -> None:
    """The folder is the run's own, whose files a run would remove."""
    folder = tmp_path / "tap-amplitude-run-1"
    folder.mkdir()
    path = put(folder, "rows", [row(1), row(2)])
    target = preview([schema(), batch([path]), state({})], tmp_path, remove_batch_files=True)
    assert len(target.found.pairs) == 2
    assert path.exists()


ROW = json.dumps(row(1)).encode() + b"\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", ROW),
        ("a.json.gz", gzip.compress(ROW)),
        ("a.singer", encoded([schema(), record(row(1))])),
        ("a.zip", None),
        ("empty", b""),
        ("blank.jsonl", b"\n\n" + ROW),
        ("bom.jsonl", b"\xef\xbb\xbf" + ROW.strip() + b"\r\n"),
        ("array.json", b"[" + ROW + b"]"),
        ("named wrongly.txt", gzip.compress(ROW)),
    ],
)
def test_files_are_read_for_what_they_are(tmp_path: Path, name: str, content: bytes | None) -> None:
    """Exported rows, packed or not, and Singer messages."""
    path = tmp_path / name
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("1/1_2024-01-01_0#1.json.gz", gzip.compress(ROW))
            archive.writestr("__MACOSX/1.json.gz", b"x")
    else:
        path.write_bytes(content)
    target = previewed(messages_of([path], tmp_path), tmp_path)
    assert len(target.found.pairs) == (0 if name == "empty" else 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.gz", gzip.compress(ROW)[:-9]),
        ("a.zip", b"PK nothing"),
        ("a.jsonl", json.dumps(row(1)).encode("utf-16")),
    ],
    ids=["cut off", "no archive", "UTF-16"],
)
def test_a_damaged_file_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    """In words, not as a failure of this program."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TargetPosthogError, match=r"cannot be read|is cut off|UTF-16|damaged"):
        previewed(messages_of([path], tmp_path), tmp_path)


HOSTILE = "\x1b[31m\u202e</code><script>alert(1)</script>\x9b[bold]"


def test_hostile_rows_act_on_nothing(tmp_path: Path) -> None:
    """Neither on a terminal nor in a page, whose style alone may act."""
    bad = row(1, event_type=HOSTILE, event_properties={HOSTILE: [HOSTILE, "\ud800"]})
    target = preview([schema(), record(bad)], tmp_path)
    text = screen(target)
    page = page_of(target.found, target.delivery.counts)
    for one in ("\x1b", "\u202e", "\x9b", "\ud800"):
        assert one not in text
        assert one not in page
    assert "<script" not in page
    assert "[bold]" in text
    page.encode()
    json.dumps(as_json(target.found, target.delivery.counts))


def test_names_of_settings_are_code_in_the_page(tmp_path: Path) -> None:
    """Not words between backticks."""
    named = row(1, event_properties={"plan": "pro"})
    messages = [schema(), *records([named, row(2, event_type=None)])]
    target = preview(messages, tmp_path, property_names=[{"from": "plan", "to": "Plan"}])
    page = page_of(target.found, target.delivery.counts)
    assert "<code>property_names</code>" in page
    assert "`" not in page


@pytest.mark.parametrize(
    ("given", "hour"),
    [
        (None, ""),
        ("2024-01-31T05", "2024-01-31T05"),
        (" 2024-01-31 05:00Z", "2024-01-31T05"),
        ("2024-01-31 05:00:00Z", "2024-01-31T05"),
        ("2024-01-31T07:00:00+02:00", "2024-01-31T05"),
    ],
)
def test_an_hour_may_be_written_in_several_ways(given: str | None, hour: str) -> None:
    """As people and programs write it."""
    assert hour_given(given) == hour


@pytest.mark.parametrize("given", ["", "2024-01-31", "2024-02-30T05", "2024-01-31T05:30", "5"])
def test_what_is_no_hour_is_refused(given: str) -> None:
    """Else nothing would be found, and nobody would know why."""
    with pytest.raises(FixConfiguration, match=r"--hour is not an hour\. .* 2024-01-31T05\."):
        hour_given(given)


def hour_given(text: str | None) -> str:
    """Return the hour that the command makes of `--hour`."""
    (option,) = (one for one in command.params if one.name == "hour")
    hour: str = option.process_value(click.Context(command), text)
    return hour
