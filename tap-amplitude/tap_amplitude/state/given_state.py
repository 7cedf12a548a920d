"""The state that a run is given: taken over, or refused with what to do about it (pure)."""

from __future__ import annotations

from typing import Any

from tap_amplitude.errors import FixConfiguration
from tap_amplitude.state.bookmark import Bookmark

#: The streams whose state is a `Bookmark`.
HOURLY_STREAMS = ("events", "merged_ids")
CORRECT_IT = (
    "Correct it with `meltano state set` (or in the file of `--state`), "
    "or start over from `start_date` with `--full-refresh`."
)


def checked_state(state: Any) -> dict[str, Any]:
    """Return the state, of the hourly streams with the tap's own keys only.

    An empty state starts at `start_date`.

    Raises:
        FixConfiguration: It is no state of this tap. Starting over by itself would export
            everything again.
    """
    bookmarks = state.get("bookmarks", {}) if isinstance(state, dict) else None
    if not isinstance(bookmarks, dict) or (state and "bookmarks" not in state):
        raise FixConfiguration("The state has no valid `bookmarks`.", remedy=CORRECT_IT)
    checked = {name: mine for name, mine in bookmarks.items() if mine}
    for name, mine in list(checked.items()):
        if not isinstance(mine, dict):
            raise FixConfiguration(
                f"The bookmark of `{name}` is not a JSON object.", remedy=CORRECT_IT
            )
        if name in HOURLY_STREAMS and (bookmark := _bookmark_of(name, checked.pop(name))):
            checked[name] = bookmark.to_state()
    return {"bookmarks": checked} if checked else {}


def _bookmark_of(name: str, mine: dict[str, Any]) -> Bookmark | None:
    if "replication_key_value" in mine and "next_export_hour" not in mine:
        raise FixConfiguration(
            f"The state was written by another tap: its bookmark of `{name}` names a record, not "
            "an hour (`next_export_hour`).",
            remedy=CORRECT_IT,
        )
    try:
        return Bookmark.from_state(mine)
    except ValueError as error:
        raise FixConfiguration(
            f"The state cannot be read: {error} (bookmark of `{name}`).", remedy=CORRECT_IT
        ) from error
