"""What rejects files hold is counted line by line, whatever the lines are."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.rejects.listing import Listing, run_of
from target_posthog.rejects.listing_texts import as_json, as_text
from tests.support.rows import row

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "target-posthog-20240101T000000Z-7-0123abcd"


def line(code: str = "bad_time", record: Any = None, **more: Any) -> bytes:
    """Return a line of a rejects file."""
    return json.dumps(
        {"code": code, "stage": "check", "reason": "…", "record": record, **more}
    ).encode()


def listed(*lines: bytes, file: str = f"{RUN}.jsonl") -> Listing:
    """Return the listing of one file."""
    listing = Listing()
    listing.add(file, lines)
    return listing


def test_lines_are_counted_by_code_stream_and_run() -> None:
    """With the first line of each code as its example."""
    listing = listed(
        line(record=row(1)),
        line(record={"id": 1}, stream="orders"),
        line("bad_event", {"id": 2}),
        line("refused_by_posthog", {"event": "$identify"}, added={"link": ["u", "d"]}),
        line("bad_line", '{"event_type": cut'),
    )
    assert dict(listing.codes) == {
        "bad_time": 2, "bad_event": 1, "refused_by_posthog": 1, "bad_line": 1,
    }  # fmt: skip
    assert {name: codes.total() for name, codes in listing.streams.items()} == {
        "events": 1, "orders": 1, "not named": 2, "links and group updates": 1,
    }  # fmt: skip
    assert {name: codes.total() for name, codes in listing.runs.items()} == {RUN: 5}
    example = listing.examples["bad_time"]
    assert (example.line, example.stream, example.event) == (1, "events", "viewed")


@pytest.mark.parametrize(
    "name",
    [
        f"{RUN}-c0ffee.jsonl",
        f"a/{RUN}-c0ffee.jsonl",
        f"bucket/{RUN}-c0ffee-000001.jsonl",
        f"{RUN}-c0ffee-000002.jsonl",
    ],
)
def test_all_files_of_a_run_are_one_run(name: str) -> None:
    """In a bucket a run writes many."""
    assert run_of(name) == f"{RUN}-c0ffee"


def test_two_pods_are_two_runs() -> None:
    """Though both have the same process id, and began in the same second."""
    assert run_of(f"{RUN}-c0ffee.jsonl") != run_of(f"{RUN}-facade.jsonl")
    tap = "tap-amplitude-20240101T000000Z"
    assert run_of(f"{tap}-c0ffee-000001.jsonl") == f"{tap}-c0ffee"


def test_files_of_earlier_versions_have_their_runs() -> None:
    """Their names ended earlier; a name that is not ours is its own."""
    assert run_of(f"{RUN}.jsonl") == RUN
    assert run_of(f"{RUN}.jsonl.replayed") == RUN
    assert run_of("tap-amplitude-20240101T000000Z.jsonl") == "tap-amplitude-20240101T000000Z"
    assert run_of("mine.jsonl") == "mine.jsonl"


@pytest.mark.parametrize(
    "broken", [b"", b"[]", b"{", b'{"code": 1}', b"\xff", b"null", b"[" * 9999]
)
def test_a_line_that_is_none_is_counted_apart(broken: bytes) -> None:
    """It was cut off by a crash, or edited."""
    listing = listed(broken, line())
    assert (listing.total, listing.others) == (1, 1)


def test_unusual_json_is_listed_and_shown() -> None:
    """Lone surrogates and NaN, which strict readers refuse, and what acts on a terminal."""
    why = rb'"code":"bad_event","reason":"\u001b[31m","stream":7'
    listing = listed(b'{%b,"record":{"event":"\\ud800","n":NaN}}' % why)
    assert listing.examples["bad_event"].event == "\ufffd"
    text = as_text(listing, Listing(), shows_records=True)
    assert "\x1b" not in text
    text.encode()


@given(st.binary())
def test_any_line_is_read(raw: bytes) -> None:
    """The listing ends in sums, never in a failure, and can be printed."""
    listing = listed(raw)
    assert listing.total + listing.others == 1
    as_text(listing, listing, shows_records=True).encode()
    json.dumps(as_json(listing, listing, shows_records=True))


def test_a_record_is_shown_only_on_demand() -> None:
    """Its place is enough to find it."""
    listing = listed(line(record=row(1, user_id="hushhush")))
    assert "hushhush" not in as_text(listing, Listing(), shows_records=False)
    assert "hushhush" in as_text(listing, Listing(), shows_records=True)
    assert "hushhush" not in json.dumps(as_json(listing, Listing(), shows_records=False))
    assert "hushhush" in json.dumps(as_json(listing, Listing(), shows_records=True))


def test_memory_does_not_grow_with_the_file() -> None:
    """Only sums and examples stay."""

    def lines(count: int) -> Iterator[bytes]:
        for number in range(count):
            yield line(record=row(number), code=("bad_time", "bad_event")[number % 2])

    tracemalloc.start()
    try:
        Listing().add("a.jsonl", lines(20))
        tracemalloc.reset_peak()
        Listing().add("a.jsonl", lines(5_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def runs_of(days: range) -> Listing:
    """Return the rejects of a run on each of some days; the last one wrote two files."""
    listing = Listing()
    for day in [*days, days[-1]]:
        listing.add(f"target-posthog-202401{day:02}T000000Z-7-0123abcd.jsonl", [line()])
    return listing


def test_the_newest_runs_are_listed_and_the_others_counted() -> None:
    """An hourly schedule makes thousands; how to see them all is said beside."""
    ours, others = runs_of(range(1, 26)), runs_of(range(1, 22))
    text = as_text(ours, others, shows_records=False)
    head = "target-posthog-202401"
    days = [row[len(head) :][:2] for row in text.splitlines() if row.startswith(head)]
    assert days == [f"{day:02}" for day in [*range(6, 26), *range(2, 22)]]
    assert "and 5 older runs with 5 rejects: `--all` lists them." in text
    assert "and 1 older run with 1 reject: `--all` lists them." in text
    everything = as_text(ours, others, shows_records=False, shows_all=True)
    assert everything.count(f"\n{head}") == 46
    assert "older" not in everything
    assert len(as_json(ours, others, shows_records=False)["runs"]) == 25
