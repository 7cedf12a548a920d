"""Which uuid an event has: always the same for the same row."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tap_amplitude.records import Row
from target_posthog.common.derived_uuids import NAMESPACE, canonical_json, derived_uuid
from target_posthog.formats.amplitude.event_ids import event_uuid
from target_posthog.posthog.uuids import canonical_uuid
from tests.support.reading import read_row

ROW: dict[str, Any] = {
    "uuid": None,
    "app": 512340,
    "device_id": "device-1",
    "user_id": "user-1",
    "$insert_id": "insert-1",
    "event_type": "Play",
    "event_time": "2024-01-31 12:34:56.789012",
}


@pytest.mark.parametrize(
    "text",
    [
        "e6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d15",
        "E6FE6A70-8A06-11ED-9AC0-AB8BD3FC3D15",
        "e6fe6a708a0611ed9ac0ab8bd3fc3d15",
        "E6FE6A708A0611ed9ac0ab8bd3fc3d15",
    ],
)
def test_the_rows_own_uuid_is_sent_in_its_canonical_form(text: str) -> None:
    """Case and hyphens are spelling; PostHog would take two spellings for two events."""
    assert event_uuid({**ROW, "uuid": text}) == "e6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d15"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " e6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d15",
        "e6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d15\n",
        "{e6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d15}",
        "e6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d1",
        "e6fe6a70-8a0611ed-9ac0-ab8bd3fc3d15",
        "g6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d15",
        "е6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d15",  # noqa: RUF001 - the first letter is Cyrillic
        7,
        ["e6fe6a70-8a06-11ed-9ac0-ab8bd3fc3d15"],
    ],
)
def test_what_is_no_uuid_is_replaced_by_one_made_of_the_row(value: Any) -> None:
    """PostHog refuses a whole request for one malformed uuid."""
    assert canonical_uuid(value) is None
    assert event_uuid({**ROW, "uuid": value}) == event_uuid(ROW)


def test_the_made_uuid_is_version_5_of_app_device_and_insert_id() -> None:
    """Amplitude itself takes a repeat of device and insert id for the same event."""
    expected = uuid.uuid5(NAMESPACE, '["event",512340,"device-1","insert-1"]')
    assert event_uuid(ROW) == str(expected)
    assert event_uuid(ROW | {"event_time": "2025-01-01 00:00:00", "event_id": 9}) == str(expected)


def test_the_namespace_never_changes() -> None:
    """Another namespace would double every event whose uuid was made."""
    assert str(NAMESPACE) == "440d484f-b305-4763-8122-2f7d5801fca7"


@pytest.mark.parametrize("device", [None, ""])
def test_without_a_device_the_user_identifies_the_sender(device: str | None) -> None:
    """Server events may have no device."""
    expected = uuid.uuid5(NAMESPACE, '["event",512340,"user-1","insert-1"]')
    assert event_uuid({**ROW, "device_id": device}) == str(expected)


@pytest.mark.parametrize(
    "change",
    [{"app": 2}, {"device_id": "device-2"}, {"$insert_id": "insert-2"}, {"$insert_id": None}],
    ids=str,
)
def test_another_identity_gives_another_uuid(change: dict[str, Any]) -> None:
    """Two events must never become one."""
    assert event_uuid(ROW | change) != event_uuid(ROW)


@pytest.mark.parametrize("missing", ["$insert_id", "sender"])
def test_without_insert_id_or_sender_the_whole_row_counts(missing: str) -> None:
    """Then any difference between two rows makes two events."""
    absent = {"$insert_id": None} if missing == "$insert_id" else {"device_id": "", "user_id": None}
    row = ROW | absent
    assert event_uuid(row) == event_uuid(dict(reversed(list(row.items()))))
    assert event_uuid(row) != event_uuid(row | {"event_type": "Pause"})
    assert event_uuid(row) != event_uuid(row | {"event_time": "2024-01-31 12:34:56.789013"})


def test_a_record_and_its_row_have_the_same_made_uuid() -> None:
    """A RECORD has RFC 3339 times and Singer's columns, which differ from run to run."""
    row = ROW | {"$insert_id": None}
    record = row | {
        "event_time": "2024-01-31T12:34:56.789012Z",
        "_sdc_extracted_at": "2026-01-01T00:00:00Z",
        "_sdc_sequence": 17,
    }
    assert event_uuid(record) == event_uuid(row)


@pytest.mark.parametrize(("time", "is_none"), [("", True), (" ", True), (7, False)])
def test_a_blank_time_is_none(time: object, *, is_none: bool) -> None:
    """A RECORD has null where a BATCH file has an empty text."""
    row = ROW | {"$insert_id": None}
    same = event_uuid(row | {"event_time": time}) == event_uuid(row | {"event_time": None})
    assert same is is_none


@pytest.mark.parametrize("insert_id", ["insert-1", None])
def test_the_tap_and_the_target_make_the_same_uuid(insert_id: str | None) -> None:
    """The tap gives a RECORD a uuid for its key; a BATCH file comes without one."""
    row = ROW | {"$insert_id": insert_id}
    read = read_row(json.dumps(row).encode())
    assert isinstance(read, Row)
    assert event_uuid(read.record) == event_uuid(row)


def test_another_kind_of_event_has_another_uuid() -> None:
    """A link and a group event of the same parts are two events."""
    assert derived_uuid("$create_alias", "a", "b") != derived_uuid("$identify", "a", "b")
    assert derived_uuid("$identify", "a", "b") != derived_uuid("$identify", "b", "a")
    assert derived_uuid("$identify", "ab", "c") != derived_uuid("$identify", "a", "bc")


def test_canonical_json_sorts_keys_at_every_depth() -> None:
    """The order of keys in an export is not promised."""
    assert (
        canonical_json({"b": [{"d": 1, "c": 2}], "a": "é"}) == '{"a":"\\u00e9","b":[{"c":2,"d":1}]}'
    )
