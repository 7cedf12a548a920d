"""What the people pass knows of a stretch of rows: whose each id is, and the newest rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from target_posthog.cache import Recent
from target_posthog.errors import FixConfiguration
from target_posthog.identity.ledger import chunks, group_id_of, one_of_these
from target_posthog.identity.pass_tables import GROUPS, HOURS, IDS, Hour
from target_posthog.identity.people_pass import Known

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from target_posthog.identity.ledger import GroupKey, Ledger
    from target_posthog.identity.pass_agreement import PassAgreement
    from target_posthog.posthog.events import OutgoingEvent

#: How many people and groups are remembered at least, each; twice as many at most.
_REMEMBERED = 100_000
# Made once: to put a statement together takes as long as to execute it.
_FIND_IDS = sa.select(IDS.c.id, IDS.c.rank, IDS.c.owner, IDS.c.newest).where(one_of_these(IDS.c.id))
_OF_OWNERS = (
    sa.select(
        IDS.c.owner,
        IDS.c.newest,
        # PostgreSQL has no max() of bytes before its version 18.
        sa.func.row_number()
        .over(partition_by=IDS.c.owner, order_by=IDS.c.newest.desc())
        .label("place"),
    )
    .where(one_of_these(IDS.c.owner))
    .subquery()
)
_FIND_OF_OWNERS = sa.select(_OF_OWNERS.c.owner, _OF_OWNERS.c.newest).where(_OF_OWNERS.c.place == 1)
_FIND_GROUPS = sa.select(GROUPS.c.group_id, GROUPS.c.newest).where(one_of_these(GROUPS.c.group_id))
_FIND_HOURS = sa.select(HOURS.c.app, HOURS.c.hour).where(
    one_of_these(HOURS.c.hour), HOURS.c.is_done.is_(sa.true())
)


class PassReader:
    """Knows what the pass found, of the rows of the stretch that was looked up last.

    Args:
        agreement: closed by this run.

    Attributes:
        ids: what the pass knows of each id of the stretch.
        newest: the place of the newest row of each person of the stretch, if it has any.
        groups: the place of the newest row of each group of the stretch that has one.
    """

    def __init__(self, ledger: Ledger, agreement: PassAgreement, *, joins: bool) -> None:
        self.ids: dict[str, Known] = {}
        self.newest: dict[str, bytes] = {}
        self.groups: dict[GroupKey, bytes] = {}
        self._ledger = ledger
        self._agreement = agreement
        self._joins = joins
        self._known_ids: Recent[str, Known] = Recent(_REMEMBERED)
        self._known_newest: Recent[str, bytes] = Recent(_REMEMBERED)
        self._known_groups: Recent[GroupKey, bytes] = Recent(_REMEMBERED)
        self._hours: set[bytes] = set()

    def look_up(self, items: Sequence[OutgoingEvent]) -> None:
        """Learn all that is known of the people and groups of some rows.

        Raises:
            FixConfiguration: the pass has not read their hours, or was opened again.
            RunAgain: the database failed.
        """
        origins = {item.origin for item in items if item.order} - self._hours
        ids = {item.person for item in items}
        ids |= {item.user for item in items if item.user is not None}
        ids |= {item.link.device_id for item in items if item.link is not None}
        groups = {(group.group_type, group.group_key) for item in items for group in item.groups}

        def look_up(connection: sa.Connection) -> None:
            self._agreement.require_closed(connection)
            self._require_hours(connection, origins)
            self.ids = self._ids(connection, ids)
            self.newest = self._newest(connection, set(map(self.person_of, ids)))
            self.groups = self._groups(connection, groups)

        self._ledger.transact(look_up)
        self._hours |= origins

    def person_of(self, known_as: str) -> str:
        """Return the person of an id of the stretch: the user whose device it is, else itself."""
        return (self.ids[known_as].owner if self._joins else None) or known_as

    def _require_hours(self, connection: sa.Connection, origins: AbstractSet[bytes]) -> None:
        wanted = {Hour.of_origin(origin) for origin in origins}
        if not wanted:
            return
        found = self._find(connection, _FIND_HOURS, {hour.hour for hour in wanted})
        missing = sorted(wanted - {Hour(*row) for row in found}, key=lambda hour: hour.hour)
        if missing:
            raise FixConfiguration(
                f"The people pass has not read the hour {missing[0].hour}.",
                "Read it with `free_order: collect` while no run applies the pass, and run this "
                "again.",
            )

    def _ids(self, connection: sa.Connection, ids: AbstractSet[str]) -> dict[str, Known]:
        known, unknown = _recalled(self._known_ids, ids)
        found = {name: Known(*rest) for name, *rest in self._find(connection, _FIND_IDS, unknown)}
        for name in unknown:
            found.setdefault(name, Known())
        self._known_ids.put(found)
        return known | found

    def _newest(self, connection: sa.Connection, people: AbstractSet[str]) -> dict[str, bytes]:
        """Return the place of the newest row of each person, whichever of its ids it has."""
        known, unknown = _recalled(self._known_newest, people)
        found = {name: person.newest for name, person in self._ids(connection, unknown).items()}
        if self._joins:
            for owner, newest in self._find(connection, _FIND_OF_OWNERS, unknown):
                found[owner] = max(found[owner], newest)
        self._known_newest.put(found)
        return known | found

    def _groups(
        self, connection: sa.Connection, keys: AbstractSet[GroupKey]
    ) -> dict[GroupKey, bytes]:
        known, unknown = _recalled(self._known_groups, keys)
        by_id = {group_id_of(key): key for key in unknown}
        rows = self._find(connection, _FIND_GROUPS, by_id.keys())
        found = {by_id[group]: newest for group, newest in rows}
        self._known_groups.put(found)
        return known | found

    def _find(
        self, connection: sa.Connection, query: sa.Select[Any], values: Collection[str]
    ) -> Iterator[sa.Row[Any]]:
        for chunk in chunks(sorted(values)):
            yield from connection.execute(query, self._ledger.these(chunk))


def _recalled(memory: Recent[Any, Any], keys: AbstractSet[Any]) -> tuple[dict[Any, Any], set[Any]]:
    """Return what is remembered of some keys, and which of them are not."""
    found = {key: value for key in keys if (value := memory.get(key)) is not None}
    return found, keys - found.keys()
