"""The ledger remembers across runs, and workers agree; on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import resource
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier, Timer
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from target_posthog.common.signals import StoppedBySignal
from target_posthog.errors import DamagedLedger, FixConfiguration, RunAgain
from target_posthog.identity.database import Database, open_engine
from target_posthog.identity.ledger import Ledger, Owner
from target_posthog.model import Link

if TYPE_CHECKING:
    from pathlib import Path

KEY = "phc_test"


def opened(url: str, api_key: str = KEY) -> closing[Ledger]:
    """Give a ledger and close it."""
    return closing(Ledger(url, api_key))


def links(user: str, count: int) -> list[Link]:
    """Return links of a user's many devices."""
    return [Link(user, f"device-{number}") for number in range(count)]


def test_a_ledger_whose_file_is_cut_off_is_told_as_damaged(tmp_path: Path) -> None:
    """Not as one that another run may find well."""
    file = tmp_path / "ledger.db"
    with opened(f"sqlite:///{file}") as whole:
        whole.claim(links("u1", 5_000))
    with file.open("r+b") as cut:
        cut.truncate(file.stat().st_size // 2)
    damaged = pytest.raises(DamagedLedger, match="is damaged, or is not an SQLite file")
    with damaged, opened(f"sqlite:///{file}") as ledger:
        ledger.owners([link.device_id for link in links("u1", 5_000)])


def test_the_first_claim_of_a_device_wins(ledger: Ledger) -> None:
    """A later user learns whose it is."""
    assert ledger.claim([Link("u1", "d")]) == {"d": Owner("u1", accepted=False)}
    assert ledger.claim([Link("u2", "d")]) == {"d": Owner("u1", accepted=False)}


def test_a_link_that_is_opened_again_keeps_its_owner(ledger_url: str) -> None:
    """It is sent again, and to nobody else."""
    with opened(ledger_url) as ledger:
        ledger.claim([Link("u1", "d"), Link("u1", "e")])
        ledger.accept(["d", "e"])
        ledger.reopen(["d", "unknown"])
        ledger.reopen([])
    with opened(ledger_url) as ledger:
        assert ledger.claim([Link("u2", "d")]) == {"d": Owner("u1", accepted=False)}
        assert ledger.owners(["e"]) == {"e": Owner("u1", accepted=True)}


def test_a_claim_is_open_until_it_is_accepted(ledger_url: str) -> None:
    """A run that died before PostHog took the link must send it again."""
    with opened(ledger_url) as ledger:
        ledger.claim([Link("u1", "d"), Link("u1", "e")])
    with opened(ledger_url) as ledger:
        ledger.accept(["d"])
    with opened(ledger_url) as ledger:
        assert ledger.owners(["d", "e", "f"]) == {
            "d": Owner("u1", accepted=True),
            "e": Owner("u1", accepted=False),
        }


def test_projects_know_nothing_of_each_other(ledger_url: str) -> None:
    """What one project was told, the other was not."""
    with opened(ledger_url) as one, opened(ledger_url, "phc_other") as other:
        one.claim([Link("u1", "d")])
        one.accept(["d"])
        one.accept_groups({("org", "acme"): "x"})
        one.note_shared([Link("u2", "d")])
        assert other.owners(["d"]) == {}
        assert other.claim([Link("u2", "d")]) == {"d": Owner("u2", accepted=False)}
        assert other.group_digests([("org", "acme")]) == {}
        assert other.note_shared([Link("u2", "d")]) == 1
        other.accept(["d"])
        assert one.owners(["d"]) == {"d": Owner("u1", accepted=True)}


def test_a_ledger_that_was_there_from_the_start_knows_every_link(ledger_url: str) -> None:
    """Also when later runs go on from a state."""
    with opened(ledger_url) as ledger:
        assert ledger.begin(goes_on=False).is_complete
    with opened(ledger_url) as ledger:
        assert ledger.begin(goes_on=True).is_complete


def test_a_ledger_that_came_later_never_knows_every_link(ledger_url: str) -> None:
    """What was told before it stays unknown; another project has its own history."""
    with opened(ledger_url) as ledger:
        assert not ledger.begin(goes_on=True).is_complete
    with opened(ledger_url) as ledger, opened(ledger_url, "phc_other") as other:
        assert not ledger.begin(goes_on=False).is_complete
        assert other.begin(goes_on=False).is_complete


def test_a_shared_pair_is_counted_once(ledger_url: str) -> None:
    """Also when it comes again together with a new one, and in another run."""
    with opened(ledger_url) as ledger:
        assert ledger.note_shared([Link("u2", "d"), Link("u3", "d")]) == 2
    with opened(ledger_url) as ledger:
        assert ledger.note_shared([Link("u4", "d"), Link("u3", "d"), Link("u3", "e")]) == 2
        assert ledger.note_shared([Link("u2", "d")]) == 0


def test_the_last_state_of_a_group_is_remembered(ledger_url: str) -> None:
    """Type and key together name a group; they are never mixed up."""
    odd = ("org\0a", "\U0001f600" * 3000)
    with opened(ledger_url) as ledger:
        ledger.accept_groups({("org", "acme"): "1", ("org", "b"): "1", odd: "9"})
        ledger.accept_groups({("org", "acme"): "2", ("team", "acme"): "3"})
    with opened(ledger_url) as ledger:
        assert ledger.group_digests([("org", "acme"), ("team", "acme"), odd, ("org", "c")]) == {
            ("org", "acme"): "2",
            ("team", "acme"): "3",
            odd: "9",
        }


def test_thousands_of_devices_go_through_at_once(ledger: Ledger) -> None:
    """A database takes only so many parameters in one statement."""
    owners = ledger.claim(links("u1", 5_000))
    assert len(owners) == 5_000
    ledger.accept(list(owners))
    again = ledger.claim(links("u2", 5_000))
    assert set(again.values()) == {Owner("u1", accepted=True)}
    assert ledger.note_shared(links("u2", 5_000)) == 5_000


def test_ids_come_back_as_they_are(ledger: Ledger) -> None:
    """Whatever a customer used as an id; those that differ only in case are two to PostHog, too."""
    odd = ("d' OR 1=1 --", '"', "Ünï\U0001f600", "\ufffd", " d ", "D" * 200)
    for name in (*odd, "device", "Device"):
        assert ledger.claim([Link(name, name)]) == {name: Owner(name, accepted=False)}


def test_workers_that_start_at_once_make_the_tables_once(ledger_url: str) -> None:
    """None of them fails because another was faster."""
    barrier = Barrier(6)

    def open_together(_: int) -> None:
        barrier.wait()
        with opened(ledger_url) as ledger:
            ledger.owners(["d"])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_together, range(6)))


