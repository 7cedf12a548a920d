"""From conversions to what PostHog took: collect, add links, pack, send, write down.

The order of the steps is what keeps the first promise: claims in the ledger → accepted by PostHog
or in the rejects → written to the disk → only then may the state move on. A crash between any two
steps leads to the same uuids being sent again, never to a gap.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from target_posthog.batches import (
    Item,
    Limits,
    body_of,
    by_age,
    halves,
    item_of,
    pack,
    problem_of,
    stored_once,
)
from target_posthog.conversion import Conversion, Json, Rejected, Skipped
from target_posthog.errors import TooManyRejects
from target_posthog.progress import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_posthog.capture_api import Refused, Sender
    from target_posthog.links import Links
    from target_posthog.rejects import Rejects

logger = logging.getLogger("target-posthog")

Historical = Literal["true", "false", "auto"]

#: PostHog bills events that are newer than this as live ones, whatever the flag says
#: (posthog.com, docs/migrate: "dated at least 48 hours before the time of import").
RECENT = timedelta(hours=48)
#: PostHog replaces times that lie further ahead by its own clock.
FUTURE = timedelta(hours=23)
#: The share of rejects says nothing about the first few records.
_RATIO_COUNTS_FROM = 10_000


@dataclass(frozen=True)
class DeliverySettings:
    """What the user decides about the delivery; see the settings of the same names."""

    api_key: str
    historical_migration: Historical
    limits: Limits
    max_reject_ratio: float


class Delivery:
    """Takes conversions one by one and delivers them in order.

    Args:
        settings: the user's decisions.
        sender: PostHog or the preview.
        links: which events to add.
        rejects: where refused events go.
        utc_now: the clock.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        sender: Sender,
        links: Links,
        rejects: Rejects,
        utc_now: Callable[[], datetime],
    ) -> None:
        self.counts = Counts()
        self._settings = settings
        self._sender = sender
        self._links = links
        self._rejects = rejects
        self._utc_now = utc_now
        self._items: list[Item] = []
        self._kept_by: dict[str, tuple[str, ...]] = {}
        self._size = 0
        self._warned_of_recent = False
        self._set_clock()

    def take(self, record: Json, conversion: Conversion) -> None:
        """Take what became of one record; send when a batch is full.

        Raises:
            TargetPosthogError: nothing after the last accepted batch was delivered.
        """
        self.counts.exported += 1
        if isinstance(conversion, Skipped):
            self.counts.skipped[conversion.rule] += 1
        elif isinstance(conversion, Rejected):
            self._reject(conversion, "convert", record)
        else:
            self._collect(item_of(conversion, record))

    def flush(self) -> None:
        """Deliver everything that was taken, and bring it all to the disk.

        Raises:
            TargetPosthogError: some of it is not delivered; the state must not move.
        """
        if self._items:
            items, newly_shared = self._links.added_to(self._items)
            self.counts.shared_devices += newly_shared
            for historical, stretch in self._by_lane(items):
                for batch in pack(stretch, self._settings.limits):
                    self._send(batch, historical=historical)
            self._items, self._size = [], 0
            self._kept_by.clear()
        self._rejects.save()
        self._set_clock()

    def _collect(self, item: Item) -> None:
        problem = problem_of(item, latest_time=self._latest_time)
        if problem is not None:
            self._reject(problem, "check", item.record)
            return
        uuid, identity = item.event["uuid"], stored_once(item.event)
        if self._kept_by.get(uuid) == identity:
            self.counts.skipped["duplicate"] += 1
            return
        if uuid in self._kept_by:
            # Another event under the same uuid: PostHog keeps both, but v1 takes no uuid twice in
            # a batch, so it goes with the next.
            self.flush()
        self._kept_by[uuid] = identity
        self._items.append(item)
        self._size += len(item.body) + 1
        limits = self._settings.limits
        if len(self._items) >= limits.max_events or self._size >= limits.max_bytes:
            self.flush()

    def _by_lane(self, items: Sequence[Item]) -> list[tuple[bool, Sequence[Item]]]:
        """Return which events go with `historical_migration` and which without."""
        wanted = self._settings.historical_migration
        if wanted == "auto":
            old, recent = by_age(items, self._oldest_recent)
            return [(True, old), (False, recent)]
        if wanted == "true":
            self._warn_of_recent(items)
        return [(wanted == "true", items)]

    def _send(self, batch: Sequence[Item], *, historical: bool) -> None:
        """Send a batch; halve a refused one until the culprit stands alone."""
        body = body_of(batch, api_key=self._settings.api_key, historical=historical)
        refused = self._sender.send(body)
        if refused is None:
            self._accept(batch)
        elif len(batch) == 1:
            self._refuse(batch[0], refused)
        else:
            for half in halves(batch):
                self._send(half, historical=historical)

    def _accept(self, batch: Sequence[Item]) -> None:
        self._links.accept(batch)
        for item in batch:
            if not item.told:
                self.counts.accepted += 1
            elif item.link is not None:
                self.counts.links += 1
            else:
                self.counts.groups += 1

    def _refuse(self, item: Item, refused: Refused) -> None:
        reason = Rejected(
            "refused_by_posthog", f"PostHog answered {refused.status}: {refused.answer}"
        )
        if not item.told:
            self._reject(reason, "send", item.record)
            return
        # The record itself is delivered on its own; only the added event is lost.
        self.counts.added_rejected[reason.code] += 1
        self._links.refuse(item)
        self._rejects.write(reason, "send", item.event)

    def _reject(self, rejected: Rejected, stage: str, record: Json) -> None:
        self._rejects.write(rejected, stage, record)
        self.counts.rejected[rejected.code] += 1
        total, exported = self.counts.rejected.total(), self.counts.exported
        if exported > _RATIO_COUNTS_FROM and total > exported * self._settings.max_reject_ratio:
            self._rejects.save()
            raise TooManyRejects(
                f"{total:,} of {exported:,} records were rejected, more than max_reject_ratio "
                f"({self._settings.max_reject_ratio:g}) allows.",
                f"Look at {self._rejects.path}; a wrong mapping is the usual cause.",
            )

    def _warn_of_recent(self, items: Sequence[Item]) -> None:
        if self._warned_of_recent:
            return
        if any(item.event["timestamp"] >= self._oldest_recent for item in items):
            self._warned_of_recent = True
            logger.warning(
                "Some events are newer than 48 hours: PostHog may bill them although "
                "historical_migration is on. `historical_migration: auto` sends them as live "
                "events; an earlier end_date leaves them out."
            )

    def _set_clock(self) -> None:
        now = self._utc_now()
        self._oldest_recent = f"{now - RECENT:%Y-%m-%dT%H:%M:%S.%f}Z"
        self._latest_time = f"{now + FUTURE:%Y-%m-%dT%H:%M:%S.%f}Z"
