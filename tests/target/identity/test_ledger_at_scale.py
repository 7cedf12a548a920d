"""Several processes on one ledger, few statements for many pairs; SQLite and a real PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from target_posthog.identity.ledger import Ledger, Owner
from target_posthog.identity.observations import observations_of
from target_posthog.identity.resolver import IdentityResolver
from target_posthog.model import Link
from tests.fakes.posthog_persons import PersonModel
from tests.support.deliveries import item
from tests.support.processes import clean_environment, encoded, start
from tests.support.rows import row
from tests.support.singer import records, schema, state

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json

_CLAIMS = """
import os
import sys
from target_posthog.model import Link
from target_posthog.identity.ledger import Ledger
url = sys.argv[1]
worker = next((number for number in range(4) if os.fork() == 0), None)
if worker is None:
    sys.exit(any([os.wait()[1] for _ in range(4)]))
ledger = Ledger(url, "phc_test")
order = range(2000) if worker % 2 else range(1999, -1, -1)
devices = [f"device-{number}" for number in order]
for start in range(0, 2000, 125):
    part = devices[start : start + 125]
    claimed = ledger.claim([Link(f"user-{worker}", device) for device in part])
    ledger.accept(part)
    # Few enough for one write that nobody's comes between.
    lines = (f"{worker} {device} {claimed[device].user_id}\\n" for device in part)
    os.write(1, "".join(lines).encode())
"""


def test_processes_that_claim_and_accept_crosswise_agree(ledger_url: str) -> None:
    """None waits for ever, none fails, and each device has one owner for all of them.

    Four, forked once all is loaded, before any has a connection.
    """
    command = [sys.executable, "-c", _CLAIMS, ledger_url]
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, timeout=100, env=clean_environment(), check=True
    )
    told = [line.split() for line in ended.stdout.splitlines()]
    assert len(told) == 4 * 2000
    owners = {(device, user) for _, device, user in told}
    assert len(owners) == len(dict(owners)) == 2000


_LINKS = {"alias": ("$create_alias", "alias"), "identify": ("$identify", "$anon_distinct_id")}


@pytest.mark.parametrize(
    ("ledger_url", "kind"),
    [("sqlite", "alias"), ("postgresql", "identify"), ("postgresql", "none")],
    indirect=["ledger_url"],
)
def test_targets_that_share_a_ledger_never_join_two_users(
    tmp_path: Path, config: Json, capture: PosthogCapture, ledger_url: str, kind: str
) -> None:
    """Three machines move overlapping hours, in which everybody uses everybody's devices."""
    settings = {**config, "ledger_url": ledger_url, "max_batch_events": 40}
    settings["identity_events"] = kind
    lives = [
        row(n, user_id=None if n % 7 == 0 else f"user-{n * n % 11}", device_id=f"device-{n % 23}")
        for n in range(600)
    ]
    machines = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        target = start("target-posthog", settings, folder)
        own = lives[number * 150 :] + lives[: number * 150]
        machines.append((target, encoded([schema(), *records(own), state({"at": number})])))
    for target, lines in machines:
        target.write([lines])
    for target, _ in machines:
        with target:
            target.finish().checked()

    # In the order of arrival; each machine sent every row.
    model = PersonModel()
    for event in capture.events:
        model.process(event)
    users = {f"user-{number}" for number in range(11)}
    assert all(len(person & users) <= 1 for person in model.people())
    name, of_device = _LINKS.get(kind, ("", ""))
    told = {
        (event["properties"][of_device], event["distinct_id"])
        for event in capture.events
        if event["event"] == name
    }
    assert len(told) == len(dict(told)) == (0 if kind == "none" else 23)
    assert all(kind != "none" or len(person) == 1 for person in model.people())
    for device, user in told:
        assert model.person_of(device) == model.person_of(user)


@pytest.mark.parametrize("count", [10, 5000])
def test_a_flush_takes_a_few_statements_whatever_its_size(ledger: Ledger, count: int) -> None:
    """A look-up for each pair would be the slowest part of a migration."""
    pairs = [Link(f"user-{number}", f"device-{number}") for number in range(count)]
    seen = observations_of([item(number, link=pair) for number, pair in enumerate(pairs)])
    links = IdentityResolver(ledger, "alias")
    statements: list[str] = []
    sa.event.listen(
        ledger._engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: statements.append(statement),
    )
    derived = links.resolve(seen)
    assert [one.link for one in derived.events] == pairs
    # Users and devices: two look-ups and two inserts, of 5,000 ids each.
    assert 1 <= len(statements) <= 4
    statements.clear()
    links.accept(pairs, [])
    assert 1 <= len(statements) <= 2
    statements.clear()
    links.resolve(seen)
    assert statements == []
    fresh = IdentityResolver(ledger, "alias")
    fresh.resolve(seen)
    assert 1 <= len(statements) <= 2


def test_sqlite_keeps_a_claim_over_a_power_cut(tmp_path: Path) -> None:
    """Another user must not get a device that PostHog already gave away."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db", "phc_test")
    with ledger._engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar_one() == 2
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar_one() == "wal"
        plan = connection.execute(
            sa.text(
                "EXPLAIN QUERY PLAN SELECT user_id FROM device_users "
                "WHERE project = 'p' AND device_id IN ('a', 'b')"
            )
        ).all()
    assert "SEARCH device_users USING PRIMARY KEY (project=? AND device_id=?)" in str(plan)
    ledger.close()


def test_an_id_seen_as_a_user_joins_nobody_else(ledger: Ledger) -> None:
    """Apps that set the device id to the user id leave it on the phone after the logout."""
    links = IdentityResolver(ledger, "alias")
    alice = item(1, distinct_id="alice", properties={"$amplitude_user_id": "alice"})
    bob = item(2, link=Link("bob", "alice"), distinct_id="bob")
    derived = links.resolve(observations_of([bob, alice]))
    assert (derived.events, derived.newly_shared) == ([], 1)
    assert ledger.owners(["alice"]) == {"alice": Owner("alice", accepted=False)}