def test_a_new_ledger_that_another_worker_makes_is_waited_for(tmp_path: Path) -> None:
    """SQLite may refuse at once while another takes the file, as it does for a moment."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = Timer(0.3, other.commit)
        release.start()
        with opened(f"sqlite:///{path}?timeout=0") as ledger:
            assert ledger.owners(["d"]) == {}
        release.join()


def test_workers_that_claim_at_once_agree(ledger_url: str) -> None:
    """They meet the same devices in different order; each device has one owner for all."""
    workers, count = 4, 3_000
    barrier = Barrier(workers)

    def claim_all(worker: int) -> dict[str, Owner]:
        mine = links(f"user-{worker}", count)
        with opened(ledger_url) as ledger:
            barrier.wait()
            return ledger.claim(mine if worker % 2 else mine[::-1])

    with ThreadPoolExecutor(workers) as pool:
        answers = list(pool.map(claim_all, range(workers)))
    assert len(answers[0]) == count
    assert all(answer == answers[0] for answer in answers)


def test_no_key_is_stored(tmp_path: Path) -> None:
    """The ledger may lie next to the project's files."""
    with opened(f"sqlite:///{tmp_path}/ledger.db", "phc_very_secret") as ledger:
        ledger.claim([Link("u1", "d")])
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"u1" in written
    assert b"phc_very_secret" not in written


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "not a valid URL"),
        ("nonsense", "not a valid URL"),
        ("foo://host/db", "not a valid URL"),
        ("postgresql+psycopg://user:hushhush@host:port/db", "not a valid URL"),
        ("sqlite://host/file.db", "not a valid URL"),
        ("postgresql+psycopg://user:hush@hush@host/db", "%40"),
        ("oracle+cx_oracle://user:hushhush@host/db", "driver cx_Oracle"),
    ],
)
def test_a_wrong_address_is_a_matter_of_configuration(url: str, words: str) -> None:
    """The message names the setting and never shows the address: it may hold a password."""
    with pytest.raises(FixConfiguration, match="ledger_url") as raised:
        Ledger(url, KEY)
    assert words in str(raised.value)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://user:hushhush@127.0.0.1:1/db",
        "postgresql+psycopg://127.0.0.1:1/db?user=me&password=hushhush",
        "postgresql+psycopg://user:hushhush@127.0.0.1:1/db?nonsense=hushhush",
        "postgresql+psycopg://user:hushhush@no-such-host.invalid/db",
    ],
)
def test_a_database_that_cannot_be_reached_says_so_without_its_password(url: str) -> None:
    """Running again helps, or mending ledger_url."""
    with pytest.raises(RunAgain, match="ledger_url") as raised:
        Ledger(url, KEY)
    assert "hushhush" not in str(raised.value)
    assert "/db failed: " in str(raised.value)


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    """SQLite makes files, not folders."""
    with pytest.raises(RunAgain, match="unable to open database file"):
        Ledger(f"sqlite:///{tmp_path}/none/ledger.db", KEY)


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    """And it is left as it is."""
    (tmp_path / "ledger.db").write_text("my shopping list" * 100)
    with pytest.raises(DamagedLedger, match="file is not a database"):
        Ledger(f"sqlite:///{tmp_path}/ledger.db", KEY)
    assert (tmp_path / "ledger.db").read_text().startswith("my shopping list")


