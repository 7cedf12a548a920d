"""The ledger: whether it opens and can be written, and whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from target_posthog.common.findings import Finding, Level
from target_posthog.common.places import folder_finding
from target_posthog.common.quantities import count
from target_posthog.errors import FixConfiguration, TargetPosthogError
from target_posthog.identity.database import Database, open_engine
from target_posthog.identity.ledger import project_of
from target_posthog.ledger_url import ledger_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AREA = "ledger"
_BUSY_SECONDS = "10"
_KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
#: What a run does to a ledger that has its tables, and to one that has not; taken back each time.
_TOUCH = "DELETE FROM projects WHERE project = ''"
_MAKE = "CREATE TABLE target_posthog_check (id INTEGER)"
_ALONE = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT 1"}


class _UndoError(Exception):
    """Ends a transaction without a trace."""


def ledger_findings(url: str, api_key: str | None) -> Iterator[Finding]:
    """Say whether the ledger can be used, and what it knows."""
    try:
        parsed = open_engine(url).url
    except FixConfiguration as error:
        yield Finding(_AREA, Level.FIX, error.happened, error.remedy)
        return
    if parsed.get_backend_name() == "sqlite":
        path = ledger_file(parsed)
        if path is None:
            yield Finding(
                _AREA,
                Level.NOTE,
                "`ledger_url` is in memory: the next run knows of no link that was sent.",
                "Set it to a file, such as sqlite:///target-posthog.db.",
            )
            return
        if not path.exists():
            yield _of_a_new_file(path.absolute())
            return
        parsed = parsed.update_query_dict({"timeout": _BUSY_SECONDS})
    try:
        yield from _of_a_database(parsed, api_key)
    except TargetPosthogError as error:
        yield Finding(_AREA, Level.FIX, error.happened, "Correct `ledger_url`, or its database.")


def _of_a_new_file(path: Path) -> Finding:
    finding = folder_finding(_AREA, "ledger_url", path.parent)
    if not path.parent.is_dir():
        return Finding(
            _AREA, Level.FIX, f"{path.parent} is not there, and SQLite makes no folder.", "Make it."
        )
    if finding.level is not Level.OK:
        return finding
    return Finding(
        _AREA, Level.OK, f"SQLite, {path}: not there yet; the first run makes it. Keep it then."
    )


def _of_a_database(url: sa.URL, api_key: str | None) -> Iterator[Finding]:
    database = Database(url.render_as_string(hide_password=False))
    kind = url.get_backend_name()
    try:
        tables = database.transact(lambda connection: sa.inspect(connection).get_table_names())
        # Whoever may write into the tables need not be allowed to make some.
        write = _TOUCH if "book_hours" in tables else _MAKE
        _try_to_write(database, _ALONE[kind], write)
        where = url.set(query={}).render_as_string()
        yield Finding(_AREA, Level.OK, f"{_KINDS[kind]}, {where}: opens, and can be written.")
        if "projects" not in tables:
            yield Finding(_AREA, Level.OK, "It is new: the first run makes its tables.")
        elif api_key is not None:
            yield _of_a_project(database, project_of(api_key), has_book="book_hours" in tables)
    finally:
        database.close()


def _try_to_write(database: Database, alone: str, statement: str) -> None:
    """Write and take it back.

    Raises:
        RunAgain: the database does not take it.
    """

    def write(connection: sa.Connection) -> None:
        connection.execute(sa.text(alone))
        connection.execute(sa.text(statement))
        raise _UndoError

    try:
        database.transact(write)
    except _UndoError:
        return


def _of_a_project(database: Database, project: str, *, has_book: bool) -> Finding:
    def count(connection: sa.Connection) -> tuple[int, int, Any]:
        mine = {"project": project}
        own, others = (
            connection.execute(sa.text(query), mine).scalar_one()
            for query in (
                "SELECT count(*) FROM projects WHERE project = :project",
                "SELECT count(*) FROM projects WHERE project <> :project",
            )
        )
        book = None
        if has_book:
            book = connection.execute(
                sa.text(
                    "SELECT count(*), min(NULLIF(hour, '')), max(hour), max(written_at) "
                    "FROM book_hours WHERE project = :project"
                ),
                mine,
            ).one()
        return own, others, book

    return _whose(*database.transact(count))


def _whose(own: int, others: int, book: Any) -> Finding:
    """Return whose a ledger is. Pure."""
    if not own:
        return Finding(
            _AREA,
            Level.OK,
            f"It knows {count(others, 'other PostHog project')}, and no run of "
            "this one: it keeps them apart.",
        )
    if book is None or not book[0]:
        return Finding(_AREA, Level.OK, "It knows this PostHog project; its book is empty.")
    lines, first, last, written = book
    hours = f" of the hours {first}Z to {last}Z" if first else ""
    return Finding(
        _AREA,
        Level.OK,
        f"It knows this PostHog project: {count(lines, 'line')} in the "
        f"book{hours}, the last written {written}.",
    )
