"""What is said of the state, word for word: in `snapshots`, renewed by `--update-snapshots`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tap_amplitude.state import notes
from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.state.coverage import Covered

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.snapshots import Snapshot


def at(hour: int) -> datetime:
    """An hour of the first day of 2024."""
    return datetime(2024, 1, 1, hour, tzinfo=timezone.utc)


def test_each_note_says_what_is_so(tmp_path: Path, snapshot: Snapshot) -> None:
    """With a warning's mark where something is left out."""
    bookmark = Bookmark(next_export_hour=at(9), export_from=at(3))
    said = {
        "gap before": notes.gap_before(bookmark, at(1)),
        "start has no effect": notes.start_has_no_effect(at(9), at(5)),
        "start has no effect, and more is read": notes.start_has_no_effect(at(5), at(9)),
        "end is ahead": notes.end_is_ahead(at(6), at(5)),
        "nothing to do, all is read": notes.nothing_to_do(at(5), at(5), at(5)),
        "nothing to do, not ready": notes.nothing_to_do(at(5), at(4), at(3)),
        "state is adopted": notes.state_is_adopted(),
        "switch to the API": notes.switch_to_api("", at(5)),
        "switch to the API of an app": notes.switch_to_api("7", at(5)),
        "reads again": notes.reads_again(at(4), at(5)),
        "reads many again": notes.reads_again(at(3), at(5)),
        "files again": notes.files_again(2000, at(5)),
        "files are adopted": notes.files_are_adopted(bookmark, []),
        "files of apps are adopted": notes.files_are_adopted(bookmark, ["7", ""]),
        "switch to files": notes.switch_to_files(""),
        "switch to files of an app": notes.switch_to_files("7"),
        "an app is new": notes.apps_are_new({"7": at(5)}),
        "apps are new": notes.apps_are_new({"8": at(6), "7": at(5)}),
        "gap after": notes.gap_after("", at(5), at(8)),
        "gap after, of an app": notes.gap_after("7", at(5), at(8)),
        "all anew": notes.all_anew("", 1),
        "all anew, of an app": notes.all_anew("7", 2),
        "more files": notes.more_files("", 1, Covered(at(3), at(5))),
        "more files of an app": notes.more_files("7", 2, Covered(at(3), at(5))),
        "not listed": notes.not_listed(["2024-01-01", "2024-01-02"]),
    }
    texts = {
        name: f"{'WARNING' if note.is_warning else 'INFO'}: {note.text}\n"
        for name, note in said.items()
        if note
    }
    assert texts.keys() == said.keys()
    snapshot.check(tmp_path, **texts, **{"late files": notes.late_files(at(3), at(5)) + "\n"})


def test_what_is_as_it_should_be_needs_no_note() -> None:
    """At the very hour from which on something would be said."""
    bookmark = Bookmark(next_export_hour=at(9), export_from=at(3))

    assert notes.gap_before(bookmark, at(3)) is None
    assert notes.gap_before(bookmark, None) is None
    assert notes.start_has_no_effect(at(9), at(9)) is None
    assert notes.end_is_ahead(at(5), at(5)) is None
    assert notes.end_is_ahead(None, at(5)) is None
    assert notes.reads_again(at(5), at(5)) is None
    assert notes.not_listed([]) is None
