"""A delivery in memory: a transport that refuses what a test names, and real everything else."""

from __future__ import annotations

import gzip
import json
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from target_posthog.capture.batches import Batch, BatchBuilder, Limits
from target_posthog.capture.client import CaptureApi
from target_posthog.capture.protocols import BatchWire
from target_posthog.capture.rate_limit import RateLimiter
from target_posthog.capture.results import BatchRefused, SendResult
from target_posthog.delivery.delivery import Delivery
from target_posthog.delivery.requests import InlineRequests
from target_posthog.delivery.settings import DeliverySettings
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.resolver import IdentityResolver
from target_posthog.input.intake import Intake
from target_posthog.model import Converted
from target_posthog.posthog.events import OutgoingEvent, prepare
from target_posthog.rejects.writer import Rejects
from tests.support.rows import uuid_of
from tests.support.singer import json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from target_posthog.capture.protocols import Wire
    from target_posthog.delivery.requests import InFlight
    from target_posthog.model import Conversion, GroupState, Json, Link
    from target_posthog.settings import IdentityEvents

WIRE = BatchWire("phc_test")
MEMORY = "sqlite://"
LATEST = "2024-06-02T11:00:00.000000Z"
NOW = datetime(2024, 6, 1, 12, tzinfo=timezone.utc)
OLD = "2024-01-01T00:00:00.000000Z"


@dataclass
class FakeTransport:
    """Takes bodies as PostHog does, and refuses all that hold a culprit or are too large."""

    culprits: frozenset[str] = frozenset()
    status: int = 400
    max_bytes: int | None = None
    max_wire_bytes: int | None = None
    bodies: list[bytes] = field(default_factory=list)
    wire_sizes: list[int] = field(default_factory=list)
    accepted: list[Json] = field(default_factory=list)
    raises: Exception | None = None

    def send(self, batch: Batch) -> SendResult:
        """Accept or refuse one batch."""
        body = gzip.decompress(batch.packed)
        self.bodies.append(body)
        self.wire_sizes.append(len(batch.packed))
        if self.raises is not None:
            raise self.raises
        events = json.loads(body)["batch"]
        if self.max_bytes is not None and len(body) > self.max_bytes:
            return SendResult(refused=BatchRefused(413, "too large"), left=batch.items)
        if self.max_wire_bytes is not None and len(batch.packed) > self.max_wire_bytes:
            return SendResult(refused=BatchRefused(413, "too large"), left=batch.items)
        if any(event["uuid"] in self.culprits for event in events):
            return SendResult(refused=BatchRefused(self.status, "bad event"), left=batch.items)
        self.accepted += events
        return SendResult()

    def stop(self) -> None:
        """Have nothing to stop."""

    def close(self) -> None:
        """Have nothing to close."""


@contextmanager
def capture_api(
    host: str,
    wire: Wire = WIRE,
    *,
    key: str = "phc_test",
    patience: float = 100,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[CaptureApi]:
    """Give a client of PostHog's ingestion without an agreed speed, and close it."""
    api = CaptureApi(
        host,
        wire,
        api_key=key,
        max_retry_seconds=patience,
        user_agent="test/1",
        rate_limit=RateLimiter(None),
        sleep=sleep,
    )
    with closing(api):
        yield api


def converted(
    number: int,
    *,
    link: Link | None = None,
    groups: tuple[GroupState, ...] = (),
    **changes: Any,
) -> Converted:
    """Return a converted event."""
    event = {
        "uuid": uuid_of(number),
        "event": "viewed",
        "distinct_id": f"user-{number}",
        "timestamp": OLD,
        "properties": {"number": number},
    }
    return Converted({**event, **changes}, link, groups)


def item(number: int, wire: Wire = WIRE, **changes: Any) -> OutgoingEvent:
    """Return a sound event on its way."""
    made = prepare(converted(number, **changes), {"row": number}, wire.fitted, LATEST)
    assert isinstance(made, OutgoingEvent)
    return made


def batch_of(*items: OutgoingEvent, wire: Wire = WIRE, historical: bool = True) -> Batch:
    """Return a batch with these events."""
    created_at = f"{NOW:%Y-%m-%dT%H:%M:%S.%f}Z"
    builder = BatchBuilder(wire, historical=historical, created_at=created_at)
    for one in items:
        builder.add(one)
    return builder.build()


def events_of(batch: Batch) -> list[Json]:
    """Return the events in the body of a batch."""
    events: list[Json] = json.loads(gzip.decompress(batch.packed))["batch"]
    return events


def envelope_bytes() -> int:
    """Return how many bytes a body has beside its events."""
    return len(WIRE.head(historical=True, created_at="")) + len("]}")


class Clock:
    """A clock that only waiting moves on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.waits.append(seconds)
        self.now += seconds


class _Becomes:
    """A converter of one conversion, whatever the record is."""

    fast = None

    def __init__(self, conversion: Conversion) -> None:
        self._conversion = conversion

    def convert(self, record: Json) -> Conversion:  # noqa: ARG002 - see above
        """Return the conversion."""
        return self._conversion


def take(delivery: Delivery, record: Json, conversion: Conversion) -> None:
    """Hand over what becomes of a record, as a sink does."""
    intake = Intake(_Becomes(conversion), WIRE)  # type: ignore[arg-type] # all that it is asked
    delivery.take(intake.outcome_of(record, delivery.latest_time), record)


@contextmanager
def delivery_to(
    transport: FakeTransport,
    folder: Path,
    *,
    limits: Limits = Limits(1000, 1_000_000),  # noqa: B008 - frozen
    identity_events: IdentityEvents = "alias",
    in_flight: InFlight | None = None,
    clock: Callable[[], float] = time.monotonic,
    links: Callable[[Ledger, IdentityEvents], IdentityResolver] = IdentityResolver,
    ledger_url: str | None = None,
    **settings: Any,
) -> Iterator[Delivery]:
    """Give a delivery whose ledger and rejects are kept in a folder.

    Of many deliveries that begin anew, the ledger is better in memory, at `MEMORY`.
    """
    decisions = {"historical_migration": "true", "max_reject_ratio": 0.1, **settings}
    ledger = Ledger(ledger_url or f"sqlite:///{folder}/ledger.db", "phc_test")
    rejects = Rejects(folder / "rejects", NOW)
    try:
        yield Delivery(
            DeliverySettings(limits=limits, **decisions),
            wire=WIRE,
            in_flight=in_flight or InlineRequests(transport),
            links=links(ledger, identity_events),
            rejects=rejects,
            utc_now=lambda: NOW,
            clock=clock,
        )
    finally:
        rejects.close()
        ledger.close()


def rejected_lines(folder: Path) -> list[Json]:
    """Return every line of the rejects files in a folder."""
    return json_lines(folder / "rejects")
