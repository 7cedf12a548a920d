"""The database behind the ledger: SQLite for one machine, PostgreSQL for several."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from target_posthog.capture.retries import Retryable, RetryPolicy
from target_posthog.common.peer_words import escaped
from target_posthog.errors import DamagedLedger, FixConfiguration, RunAgain
from target_posthog.ledger_url import ledger_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_Result = TypeVar("_Result")
logger = logging.getLogger("target-posthog")

#: What keeps two workers that start at once from making the tables at once.
_ALONE: Mapping[str, str] = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "SELECT pg_advisory_xact_lock(4400484305)",
}

#: For each connection to SQLite.
_PRAGMAS = (
    # A claim that a power cut takes back would let another user have a device that PostHog
    # already gave away, so each commit is brought to the disk (sqlite.org/pragma.html: WAL with
    # NORMAL "might lose durability"). One commit stands for thousands of pairs.
    "PRAGMA synchronous=FULL",
    # KiB, negative by SQLite's convention. Device ids come in no order: all but the last level of
    # the tree should stay in memory, which 100 million pairs do with far less than this.
    "PRAGMA cache_size=-65536",
)
#: How long a worker waits while another one writes; sqlite3's own 5 s are short for many.
_BUSY_SECONDS = 60
#: What PostgreSQL says while it stops and starts (src/backend/tcop/backend_startup.c).
_COMES_BACK = (
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is not yet accepting connections",
    "the database system is in recovery mode",
)
#: What SQLite says of a file that no repeat can mend (sqlite.org/rescode.html: SQLITE_CORRUPT,
#: SQLITE_NOTADB).
_DAMAGED = frozenset({"database disk image is malformed", "file is not a database"})
#: What both say when there is no room. SQLite calls a quota an I/O error.
_NO_ROOM = ("database or disk is full", "disk I/O error", "No space left on device")
#: SQLAlchemy's errors for a connection that is lost or cannot be made; drivers differ.
_OF_CONNECTIONS = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError)
#: A peer that says nothing for 20 s is asked four times, every five seconds (PostgreSQL, "TCP
#: Settings"; libpq, "Parameter Key Words").
_KEEPALIVES: Mapping[str, int] = {
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
}
_WATCH = "SELECT " + ", ".join(
    f"set_config('tcp_{name}', '{value}', false)" for name, value in _KEEPALIVES.items()
)
#: How long a server may be away: a restart takes seconds, a change to another server minutes.
_AWAY_SECONDS = 300.0
_REMEDY = "See that its database can be reached and written (`ledger_url`), and run again."
_ROOM = (
    "Make room on its disk (a quota counts, too), or move it to another and set `ledger_url` to "
    "that, and run again."
)
#: Rows in memory of a query that may find millions.
_ROWS = 5_000
#: How long to wait before SQLite is asked again for what it refuses at once. Seconds.
_PAUSE = 0.02


class Database:
    """A database whose restarts are waited out.

    Args:
        url: an SQLAlchemy URL of SQLite or PostgreSQL.

    Attributes:
        waited: how many seconds the main thread has spent on it.

    Raises:
        FixConfiguration: the URL is not one, or names another kind of database.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        self._retries = RetryPolicy(_AWAY_SECONDS)
        self._was_there = False
        self.waited = 0.0

    def make_tables(self, tables: sa.MetaData) -> None:
        """Create missing tables, even if another worker does so at the same time."""

        def make(connection: sa.Connection) -> None:
            _begin_alone(connection)
            tables.create_all(connection)

        self.transact(make)

    @property
    def is_shared(self) -> bool:
        """Return True if runs on several machines can have it at the same time."""
        return self._engine.dialect.name == "postgresql"

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None of one in memory or on a server."""
        return ledger_file(self._engine.url)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @property
    def _shown(self) -> str:
        """Return the URL without the parts that can hold a password."""
        return repr(self._engine.url.set(query={}))

    def transact(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Return what some work in a transaction returns; a restart of the server is waited out.

        The work may be done again when nobody knows whether it was committed: each of the
        ledger's transactions leaves the same behind when it is done twice.

        Raises:
            RunAgain: the database failed, or was away for too long.
        """

        def attempt() -> _Result:
            with self._engine.begin() as connection:
                self._was_there = True
                return work(connection)

        return self._patiently(attempt)

    def hold(self, work: Callable[[sa.Connection], bool]) -> sa.Connection | None:
        """Return a connection whose transaction stays open, if some work in it returns True.

        Who gets the connection closes it.

        Raises:
            RunAgain: see `transact`.
        """

        def attempt() -> sa.Connection | None:
            connection = self._engine.connect()
            is_wanted = False
            try:
                is_wanted = work(connection)
            finally:
                if not is_wanted:
                    connection.close()
            return connection if is_wanted else None

        return self._patiently(attempt)

    def _patiently(self, action: Callable[[], _Result]) -> _Result:
        """Return what an action returns; do it again when the server was away."""

        def attempt() -> _Result:
            try:
                return action()
            except sa.exc.DBAPIError as error:
                failed = self._failed(error)
                if _is_restart(error, was_there=self._was_there):
                    raise Retryable(failed.happened) from error
                raise failed from error

        began = time.monotonic()
        try:
            return self._retries.call(attempt, self._say_that_it_waits)
        except Retryable as error:
            raise RunAgain(str(error), _REMEDY) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                self.waited += time.monotonic() - began

    def stream(self, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        """Yield what a query finds, a few rows at a time; nothing is waited out.

        Raises:
            RunAgain: the database failed.
        """
        try:
            with self._engine.connect() as connection:
                options = connection.execution_options(yield_per=_ROWS)
                with options.execute(query) as result:
                    yield from result
        except sa.exc.DBAPIError as error:
            raise self._failed(error) from error

    def _failed(self, error: sa.exc.DBAPIError) -> RunAgain | DamagedLedger:
        # Only the driver's first line: what follows are people's ids.
        words = escaped(str(error.orig).partition("\n")[0])
        if words in _DAMAGED:
            return DamagedLedger(
                f"The ledger at {self._shown} is damaged, or is not an SQLite file: {words}.",
                "Put a copy of it back, or set `ledger_url` to the right file. Without a copy, "
                "move it away: the next run makes a new one, and sends each link again.",
            )
        remedy = _ROOM if any(said in words for said in _NO_ROOM) else _REMEDY
        return RunAgain(f"The ledger at {self._shown} failed: {words}.", remedy)

    def _say_that_it_waits(self, error: Retryable) -> None:
        logger.warning("%s Trying again for up to %.0f s.", error, self._retries.seconds)


def open_engine(url: str) -> sa.Engine:
    """Return an engine for an SQLAlchemy URL; nothing is connected yet.

    Raises:
        FixConfiguration: the URL is not one, or names another kind of database.
    """
    usage = "Give an SQLAlchemy URL of SQLite or PostgreSQL whose driver is installed."
    try:
        parsed = sa.make_url(url)
        # Looked at before use: while PostHog is away for half an hour, a firewall or the server
        # may end a connection on which nothing is said.
        is_remote = parsed.get_backend_name() != "sqlite"
        engine = sa.create_engine(
            parsed,
            connect_args=_connect_arguments(parsed),
            pool_pre_ping=is_remote,
            # Parameters are people's ids; no message may hold them.
            hide_parameters=True,
        )
    except ImportError as error:
        raise FixConfiguration(
            f"`ledger_url` needs the driver {error.name}, which is not installed.",
            "For PostgreSQL write `postgresql+psycopg://…`, add the extra to `pip_url` in "
            "meltano.yml, `-e ./target-posthog[postgres]`, and run `meltano install`.",
        ) from None
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ValueError):
        raise FixConfiguration("`ledger_url` is not a valid URL of a database.", usage) from None
    if engine.dialect.name not in _ALONE:
        raise FixConfiguration(f"`ledger_url` names a {engine.dialect.name} database.", usage)
    if "@" in (engine.url.host or ""):
        # The driver would look for a host of this name, and show it.
        raise FixConfiguration(
            "`ledger_url` has an @ in its user or password.", "Write it there as %40."
        )
    prepare = _prepare_sqlite if engine.dialect.name == "sqlite" else _watch_peer
    sa.event.listen(engine, "connect", prepare)
    # It would show with a traceback what ends the run, such as a signal, while a connection is
    # given back; the run says it in one line.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    # It would warn of each pipeline that a lost connection ends, which we say ourselves.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    return engine