def test_a_read_only_database_says_so(tmp_path: Path) -> None:
    """Reading alone does not keep links from being sent twice."""
    Ledger(f"sqlite:///{tmp_path}/ledger.db", KEY).close()
    url = f"sqlite:///file:{tmp_path}/ledger.db?mode=ro&uri=true"
    with pytest.raises(RunAgain, match="readonly"), opened(url) as ledger:
        ledger.claim([Link("u1", "d")])


def test_a_signal_while_a_connection_is_given_back_is_not_told_by_the_pool(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run says in one line that it was stopped; a traceback beside it looks like a bug."""
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")

    def stop(*_: object) -> None:
        raise StoppedBySignal(signal.SIGTERM)

    sa.event.listen(engine, "reset", stop)
    with pytest.raises(StoppedBySignal), engine.connect():
        pass
    assert caplog.records == []


def test_a_locked_database_says_so(tmp_path: Path) -> None:
    """After a wait: a short lock is another worker at its turn."""
    url = f"sqlite:///{tmp_path}/ledger.db?timeout=0.2"
    with opened(url) as ledger, closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunAgain, match="locked"):
            ledger.claim([Link("secret-user", "secret-device")])
        other.rollback()
        assert ledger.claim([Link("u1", "d")]) == {"d": Owner("u1", accepted=False)}


def test_what_fails_shows_no_ids(tmp_path: Path) -> None:
    """SQLAlchemy's own message would list the parameters."""
    with opened(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("DROP TABLE device_users")
        with pytest.raises(RunAgain, match="no such table") as raised:
            ledger.claim([Link("secret-user", "secret-device")])
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("is_within", [False, True], ids=["silent", "in a transaction"])
def test_a_connection_that_was_cut_is_made_anew(postgresql_url: str, *, is_within: bool) -> None:
    """Firewalls end silent ones while PostHog is away; what a transaction had begun is repeated."""
    with opened(postgresql_url) as ledger:
        ledger.claim([Link("u1", "d")])
        if is_within:
            sa.event.listen(
                ledger._engine, "begin", lambda _: _cut_all_connections(postgresql_url), once=True
            )
        else:
            _cut_all_connections(postgresql_url)
        ledger.accept(["d"])
        assert ledger.claim([Link("u2", "d")]) == {"d": Owner("u1", accepted=True)}


def test_a_restart_of_the_server_is_waited_out(
    postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An update of PostgreSQL in the night must not end a migration."""
    server = _server_of(postgresql_url)
    with opened(postgresql_url) as ledger:
        ledger.claim([Link("u1", "d")])
        _stop(server)
        starting = Timer(0.5, server.ensure_postgres_running)
        starting.start()
        try:
            ledger.accept(["d"])
            assert ledger.note_shared([Link("u2", "d")]) == 1
        finally:
            starting.join()
        assert ledger.waited > 0.5
        assert ledger.claim([Link("u2", "d")]) == {"d": Owner("u1", accepted=True)}
    (said,) = [one.message for one in caplog.records if "Trying again" in one.message]
    assert "The ledger at postgresql+psycopg://" in said


def test_a_server_that_stays_away_ends_the_run(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while, with the state where it is."""
    monkeypatch.setattr("target_posthog.identity.database._AWAY_SECONDS", 1.0)
    server = _server_of(postgresql_url)
    with opened(postgresql_url) as ledger:
        _stop(server)
        try:
            with pytest.raises(RunAgain, match=r"The ledger at .* failed: .*ledger_url"):
                ledger.accept(["d"])
        finally:
            server.ensure_postgres_running()


@pytest.fixture
def _never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail when something is waited for."""
    wait = "target_posthog.capture.retries.RetryPolicy._wait_unless_stopped"
    monkeypatch.setattr(wait, pytest.fail)


@pytest.mark.usefixtures("_never_waits")
def test_a_server_that_was_never_there_is_told_at_once(tmp_path: Path) -> None:
    """A wrong address does not become right by waiting."""
    url = f"postgresql+psycopg:///postgres?host={tmp_path}"
    with pytest.raises(RunAgain, match="failed"), opened(url):
        pass


@pytest.mark.usefixtures("_never_waits")
def test_a_full_disk_is_told_at_once(tmp_path: Path) -> None:
    """A file is no server that comes back: SQLite fails at a commit, as a lost connection does."""
    many = [Link("u", f"{number:0200}") for number in range(5_000)]
    with opened(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        ledger.claim(many[:1])
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            with pytest.raises(RunAgain, match=r"failed: disk I/O error\..* Make room on "):
                ledger.claim(many)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_a_full_disk_of_a_server_is_told_as_one(postgresql_url: str) -> None:
    """In its own words (src/backend/storage/smgr/md.c)."""
    words = "could not extend file: No space left on device"
    full = sa.text(f"DO $$ BEGIN RAISE '{words}' USING ERRCODE = 'disk_full'; END $$")
    with (
        closing(Database(postgresql_url)) as database,
        pytest.raises(RunAgain, match=f"failed: {words}\\..* Make room on "),
    ):
        database.transact(lambda connection: connection.execute(full))


def test_no_error_of_the_database_holds_what_it_was_given(ledger: Ledger) -> None:
    """The ids are people's, and a traceback shows what an error says."""
    asked = sa.text("SELECT nothing FROM nowhere WHERE a = :a")
    with pytest.raises(sa.exc.DBAPIError) as raised, ledger._engine.begin() as connection:
        connection.execute(asked, {"a": "hushhush"})
    assert "hushhush" not in str(raised.value)


def _server_of(url: str) -> Any:
    return pytest.importorskip("pgserver").get_server(sa.make_url(url).query["host"])


def _stop(server: Any) -> None:
    control = pytest.importorskip("pgserver").pg_ctl
    control(["-w", "-m", "fast", "stop"], pgdata=server.pgdata, user=server.system_user)


def _cut_all_connections(url: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()
