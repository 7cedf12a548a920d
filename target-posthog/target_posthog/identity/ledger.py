"""What was sent to PostHog across runs: which device belongs to whom, and the state of each group.

A claim is written before the event that tells PostHog of it is sent, and accepted after PostHog
took it. So a run that dies in between sends the same claim again, and two workers that meet the
same device agree on its one user.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from target_posthog.identity.database import Database, insert_into, insert_new

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_posthog.model import Link

_METADATA = sa.MetaData()

#: SQLite keeps rows in the tree of their key. Otherwise each id would be stored twice, and each
#: look-up would go through two trees (sqlite.org/withoutrowid.html).
ONE_TREE: dict[str, Any] = {"sqlite_with_rowid": False}

_PROJECTS = sa.Table(
    "projects",
    _METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("complete", sa.Boolean, nullable=False),
)
#: Also read by `identity/samples.py`.
DEVICES = sa.Table(
    "device_users",
    _METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("device_id", sa.String(200), primary_key=True),
    sa.Column("user_id", sa.String(200), nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
    **ONE_TREE,
)
SHARED = sa.Table(
    "shared_devices",
    _METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("device_id", sa.String(200), primary_key=True),
    sa.Column("user_id", sa.String(200), primary_key=True),
    **ONE_TREE,
)
_GROUPS = sa.Table(
    "group_states",
    _METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    # A digest of type and key: those may be longer than PostgreSQL indexes (2,704 bytes), and
    # hold what it does not store (NUL).
    sa.Column("group_id", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    **ONE_TREE,
)


def one_of_these(column: sa.Column[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a row is of a project, and its column has one of some values."""
    is_of_project = column.table.c.project == sa.bindparam("of_project")
    return sa.and_(is_of_project, column.in_(sa.bindparam("these", expanding=True)))


# Made once: to put a statement together takes as long as to execute it.
_THESE_DEVICES = one_of_these(DEVICES.c.device_id)
_FIND_OWNERS = sa.select(DEVICES.c.device_id, DEVICES.c.user_id, DEVICES.c.accepted).where(
    _THESE_DEVICES
)
_ACCEPT = sa.update(DEVICES).where(_THESE_DEVICES).values(accepted=True)
_REOPEN = sa.update(DEVICES).where(_THESE_DEVICES).values(accepted=False)
_LOCK = (
    sa.select(DEVICES.c.device_id)
    .where(_THESE_DEVICES)
    .order_by(DEVICES.c.device_id)
    .with_for_update()
)
_FIND_DIGESTS = sa.select(_GROUPS.c.group_id, _GROUPS.c.digest).where(
    one_of_these(_GROUPS.c.group_id)
)

GroupKey = tuple[str, str]
_Item = TypeVar("_Item")

#: Rows of one statement. A statement of four parameters a row stays below SQLite's limit of 32,766
#: parameters and PostgreSQL's of 65,535, and one batch of 5,000 events is one statement.
_CHUNK = 5000


@dataclass(frozen=True, slots=True)
class Owner:
    """The one user of a device, and whether its link was sent to PostHog."""

    user_id: str
    accepted: bool


@dataclass(frozen=True)
class Beginning:
    """What the ledger knows when a run begins.

    Attributes:
        is_first: no run of this project had this ledger before.
        is_complete: no run of this project had another ledger before this one.
    """

    is_first: bool
    is_complete: bool


