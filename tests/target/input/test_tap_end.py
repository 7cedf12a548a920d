"""What the states of a tap tell of earlier runs; how it ended is in `test_wishes`."""

from __future__ import annotations

from typing import Any

import pytest

from target_posthog.input.tap_end import tells_of_an_earlier_run


@pytest.mark.parametrize(
    ("state", "tells"),
    [
        ({}, False),
        (None, False),
        ({"currently_syncing": "orders"}, False),
        ({"bookmarks": {"orders": {}}, "currently_syncing": "orders"}, False),
        ({"bookmarks": {"shop-orders": {"version": 1795882317007}}}, False),
        ({"bookmarks": {"o": {"last_replication_method": "FULL_TABLE", "version": 1}}}, False),
        ({"bookmarks": {"o": {"starting_replication_value": "2024-01-01"}}}, False),
        ({"bookmarks": {"o": {"initial_full_table_complete": False, "oplog": None}}}, False),
        ({"bookmarks": {"events": {"next_export_hour": "2024-01-01T01:00:00Z"}}}, False),
        ({"bookmarks": {"o": {"replication_key_value": "2024-01-01"}}}, True),
        ({"bookmarks": {"o": {"version": 1, "xmin": 4711}}}, True),
        ({"bookmarks": {"o": {"partitions": [{"replication_key_value": 3}]}}}, True),
        ({"orders": "2024-01-01"}, True),
        ({"at": 1}, True),
    ],
)
def test_only_a_bookmark_of_what_was_read_tells_of_an_earlier_run(
    state: Any, tells: object
) -> None:
    """Taps write what they are about to do before their first record, in their first run, too."""
    assert tells_of_an_earlier_run(state) is tells
