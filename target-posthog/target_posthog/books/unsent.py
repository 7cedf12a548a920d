"""Which hours of a people pass are not in the book: nobody's newest row among them is sent yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from target_posthog.books.tables import HOURS
from target_posthog.identity import pass_tables

if TYPE_CHECKING:
    from target_posthog.identity.ledger import Ledger


def unsent_hours(ledger: Ledger) -> tuple[int, str]:
    """Return how many hours of the pass no run has sent, and the first of them, `2024-01-31T05`.

    Raises:
        RunAgain: the database failed.
    """
    of_pass, of_book = pass_tables.HOURS.c, HOURS.c
    is_sent = sa.exists().where(
        of_book.project == of_pass.project,
        of_book.hour == of_pass.hour,
        of_book.app == of_pass.app,
    )
    query = sa.select(sa.func.count(), sa.func.min(of_pass.hour)).where(
        of_pass.project == ledger.project, ~is_sent
    )
    count, first = ledger.transact(lambda connection: connection.execute(query).one())
    return int(count), first or ""
