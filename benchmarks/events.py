"""Rows of a made-up export as text: about 2 KB each, of devices that come again and again.

A row is one text template for each device, filled in for each event: building 5 million rows as
objects would take longer than to move them. The devices are those of the sample export. Pure.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tools.sample_export.devices import (
    Device,
    Generation,
    Platform,
    browser,
    phone,
    random_uuid,
    server,
)
from tools.sample_export.rows import blank_row, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

#: How many rows share a device, over the whole export; how many share a session.
_EVENTS_OF_A_DEVICE, _EVENTS_OF_A_SESSION = 40, 12
#: How often the device of a session is one that came of late.
_LOYALTY = 1.5
_HOUR_MS = 3_600_000
#: How far a row's other times may lie before and after its hour, in seconds.
_BEFORE, _AFTER = 180, 60

#: The first 48 bits of a row's uuid are its number times an odd one: they look like chance, and
#: the number can be read back without remembering millions of uuids.
_BITS = 48
_SPREAD = 0x9E37_79B9_7F4B
_SPREAD_BACK = pow(_SPREAD, -1, 1 << _BITS)

#: What the shop tells of each event.
_COMMON = {
    "section": "shop",
    "test": {"name": "pay", "arm": "<few>"},
    "currency": "EUR",
    "load_ms": "<small>",
    "basket": "<token>",
    "value": "<price>",
}
_PAGE = {
    "[Amplitude] Page Path": "/p/<token>",
    "[Amplitude] Page Title": "Hoses | Shop",
    "[Amplitude] Page URL": "https://shop.example/p/<token>",
    "[Amplitude] Page Counter": "<small>",
    "depth": "<few>",
    "theme": "dark",
    "slot": "<few>",
}
_PRODUCT = {
    "product": "sku-<small>",
    "name": "Garden hose, <few>5 m",
    "category": ["garden", "hoses"],
    "price": "<price>",
    "quantity": "<few>",
    "position": "<small>",
    "list": "for-you",
}
_EVENTS: dict[str, dict[str, Any]] = {
    "[Amplitude] Page Viewed": _PAGE,
    "[Amplitude] Element Clicked": {
        "[Amplitude] Element ID": "add-<small>",
        "[Amplitude] Element Tag": "button",
        "[Amplitude] Element Text": "Add",
        "[Amplitude] Page URL": "https://shop.example/p/<token>",
        "depth": "<few>",
        "theme": "dark",
        "slot": "<few>",
    },
    "Product Viewed": _PRODUCT,
    "Product Added": {**_PRODUCT, "cart": "<token>"},
    "Search Performed": {
        "query": "garden hose <few>",
        "results": "<small>",
        "filters": {"brand": ["Example", "Other"], "max_price": "<price>"},
        "sort": "relevance",
        "took_ms": "<small>",
        "page": "<few>",
    },
    "Checkout Step Completed": {
        "step": "<few>",
        "step_name": "delivery",
        "payment": "card",
        "coupon": None,
        "delivery": {"kind": "parcel", "days": "<few>", "cost": "<price>"},
    },
    "Order Completed": {
        "order_id": "order-<token>",
        "$revenue": "<price>",
        "products": [{"sku": "sku-<small>", "price": "<price>", "quantity": "<few>"}] * 2,
        "payment": "card",
    },
}
_NAMES = tuple(_EVENTS)
_WEIGHTS = (34, 26, 16, 8, 8, 5, 3)
#: Browsers, phones of both kinds, servers.
_PLATFORMS = (50, 40, 10)
#: These stand alone in a value, so they are numbers.
_NUMBERS = re.compile(r'"(<(?:few|small|price|event_id|session_id|visits)>)"')
#: These are whole JSON values.
_VALUES = re.compile(r'"(<(?:user_id|event_properties)>)"')
_SLOT = re.compile(r"<(\w+)>")


@dataclass(frozen=True)
class HourPart:
    """The rows of one file: those of some of the devices, in one export hour.

    Attributes:
        hour: the export hour, UTC.
        partition, partitions: which of how many files of the hour.
        first: the number of its first row in the whole export.
        rows: how many it has.
        before: how many rows the export had before this hour; it tells how many devices there are.
    """

    hour: datetime
    partition: int
    partitions: int
    first: int
    rows: int
    before: int


@dataclass(frozen=True)
class _Sender:
    """A device as its rows show it."""

    template: str
    platform: Platform
    user: str | None
    anonymous_share: float


def lines(part: HourPart, seed: int = 0) -> Iterator[str]:
    """Yield the rows of a file, each a line of JSON, in the order of their upload."""
    rng = random.Random(f"{seed} {part.hour.isoformat()} {part.partition}")
    clock = _clock(part.hour)
    moments = sorted(_moments(rng, part), key=lambda moment: moment[0])
    for number, (at, sender, drawn) in enumerate(moments, start=part.first):
        slots = drawn | _times(rng, clock, at, sender)
        slots["uuid"] = row_uuid(number, rng.getrandbits(76))
        slots["event_properties"] = _event_templates()[slots["event_type"]] % slots
        yield sender.template % slots


def row_uuid(number: int, chance: int) -> str:
    """Return the version 4 uuid of the row of this number.

    Args:
        number: from 0, below 2**48.
        chance: 76 random bits.
    """
    head = f"{number * _SPREAD & ((1 << _BITS) - 1):012x}"
    tail = f"{chance:019x}"
    return f"{head[:8]}-{head[8:]}-4{tail[:3]}-a{tail[3:6]}-{tail[6:18]}"


def row_number(uuid: str) -> int:
    """Return the number of the row that `row_uuid` gave this uuid."""
    return int(uuid[:8] + uuid[9:13], 16) * _SPREAD_BACK & ((1 << _BITS) - 1)


def _moments(rng: random.Random, part: HourPart) -> Iterator[tuple[int, _Sender, dict[str, Any]]]:
    """Yield (milliseconds into the hour, sender, slots) of each row, session by session."""
    left = part.rows
    while left:
        length = min(left, 1 + int(rng.expovariate(1 / _EVENTS_OF_A_SESSION)))
        left -= length
        sender = _sender(_device_number(rng, part))
        at = rng.randrange(_HOUR_MS)
        start = int(part.hour.timestamp() * 1000) + at
        login = length * rng.random() if rng.random() < sender.anonymous_share else -1
        counter = rng.randrange(1000)
        for step in range(length):
            token = f"{rng.getrandbits(32):08x}"
            yield (
                at,
                sender,
                {
                    "event_type": rng.choices(_NAMES, _WEIGHTS)[0],
                    "event_id": counter + step,
                    "session_id": -1 if sender.platform is Platform.SERVER else start,
                    "visits": counter // 20 + 1,
                    "user_id": "null" if sender.user is None or step < login else sender.user,
                    "insert_id": random_uuid(rng),
                    "token": token,
                    "few": step % 5,
                    "small": int(token, 16) % 1000,
                    "price": int(token, 16) % 20_000 / 100,
                },
            )
            at = (at + int(rng.expovariate(1 / 20_000))) % _HOUR_MS


def _device_number(rng: random.Random, part: HourPart) -> int:
    """Choose a device of this partition; those that came of late are the likelier ones."""
    known = part.before // _EVENTS_OF_A_DEVICE // part.partitions
    fresh = part.rows // _EVENTS_OF_A_DEVICE + 1
    back = int((known + fresh) * rng.random() ** _LOYALTY)
    return (known + fresh - 1 - back) * part.partitions + part.partition


def _times(rng: random.Random, clock: tuple[str, ...], at: int, sender: _Sender) -> dict[str, str]:
    """Return the row's times; the device's clock is right, so `event_time` is its own."""
    received = at - rng.randrange(3, 60)
    sent = received - rng.randrange(40, 400)
    held = 50_000 if sender.platform in (Platform.IOS, Platform.ANDROID) else 2_000
    happened = sent - rng.randrange(held)
    processed = at + rng.randrange(300, 2_500)
    named = {
        "happened": happened,
        "sent": sent,
        "received": received,
        "uploaded": at,
        "processed": processed,
    }
    return {
        name: f"{clock[time // 1000 + _BEFORE]}{time % 1000:03}000" for name, time in named.items()
    }


def _clock(hour: datetime) -> tuple[str, ...]:
    """Return the beginning of each second's text, from `_BEFORE` the hour to `_AFTER` it."""
    first = int((hour - timedelta(seconds=_BEFORE)).timestamp())
    seconds = range(first, first + _BEFORE + _HOUR_MS // 1000 + _AFTER)
    return tuple(stamp(second * 1_000_000)[:-6] for second in seconds)


@lru_cache(maxsize=50_000)
def _sender(number: int) -> _Sender:
    """Return the device of this number: always the same one."""
    rng = random.Random(number)
    someone = f"user-{100_000 + number // 4 * 3}"
    # Every other device has a user, and users have two.
    user = someone if number % 4 in (0, 1) else None
    kind = rng.choices((Platform.WEB, Platform.IOS, Platform.SERVER), _PLATFORMS)[0]
    if kind is Platform.WEB:
        device = browser(rng)
    elif kind is Platform.IOS:
        device = phone(rng)
    else:
        user = someone
        device = server(rng, someone)
    share = 0.0 if device.platform is Platform.SERVER else 0.3
    quoted = None if user is None else f'"{user}"'
    return _Sender(_template(device, rng), device.platform, quoted, share)


def _template(device: Device, rng: random.Random) -> str:
    """Return the line of a device with named slots for what changes from event to event."""
    row = blank_row(replace(device, generation=Generation.THIRD))
    company = f"company-{rng.randrange(200)}"
    row |= {
        "$insert_id": "<insert_id>",
        "amplitude_id": device.amplitude_id,
        "client_event_time": "<happened>",
        "client_upload_time": "<sent>",
        "data": {"path": "/2/httpapi"},
        "event_id": "<event_id>",
        "event_properties": "<event_properties>",
        "event_time": "<happened>",
        "event_type": "<event_type>",
        "group_properties": {},
        "groups": rng.choice(({"company": [company]}, {}, {}, {}, {})),
        "processed_time": "<processed>",
        "server_received_time": "<received>",
        "server_upload_time": "<uploaded>",
        "session_id": "<session_id>",
        "user_id": "<user_id>",
        "user_properties": _user_properties(rng),
        "uuid": "<uuid>",
    }
    return f"{_with_slots(row)}\n"


def _user_properties(rng: random.Random) -> dict[str, Any]:
    """Return eighteen properties of a person."""
    source = rng.choice(("newsletter", "search", "social", "partner"))
    return {
        "account": f"{rng.getrandbits(48):012x}",
        "plan": rng.choice(("free", "basic", "pro")),
        "seats": rng.randrange(1, 5000),
        "since": f"2023-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
        "paid": rng.randrange(100_000) / 100,
        "verified": rng.choice((True, True, False)),
        "roles": ["buyer"],
        "locale": rng.choice(("en", "de", "fr", "pt-BR", "ja")),
        "visits": "<visits>",
        "tier": {"name": rng.choice(("silver", "gold")), "points": rng.randrange(5000)},
        "opt_in": rng.choice((True, False, False)),
        "score": rng.randrange(10_000),
        "week": rng.randrange(52),
        "team": f"t{rng.randrange(100)}",
        "utm_source": source,
        "utm_medium": "email",
        "initial_utm_source": source,
        "initial_gclid": "EMPTY",
    }


@lru_cache(maxsize=1)
def _event_templates() -> dict[str, str]:
    return {name: _with_slots({**own, **_COMMON}) for name, own in _EVENTS.items()}


def _with_slots(value: Any) -> str:
    """Return the value as JSON whose `<name>` are slots of `%`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("%", "%%")
    return _SLOT.sub(r"%(\1)s", _VALUES.sub(r"\1", _NUMBERS.sub(r"\1", text)))
