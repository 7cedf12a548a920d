"""Which hours of a people pass are not in the book: nobody's newest row among them is sent yet.

Of a run that applies the pass, the book has each hour before its state is written. So a state that
says such an hour is read is not of those runs: it is the one of the runs that collected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from target_posthog.books.tables import HOURS
from target_posthog.common.quantities import count
from target_posthog.errors import FixConfiguration
from target_posthog.identity import pass_tables

if TYPE_CHECKING:
    from target_posthog.books.read_hours import ReadHours
    from target_posthog.identity.ledger import Ledger

_IS_SENT = sa.exists().where(
    HOURS.c.project == pass_tables.HOURS.c.project,
    HOURS.c.hour == pass_tables.HOURS.c.hour,
    HOURS.c.app == pass_tables.HOURS.c.app,
)


def require_sent(ledger: Ledger, read: ReadHours) -> None:
    """Make sure that what a state says is read was sent, as far as the pass has it.

    Raises:
        FixConfiguration: it was collected, and not sent.
        RunAgain: the database failed.
    """
    of_pass, of_book = pass_tables.HOURS.c, HOURS.c
    of_any_app = sa.exists().where(of_book.project == of_pass.project, of_book.hour == of_pass.hour)
    query = sa.select(of_pass.app, of_pass.hour, of_any_app).where(
        of_pass.project == ledger.project, ~_IS_SENT
    )
    rows = ledger.transact(lambda connection: connection.execute(query).all())
    # A state of the API names no app: its hour may be another app's, if the book has any.
    unsent = sorted(
        hour for app, hour, is_in_book in rows if read.has(app, hour, is_nobodys=not is_in_book)
    )
    if unsent:
        raise FixConfiguration(
            f"The state says that {count(len(unsent), 'hour')} are read, the first is "
            f"{unsent[0]}, which the people pass has and no run has sent: it is the state of the "
            "runs with `free_order: collect`.",
            "Give the runs with `free_order: apply` a state id of their own (MELTANO_STATE_ID), "
            "and run again.",
        )


def unsent_hours(ledger: Ledger) -> tuple[int, str]:
    """Return how many hours of the pass no run has sent, and the first of them, `2024-01-31T05`.

    Raises:
        RunAgain: the database failed.
    """
    of_pass = pass_tables.HOURS.c
    query = sa.select(sa.func.count(), sa.func.min(of_pass.hour)).where(
        of_pass.project == ledger.project, ~_IS_SENT
    )
    hours, first = ledger.transact(lambda connection: connection.execute(query).one())
    return int(hours), first or ""
