"""What the states of a tap tell of earlier runs; how it ended is in `test_effect_of_settings`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from target_posthog.input.tap_end import tap_end_of, tells_of_an_earlier_run
from target_posthog.progress.counts import Hours


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
        ({"bookmarks": {"o": {"last_replication_method": "LOG_BASED", "lsn": 4711}}}, False),
        ({"bookmarks": {"o": {"lsn": 4711, "version": 1, "xmin": None}}}, True),
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


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (1, "the hour 2024-01-02T23Z is missing."),
        (2, "the hours from 2024-01-02T22Z to 2024-01-02T23Z are missing."),
    ],
)
def test_the_hours_that_are_missing_are_told_to_the_last(hours: int, words: str) -> None:
    """As everywhere else, where a range is told."""
    until = datetime(2024, 1, 3, tzinfo=timezone.utc)
    ended = tap_end_of(
        is_closed=True,
        has_states=True,
        has_records=True,
        hours=Hours(until - timedelta(hours=hours), until),
    )
    assert ended.doubt == f"The tap ended early: {words} See its log, and run again."