class Ledger(Database):
    """The tables of the ledger; made when they are not there.

    Args:
        api_key: the PostHog project's token. Only a digest of it is stored: one ledger can serve
            several projects, and what was sent to one was not sent to the others.

    Attributes:
        project: that digest.

    Raises:
        FixConfiguration: the URL is not one, or names another kind of database.
        RunAgain: the database cannot be opened.
    """

    def __init__(self, url: str, api_key: str) -> None:
        super().__init__(url)
        self.project = project_of(api_key)
        self.make_tables(_METADATA)

    def begin(self, *, goes_on: bool) -> Beginning:
        """Note a run, and return whether the ledger knows every link that was sent.

        `goes_on`: the run goes on from the state of an earlier one.
        """
        is_first = self._insert(_PROJECTS, [{"complete": not goes_on}]) > 0
        query = sa.select(_PROJECTS.c.complete).where(_PROJECTS.c.project == self.project)
        is_complete = self.transact(lambda connection: connection.execute(query).scalar_one())
        return Beginning(is_first, is_complete=bool(is_complete))

    def owners(self, devices: Sequence[str]) -> dict[str, Owner]:
        """Return the owner of each device that has one."""
        rows = self._rows_of(_FIND_OWNERS, devices)
        return {device: Owner(user, accepted) for device, user, accepted in rows}

    def claim(self, links: Sequence[Link]) -> dict[str, Owner]:
        """Claim devices for users, one a link, first come first served; return who owns each."""
        known = self.owners([link.device_id for link in links])
        new = [link for link in links if link.device_id not in known]
        if not new:
            return known
        # In one order for all workers: two that insert crosswise would block each other.
        new.sort(key=lambda link: link.device_id)
        inserted = self._insert(
            DEVICES,
            [
                {"device_id": link.device_id, "user_id": link.user_id, "accepted": False}
                for link in new
            ],
        )
        if inserted == len(new):
            return known | {link.device_id: Owner(link.user_id, accepted=False) for link in new}
        # Another worker was faster with some of them.
        return known | self.owners([link.device_id for link in new])

    def accept(self, devices: Sequence[str]) -> None:
        """Remember that PostHog took the link of each device to its owner."""

        def accept(connection: sa.Connection) -> None:
            for chunk in chunks(sorted(devices)):
                if self._engine.dialect.name == "postgresql":
                    # Locked in one order by all workers, or two could wait for each other.
                    connection.execute(_LOCK, self.these(chunk))
                connection.execute(_ACCEPT, self.these(chunk))

        self.transact(accept)

    def reopen(self, devices: Sequence[str]) -> None:
        """Have the link of each device sent again when a record shows it; its owner stays."""

        def reopen(connection: sa.Connection) -> None:
            for chunk in chunks(sorted(devices)):
                connection.execute(_REOPEN, self.these(chunk))

        self.transact(reopen)

    def note_shared(self, links: Sequence[Link]) -> int:
        """Remember further users of owned devices; return how many pairs are new."""
        return self._insert(
            SHARED,
            [
                {"device_id": link.device_id, "user_id": link.user_id}
                for link in sorted(links, key=lambda link: (link.device_id, link.user_id))
            ],
        )

    def group_digests(self, keys: Sequence[GroupKey]) -> dict[GroupKey, str]:
        """Return the digest of the properties that PostHog last took, of each known group."""
        by_id = {group_id_of(key): key for key in keys}
        rows = self._rows_of(_FIND_DIGESTS, list(by_id))
        return {by_id[group_id]: digest for group_id, digest in rows}

    def accept_groups(self, digests: Mapping[GroupKey, str]) -> None:
        """Remember the digest of the properties that PostHog took, of each group."""
        rows = [
            {"project": self.project, "group_id": group_id, "digest": digest}
            for group_id, digest in sorted((group_id_of(key), new) for key, new in digests.items())
        ]

        def accept(connection: sa.Connection) -> None:
            for chunk in chunks(rows):
                statement = insert_into(self._engine, _GROUPS).values(chunk)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=list(_GROUPS.primary_key),
                        set_={"digest": statement.excluded.digest},
                    )
                )

        self.transact(accept)

    def _rows_of(self, query: sa.Select[Any], values: Sequence[str]) -> list[sa.Row[Any]]:
        """Return what a query finds for these values."""

        def find(connection: sa.Connection) -> list[sa.Row[Any]]:
            return [
                row
                for chunk in chunks(values)
                for row in connection.execute(query, self.these(chunk))
            ]

        return self.transact(find)

    def _insert(self, table: sa.Table, rows: Sequence[dict[str, Any]]) -> int:
        """Insert what is not there yet; return how many rows that was."""

        def insert(connection: sa.Connection) -> int:
            inserted = 0
            for chunk in chunks(rows):
                named = [{"project": self.project, **row} for row in chunk]
                inserted += connection.execute(
                    insert_new(self._engine, table),
                    named,
                    execution_options={"preserve_rowcount": True},
                ).rowcount
            return inserted

        return self.transact(insert)

    def these(self, values: Sequence[str]) -> dict[str, Any]:
        """Return what `one_of_these` needs to know: this project, and the values."""
        return {"of_project": self.project, "these": values}


def project_of(api_key: str) -> str:
    """Return what a ledger calls the project of a token: a digest of it."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:32]


def group_id_of(key: GroupKey) -> str:
    """Return what the ledger calls a group: a digest of its type and key."""
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def chunks(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Yield items in parts, each small enough for one statement."""
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
