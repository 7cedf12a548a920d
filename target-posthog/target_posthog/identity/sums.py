"""How many devices and users the ledger knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from target_posthog.identity.ledger import DEVICES, SHARED

if TYPE_CHECKING:
    from target_posthog.identity.ledger import Ledger


@dataclass(frozen=True)
class PeopleSums:
    """Sums of a project.

    Attributes:
        joined: devices that PostHog joined to their user.
        claimed: devices whose link was not sent to PostHog yet, or was refused.
        shared: devices with further users.
        further_users: pairs of such a device and one of its further users, not joined.
    """

    joined: int
    claimed: int
    shared: int
    further_users: int


def people_of(ledger: Ledger) -> PeopleSums:
    """Return how many devices and users the ledger knows.

    Raises:
        RunAgain: the database failed.
    """
    devices = sa.select(DEVICES.c.accepted, sa.func.count()).where(
        DEVICES.c.project == ledger.project,
        # A user claims its own id, so that it is nobody's device.
        DEVICES.c.device_id != DEVICES.c.user_id,
    )
    counts = {bool(row[0]): row[1] for row in ledger.stream(devices.group_by(DEVICES.c.accepted))}
    shared = sa.select(sa.func.count(sa.distinct(SHARED.c.device_id)), sa.func.count()).where(
        SHARED.c.project == ledger.project
    )
    ((devices_shared, pairs),) = ledger.stream(shared)
    return PeopleSums(counts.get(True, 0), counts.get(False, 0), devices_shared, pairs)