def _is_restart(error: sa.exc.DBAPIError, *, was_there: bool) -> bool:
    """Return True if a server is away that may come back by itself.

    `was_there`: it could be reached before, so its address and password are right.
    """
    if isinstance(error.orig, sqlite3.Error):
        # A file on a full disk: the commit fails, which has no statement either.
        return False
    words = str(error.orig)
    if any(said in words for said in _COMES_BACK):
        return True
    is_lost = error.connection_invalidated or error.statement is None
    return was_there and is_lost and isinstance(error, _OF_CONNECTIONS)


def _begin_alone(connection: sa.Connection) -> None:
    """Begin what no other worker may do at the same time; the end of the transaction ends it.

    Raises:
        sqlalchemy.exc.DBAPIError: the database cannot be written, or is another's for too long.
    """
    if connection.dialect.name == "sqlite":
        _use_wal(connection)
    connection.execute(sa.text(_ALONE[connection.dialect.name]))


def _use_wal(connection: sa.Connection) -> None:
    """Have SQLite keep a log beside a file.

    The first time, that takes the whole file. While another worker does the same, SQLite does not
    wait for it, whatever the time-out is, but refuses at once.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while not _could_use_wal(connection, may_wait=time.monotonic() < deadline):
        time.sleep(_PAUSE)


def _could_use_wal(connection: sa.Connection, *, may_wait: bool) -> bool:
    try:
        connection.execute(sa.text("PRAGMA journal_mode=WAL"))
    except sa.exc.OperationalError as error:
        if may_wait and "database is locked" in str(error.orig):
            return False
        raise
    return True


def insert_into(engine: sa.Engine, table: sa.Table) -> Any:
    """Return an INSERT that can say what to do on a conflict, as the engine's database has it."""
    # Loaded only here: the kinds of databases that are not used are a part of the start.
    return import_module(f"sqlalchemy.dialects.{engine.dialect.name}").insert(table)


