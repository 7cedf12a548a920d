"""Some of the devices that belong to users, spread over all that the ledger has."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import sqlalchemy as sa

from target_posthog.identity.ledger import DEVICES
from target_posthog.model import Link

if TYPE_CHECKING:
    from target_posthog.identity.ledger import Ledger

#: Who wants more wants all of them, or nearly so.
_MOST_PLACES = 1000


def owned_devices(ledger: Ledger, number: int) -> list[Link]:
    """Return some links; the same ones, as long as the ledger has no others.

    A look-up for each goes into the tree of the ids at another place: to sort all of them at
    random would read the whole table, of which there may be a hundred million rows.

    Raises:
        RunAgain: the database failed.
    """
    found: dict[str, Link] = {}
    # Texts spread as hexadecimal ids are, which most device ids begin as.
    numbers = range(min(number, _MOST_PLACES))
    places = [hashlib.sha256(str(place).encode()).hexdigest()[:8] for place in numbers]

    def find(connection: sa.Connection) -> None:
        for place in (*places, ""):
            wanted = 1 if place else number
            for device, user in connection.execute(_behind(ledger, place, wanted)):
                if len(found) < number:
                    found.setdefault(device, Link(user, device))

    if number > 0:
        ledger.transact(find)
    return list(found.values())


def _behind(ledger: Ledger, place: str, wanted: int) -> sa.Select[tuple[str, str]]:
    table = DEVICES.c
    return (
        sa.select(table.device_id, table.user_id)
        .where(
            table.project == ledger.project,
            table.device_id >= place,
            # A user claims its own id, so that it is nobody's device.
            table.device_id != table.user_id,
        )
        .order_by(table.device_id)
        .limit(wanted)
    )
