"""Records of any other tap become events by the usual names."""

from __future__ import annotations

from typing import Any

import pytest

from target_posthog.conversion import Converted, Json, Rejected
from target_posthog.stream_fields import StreamFields

ORDERS = StreamFields("orders", ("id",))


def sent(record: Json, fields: StreamFields = ORDERS) -> Json:
    """Return what is sent for a record."""
    result = fields.convert(record)
    assert isinstance(result, Converted), result
    return result.event


def order(**changes: Any) -> Json:
    """Return a record."""
    return {"id": 7, "customer_id": "c1", "created_at": "2024-01-01T10:00:00Z", **changes}


def test_a_record_is_an_event_of_its_stream() -> None:
    """All of its fields are properties."""
    event = sent(order(total=12.5))
    assert (event["event"], event["distinct_id"]) == ("orders", "c1")
    assert event["timestamp"] == "2024-01-01T10:00:00.000000Z"
    assert event["properties"] == {**order(total=12.5), "$geoip_disable": True}


def test_a_day_is_its_first_moment() -> None:
    """Many taps have only dates."""
    assert sent(order(created_at="2024-01-01"))["timestamp"] == "2024-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"customer_id": None}, "no_distinct_id"),
        ({"customer_id": "null"}, "no_distinct_id"),
        ({"customer_id": "x" * 201}, "distinct_id_too_long"),
        ({"created_at": None}, "bad_time"),
        ({"created_at": "soon"}, "bad_time"),
    ],
)
def test_what_cannot_be_an_event_is_rejected(changes: Json, code: str) -> None:
    """Each under its own code."""
    result = ORDERS.convert(order(**changes))
    assert isinstance(result, Rejected)
    assert result.code == code


def test_the_first_usable_name_is_the_person() -> None:
    """An illegal id does not hide a legal one."""
    assert sent(order(user_id="null", device_id="d1"))["distinct_id"] == "c1"
    assert sent(order(user_id="u1"))["distinct_id"] == "u1"


def test_the_records_own_uuid_is_kept() -> None:
    """In its canonical form."""
    own = "550E8400-E29B-41D4-A716-446655440000"
    assert sent(order(event_id=own))["uuid"] == own.lower()


def test_without_a_uuid_the_key_makes_it() -> None:
    """The same key is the same event, whatever else changed; 0 is a key like any other."""
    assert sent(order(total=1))["uuid"] == sent(order(total=2))["uuid"]
    assert sent(order(id=0, total=1))["uuid"] == sent(order(id=0, total=2))["uuid"]
    assert sent(order(id=0))["uuid"] != sent(order(id=1))["uuid"]
    assert sent(order())["uuid"] != sent(order(), StreamFields("refunds", ("id",)))["uuid"]


def test_without_a_key_the_whole_record_makes_it() -> None:
    """But not Singer's own columns, which are new in each run."""
    keyless = StreamFields("orders", ())
    first = sent(order(total=1), keyless)
    assert first["uuid"] == sent(order(total=1, _sdc_batched_at="2024"), keyless)["uuid"]
    assert first["uuid"] != sent(order(total=2), keyless)["uuid"]
    assert sent(order(id=None, a=1))["uuid"] != sent(order(id=None, a=2))["uuid"]