def insert_new(engine: sa.Engine, table: sa.Table) -> sa.Insert:
    """Return an INSERT that leaves out the rows that are there already."""
    if engine.dialect.name == "sqlite":
        # Means the same here. SQLAlchemy keeps what it makes of this text, but makes the other
        # anew each time.
        return sa.insert(table).prefix_with("OR IGNORE")
    statement: sa.Insert = insert_into(engine, table).on_conflict_do_nothing()
    return statement


def _connect_arguments(url: sa.URL) -> dict[str, Any]:
    if url.drivername == "postgresql+psycopg":
        # psycopg would keep a plan that PostgreSQL made while the tables were empty, and one that
        # a pooler like PgBouncer may have lost.
        asked = {name: number for name, number in _KEEPALIVES.items() if name not in url.query}
        return {"prepare_threshold": None, **asked}
    if url.get_backend_name() == "sqlite" and "timeout" not in url.query:
        return {"timeout": _BUSY_SECONDS}
    return {}


def _watch_peer(connection: Any, _: object) -> None:
    """Have the server notice within a minute that this machine is gone.

    Otherwise it keeps the locks of a broken connection, by default for two hours.
    """
    cursor = connection.cursor()
    try:
        cursor.execute(_WATCH)
        connection.commit()
    except Exception:  # noqa: BLE001 - the drivers' errors have no common class
        connection.rollback()  # this system does not know it; then as long as is set there
    finally:
        cursor.close()


def _prepare_sqlite(connection: Any, _: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
