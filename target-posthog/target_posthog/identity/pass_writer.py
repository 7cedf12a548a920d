"""What the rows of a people pass show, into the ledger: the same in any order, however often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.identity.ledger import chunks, group_id_of
from target_posthog.identity.pass_tables import PUT_GROUP, PUT_HOUR, PUT_ID, Hour

if TYPE_CHECKING:
    from collections.abc import Collection

    import sqlalchemy as sa

    from target_posthog.identity.ledger import Ledger
    from target_posthog.identity.pass_agreement import PassAgreement
    from target_posthog.identity.people_pass import Gathered


class PassWriter:
    """Writes a people pass."""

    def __init__(self, ledger: Ledger, agreement: PassAgreement) -> None:
        self._ledger = ledger
        self._agreement = agreement

    def write(self, gathered: Gathered, done: Collection[Hour] = ()) -> None:
        """Write down what records show.

        `done` are the hours all of whose records were written by this.

        Raises:
            FixConfiguration: a run has begun to apply the pass.
            RunAgain: the database failed.
        """
        begun = {Hour.of_origin(origin) for origin in gathered.origins}
        # Each in one order for all runs: two that write crosswise would block each other.
        hours = [
            {"app": hour.app, "hour": hour.hour, "is_done": hour in done}
            for hour in sorted({*begun, *done})
        ]
        people = [
            {"id": one, "rank": it.rank, "owner": it.owner, "newest": it.newest}
            for one, it in sorted(gathered.ids().items())
        ]
        places = sorted((group_id_of(key), place) for key, place in gathered.groups.items())
        groups = [{"group_id": group, "newest": place} for group, place in places]
        writes: list[tuple[sa.TextClause, list[dict[str, Any]]]] = [
            (PUT_HOUR, hours),
            (PUT_ID, people),
            (PUT_GROUP, groups),
        ]

        def write(connection: sa.Connection) -> None:
            self._agreement.require_open(connection)
            for statement, rows in writes:
                for chunk in chunks(rows):
                    named = [{"project": self._ledger.project, **row} for row in chunk]
                    connection.execute(statement, named)

        if hours or people or groups:
            self._ledger.transact(write)
