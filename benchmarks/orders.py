"""Records of an ordinary tap, as it writes them: Singer messages of a stream of orders.

A SCHEMA, then RECORDs of 13 fields with a STATE after each few thousand. Made once and kept.
"""

from __future__ import annotations

import hashlib
import os
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib import (
    Message,
    RecordMessage,
    SchemaMessage,
    StateMessage,
    format_message,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STREAM = "orders"
#: How target-posthog is told to make events of them, by its setting `streams`.
MAPPING = {
    "event": "kind",
    "distinct_id": "customer_id",
    "timestamp": "placed_at",
    "properties": [
        "id",
        "number",
        "total",
        "items",
        "paid",
        "currency",
        "note",
        "updated_at",
        "shipping",
    ],
    "set": {"email": "email", "country": "shipping.country"},
}

_RECORDS_OF_A_STATE = 5_000
_RECORDS_OF_A_CUSTOMER = 12
_NOBODYS = 2**63
_START = datetime(2024, 1, 1, tzinfo=timezone.utc)
_KINDS = ("Order placed", "Order paid", "Order shipped", "Order returned")
_NOTES = (None, None, None, "Please ring twice.", "Als Geschenk verpacken, für Jürgen.")
_TEXT = {"type": ["string", "null"]}
_TIME = {"type": ["string", "null"], "format": "date-time"}
_NUMBER, _INTEGER = {"type": ["number", "null"]}, {"type": ["integer", "null"]}
_SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "number": _TEXT,
        "customer_id": _TEXT,
        "email": _TEXT,
        "kind": _TEXT,
        "placed_at": _TIME,
        "updated_at": _TIME,
        "total": _NUMBER,
        "items": _INTEGER,
        "paid": {"type": ["boolean", "null"]},
        "currency": _TEXT,
        "note": _TEXT,
        "shipping": {
            "type": ["object", "null"],
            "properties": {"method": _TEXT, "country": _TEXT, "zip": _TEXT, "days": _INTEGER},
        },
    },
}


def orders(records: int, cache: Path) -> Path:
    """Return the file of so many records, made now if it is not in the cache.

    Args:
        records: how many; 0 gives a SCHEMA and a STATE.
        cache: where the files are kept.
    """
    # Another generator makes other records.
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = cache / f"orders-{records}-{version}.jsonl"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8") as lines:
            for message in messages(records):
                lines.write(f"{format_message(message)}\n")
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return path


def messages(records: int) -> Iterator[Message]:
    """Yield what a tap of the SDK writes of so many orders."""
    rng = random.Random(records)
    yield SchemaMessage(STREAM, _SCHEMA, ["id"], ["updated_at"])
    for number in range(records):
        record = order(rng, number, 1 + records // _RECORDS_OF_A_CUSTOMER)
        yield RecordMessage(STREAM, record, time_extracted=_START)
        if (number + 1) % _RECORDS_OF_A_STATE == 0:
            yield _state(number)
    yield _state(records)


def order(rng: random.Random, number: int, customers: int) -> dict[str, Any]:
    """Return a record.

    Args:
        rng: what is chosen by chance comes from it.
        number: of the record.
        customers: how many there are.
    """
    customer = rng.randrange(customers)
    placed = _START + timedelta(seconds=7 * number, microseconds=1 + rng.randrange(999_999))
    return {
        "id": number,
        "number": f"SO-{number:08}",
        "customer_id": f"c-{customer:06}",
        "email": f"customer.{customer}@shop.example",
        "kind": rng.choice(_KINDS),
        "placed_at": placed.isoformat(),
        "updated_at": (placed + timedelta(seconds=rng.randrange(90_000))).isoformat(),
        "total": rng.randrange(500, 50_000) / 100,
        "items": rng.randrange(1, 12),
        "paid": rng.random() < 0.9,  # noqa: PLR2004 - nine of ten
        "currency": rng.choice(("EUR", "USD", "GBP")),
        "note": rng.choice(_NOTES),
        "shipping": {
            "method": rng.choice(("parcel", "letter", "pick-up")),
            "country": rng.choice(("DE", "AT", "FR", "US")),
            "zip": f"{rng.randrange(100_000):05}",
            "days": rng.randrange(1, 9),
        },
    }


def order_number(event: Mapping[str, Any]) -> int:
    """Return the number of the record that an event stands for, or one that no record has."""
    number: int = event["properties"].get("id", _NOBODYS)
    return number


def _state(number: int) -> StateMessage:
    return StateMessage({"bookmarks": {STREAM: {"replication_key_value": number}}})
