"""One run at a time of a range, and none that waits for a dead one; both kinds of ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from target_posthog.errors import RunAgain
from target_posthog.identity.database import open_engine
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.range_lock import RangeLock, range_of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "phc_test"
#: Takes the lock of a range, says so, and lives on.
HOLDER = """
import sys
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.range_lock import RangeLock
held = RangeLock(Ledger(sys.argv[1], "phc_test"), "january")
print("held", flush=True)
sys.stdin.read()
"""


class Waits:
    """A clock that a sleep moves on; what is to happen while a run waits, happens then."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.slept = 0.0
        self._then = then

    def clock(self) -> float:
        """Return the seconds that were slept."""
        return self.slept

    def sleep(self, seconds: float) -> None:
        """Go on."""
        self.slept += seconds
        self._then()


@pytest.fixture
def holder(ledger_url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the lock of January."""
    arguments = [sys.executable, "-c", HOLDER, ledger_url]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.slow
def test_a_second_run_of_a_range_waits_and_then_gives_up(
    ledger_url: str, holder: subprocess.Popen[str]
) -> None:
    """It says which range, and what to do; other ranges and other projects go on."""
    assert holder.poll() is None
    waits = Waits()
    with closing(Ledger(ledger_url, KEY)) as ledger:
        with pytest.raises(RunAgain, match="january goes on, with the same ledger") as stop:
            RangeLock(ledger, "january", waits.clock, waits.sleep)
        assert stop.value.exit_code == 1
        assert waits.slept == pytest.approx(60)
        RangeLock(ledger, "february").close()
    with closing(Ledger(ledger_url, "phc_another")) as another:
        RangeLock(another, "january").close()


@pytest.mark.slow
def test_a_killed_run_lets_go_at_once(ledger_url: str, holder: subprocess.Popen[str]) -> None:
    """Nobody waits for five minutes."""

    def kill() -> None:
        holder.kill()
        holder.wait()

    waits = Waits(then=kill)
    with closing(Ledger(ledger_url, KEY)) as ledger:
        RangeLock(ledger, "january", waits.clock, waits.sleep).close()
    assert 0 < waits.slept <= 5


def test_a_range_can_be_run_again_when_it_is_over(ledger: Ledger) -> None:
    """In the same process, too."""
    for _ in range(3):
        RangeLock(ledger, "january").close()


def test_without_a_state_id_nothing_is_locked(ledger: Ledger) -> None:
    """Nobody said which range it is."""
    held = [RangeLock(ledger, "") for _ in range(2)]
    for lock in held:
        lock.close()


@pytest.mark.parametrize(
    ("file", "variable", "state_id"),
    [
        ("/x/.meltano/run/elt/january/8f3c/target.1.config.json", "", "january"),
        ("/x/.meltano/run/elt/january/8f3c/target.1.config.json", "february", "january"),
        ("/x/.meltano/run/target-posthog/target.1.config.json", "february", "february"),
        ("config.json", "", ""),
    ],
)
def test_the_range_is_what_meltano_calls_it(file: str, variable: str, state_id: str) -> None:
    """By the folder of its settings: the option `--state-id` is no variable."""
    environment = {"MELTANO_STATE_ID": variable} if variable else {}
    assert range_of_run(["ENV", file], environment) == state_id


def test_a_ledger_in_memory_has_no_locks() -> None:
    """It is nobody else's."""
    with closing(Ledger("sqlite://", KEY)) as ledger:
        assert ledger.file is None
        RangeLock(ledger, "january").close()


def test_the_server_is_told_to_look_after_silent_machines(postgresql_url: str) -> None:
    """Else it would keep the locks of one that is gone for two hours."""
    told: list[dict[str, str]] = []
    engine = open_engine(postgresql_url)
    sa.event.listen(
        engine, "connect", lambda connection, _: told.append(connection.info.get_parameters())
    )
    with engine.connect() as connection:
        # What the server keeps of it on a socket of this machine is nothing.
        assert connection.execute(sa.text("SHOW tcp_keepalives_idle")).scalar_one() == "0"
    engine.dispose()
    (parameters,) = told
    assert parameters["keepalives_idle"] == "20"


def test_a_server_that_cannot_look_is_used_all_the_same() -> None:
    """Some systems do not know these settings."""
    from target_posthog.identity.database import _watch_peer  # noqa: PLC0415 - only here

    numbers = count()

    class Cursor:
        def execute(self, statement: str) -> None:
            assert "tcp_keepalives_idle" in statement
            assert "tcp_keepalives_count" in statement
            raise OSError("it cannot")

        def close(self) -> None:
            next(numbers)

    class Connection:
        def cursor(self) -> Cursor:
            return Cursor()

        def commit(self) -> None:
            raise AssertionError

        def rollback(self) -> None:
            next(numbers)

    _watch_peer(Connection(), None)
    assert next(numbers) == 2
