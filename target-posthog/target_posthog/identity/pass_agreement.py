"""Runs that collect a people pass and runs that apply it exclude each other, by the ledger.

What a run that applies remembers must not change. So the first run that collects opens the pass,
any number join it, and the first that applies closes it; whoever works in another round stops.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from target_posthog.common.derived_uuids import canonical_json
from target_posthog.errors import FixConfiguration
from target_posthog.identity.database import insert_new
from target_posthog.identity.pass_tables import HOURS, METADATA, PASSES, PUT_SENT
from target_posthog.identity.people_pass import SENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.identity.ledger import Ledger
    from target_posthog.settings import Settings

#: Settings that change nothing of what a row tells of people.
_OF_NO_ACCOUNT = frozenset(
    {
        *("api_key", "check_api_key", "host", "app_host", "project_id", "personal_api_key"),
        *("historical_migration", "ledger_url", "rejects_path", "has_own_rejects"),
        *("max_reject_ratio", "summary_path", "preview_path", "free_order"),
        *("remove_batch_files", "max_member_gb", "workers", "max_batch_bytes"),
        *("max_batch_events", "max_events_per_second", "max_retry_seconds"),
        # What these say is in `by_sdk`, too.
        *("changes_records", "adds_metadata", "by_sdk"),
    }
)
_VERSION = "the version of target-posthog"
_COLLECT = "Read every hour of the migration with `free_order: collect`, and run this again."


def settings_of(settings: Settings, program: str) -> dict[str, str]:
    """Return what must be the same for all runs of a pass, as digests.

    The program counts as well: another version may convert otherwise.
    """
    own = {field.name for field in fields(settings)} - _OF_NO_ACCOUNT
    given = {name: getattr(settings, name) for name in own} | dict(settings.by_sdk)
    given[_VERSION] = program
    return {
        name: hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
        for name, value in sorted(given.items())
        if value is not None
    }


class PassAgreement:
    """Which round of the people pass a run works in."""

    def __init__(self, ledger: Ledger, settings: Mapping[str, str]) -> None:
        self._ledger = ledger
        self._settings = dict(settings)
        self._round = 0
        ledger.make_tables(METADATA)

    def open(self) -> None:
        """Begin to collect, beside other runs that do.

        Raises:
            FixConfiguration: others collected with other settings.
            RunAgain: the database failed.
        """
        self._round = self._ledger.transact(self._open)

    def close(self) -> None:
        """Begin to apply, beside other runs that do; nothing can be collected meanwhile.

        Raises:
            FixConfiguration: there is no pass, it is not whole, or of other settings.
            RunAgain: the database failed.
        """
        self._round = self._ledger.transact(self._close)

    def require_open(self, connection: sa.Connection) -> None:
        """Make sure, until the end of the transaction, that no run applies what this one collects.

        Raises:
            FixConfiguration: one does, or another one collects with other settings.
        """
        found = self._found(connection, is_shared=True)
        if found is None or not found.is_open or found.round != self._round:
            raise FixConfiguration(
                "A run with `free_order: apply` has begun while this one collects.",
                "End the runs that apply, then collect the rest, and apply again.",
            )
        # Two may begin at once, before the first hour.
        self._require_same(found.settings)

    def require_closed(self, connection: sa.Connection) -> None:
        """Make sure that the pass is as it was when this run began.

        Raises:
            FixConfiguration: it was opened again.
        """
        query = sa.select(PASSES).where(PASSES.c.project == self._ledger.project)
        found = connection.execute(query).one()
        if found.is_open or found.round != self._round:
            raise FixConfiguration(
                "A run with `free_order: collect` has begun while this one applies.",
                "Wait until it has ended, and run this again.",
            )

    def _open(self, connection: sa.Connection) -> int:
        project = self._ledger.project
        connection.execute(
            insert_new(connection.engine, PASSES),
            [{"project": project, "is_open": False, "round": 0, "settings": self._as_text}],
        )
        found = self._found(connection, is_shared=False)
        assert found is not None  # noqa: S101 - see above
        any_hour = sa.select(HOURS.c.hour).where(HOURS.c.project == project).limit(1)
        if connection.execute(any_hour).first() is not None:
            self._require_same(found.settings)
        self._note(connection, is_open=True, round=found.round + (not found.is_open))
        if not found.is_open:
            values = {"project": project, "rank": SENT, "newest": b""}
            connection.execute(PUT_SENT, values)
        return int(found.round) + (not found.is_open)

    def _close(self, connection: sa.Connection) -> int:
        found = self._found(connection, is_shared=False)
        if found is None:
            raise FixConfiguration("The ledger has no people pass of this project.", _COLLECT)
        self._require_same(found.settings)
        unfinished = connection.execute(
            sa.select(sa.func.min(HOURS.c.hour), sa.func.count()).where(
                HOURS.c.project == self._ledger.project, HOURS.c.is_done.is_(sa.false())
            )
        ).one()
        if unfinished[1]:
            raise FixConfiguration(
                f"The people pass is not whole: {unfinished[1]:,} hours were begun and not "
                f"finished, the first is {unfinished[0]}.",
                "Run what collects them to its end, and run this again.",
            )
        if found.is_open:
            self._note(connection, is_open=False, round=found.round)
        return int(found.round)

    def _found(self, connection: sa.Connection, *, is_shared: bool) -> sa.Row[Any] | None:
        """Return the row of the project, locked until the end of the transaction."""
        is_this = PASSES.c.project == self._ledger.project
        if connection.dialect.name == "sqlite":
            # Has no locks of rows; what writes first has the whole database to itself.
            connection.execute(sa.update(PASSES).where(is_this).values(round=PASSES.c.round))
        query = sa.select(PASSES).where(is_this).with_for_update(read=is_shared)
        return connection.execute(query).one_or_none()

    def _note(self, connection: sa.Connection, **values: Any) -> None:
        is_this = PASSES.c.project == self._ledger.project
        values["settings"] = self._as_text
        connection.execute(sa.update(PASSES).where(is_this).values(values))

    @property
    def _as_text(self) -> str:
        return json.dumps(self._settings, sort_keys=True)

    def _require_same(self, settings: str) -> None:
        of_pass = json.loads(settings)
        names = sorted(
            name
            for name in of_pass.keys() | self._settings.keys()
            if of_pass.get(name) != self._settings.get(name)
        )
        if names:
            shown = [name if name == _VERSION else f"`{name}`" for name in names]
            raise FixConfiguration(
                f"The people pass was collected with another value of {', '.join(shown)}.",
                "Give every run of the pass the same. If nothing is sent yet, you can begin anew "
                "with an empty ledger.",
            )
