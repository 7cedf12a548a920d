"""Starts Dagster on the sandbox's stand-ins, or a backfill in one that runs."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import sqlalchemy as sa

from tests.support.meltano_project import MeltanoProject, own_definition
from tools.sandbox.services import DAYS, services
from tools.scale.dagster_api import ASSET, DagsterApi, NotAnswered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.sandbox.services import Services

_REPOSITORY = Path(__file__).parents[2]
_SCALE = _REPOSITORY / ".venv-scale/bin"
#: Of Dagster's pages. The stand-ins take any ports, so a sandbox may run beside them.
_PORT = 3000
ADDRESS = f"http://127.0.0.1:{_PORT}"
#: Where Dagster shows the hours.
PAGE = f"{ADDRESS}/assets/{ASSET}?view=partitions"
#: Of the sandbox's world, in ranges of half a day: some minutes to look at.
_RANGE_HOURS = 12
_ENDS_SECONDS = 10
#: They are made anew, and the server may be somebody's: no other program has such names.
_DATABASES = ("tools_scale_dagster", "tools_scale_migration")
#: What the sandbox has one of, and each range its own.
_OF_A_RANGE = ("TAP_AMPLITUDE_START_DATE", "TARGET_POSTHOG_LEDGER_URL")


def serve() -> int:
    """Serve the stand-ins and Dagster until Ctrl-C; return the exit code."""
    with (
        services((0, 0, 0)) as running,
        tempfile.TemporaryDirectory(prefix="scale-") as home,
        _postgresql() as server,
    ):
        (Path(home) / "dagster.yaml").symlink_to(_REPOSITORY / "orchestration/dagster.yaml")
        project = Path(home) / "project"
        project.mkdir()
        MeltanoProject(project, definition(running))
        dagster = subprocess.Popen(  # noqa: S603 - our own installation
            [
                *(str(_SCALE / "dagster"), "dev", "--port", str(_PORT)),
                *("--workspace", str(_REPOSITORY / "orchestration/workspace.yaml")),
            ],
            cwd=_REPOSITORY,
            env={**os.environ, **_variables(server, project), "DAGSTER_HOME": home},
        )
        _say(_welcome(running.events))
        try:
            return dagster.wait()
        except KeyboardInterrupt:
            _end(dagster)
            return 0


def _end(dagster: subprocess.Popen[bytes]) -> None:
    """Wait for its end: Ctrl-C goes to it as well, a SIGTERM of this process alone does not."""
    try:
        dagster.wait(_ENDS_SECONDS)
    except subprocess.TimeoutExpired:
        dagster.terminate()
        dagster.wait()


def _welcome(events: int) -> str:
    return f"""\
Dagster starts on the sandbox: {events:,} made-up events of {DAYS} days. Ctrl-C ends it.
  the hours   {PAGE}

Start the backfill there (Materialize, All), or in another terminal, after `. .venv/bin/activate`:
  python -m tools.scale backfill

Kill what you like meanwhile: `pkill -9 -f tap-amplitude`. Then look whether the book is whole:
  the check   {ADDRESS}/assets/{ASSET}?view=checks"""


def definition(running: Services) -> dict[str, Any]:
    """Return a meltano.yml whose sandbox leads to some stand-ins.

    Hours and ledger are left to the ranges: variables of an environment win over theirs.
    """
    whole = own_definition()
    [sandbox] = [each for each in whole["environments"] if each["name"] == "sandbox"]
    sandbox["env"] |= {
        "TAP_AMPLITUDE_API_URL": running.amplitude.url,
        "TARGET_POSTHOG_HOST": running.capture.url,
        "TARGET_POSTHOG_APP_HOST": running.query.url,
    }
    for name in _OF_A_RANGE:
        del sandbox["env"][name]
    return whole


def _variables(server: sa.URL, project: Path) -> Mapping[str, str]:
    """Return the environment of Dagster, and so of Meltano and the plugins."""
    of_dagster, of_all = (_database(server, name) for name in _DATABASES)
    scripts = Path(sys.executable).parent
    return {
        "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
        "DAGSTER_POSTGRES_URL": of_dagster.replace("+psycopg", ""),
        "MELTANO_ENVIRONMENT": "sandbox",
        "MELTANO_DATABASE_URI": of_all,
        "TARGET_POSTHOG_LEDGER_URL": of_all,
        "MIGRATION_START": "2024-02-28",
        "MIGRATION_END": "2024-03-06",
        "MIGRATION_RANGE_HOURS": str(_RANGE_HOURS),
        "MIGRATION_RETRY_SECONDS": "5",
        "MIGRATION_PROJECT": str(project),
        "MIGRATION_MELTANO": str(scripts / "meltano"),
    }


@contextmanager
def _postgresql() -> Iterator[sa.URL]:
    """Give a PostgreSQL server: that of `SCALE_POSTGRES_URL`, or one of our own until the end."""
    given = os.environ.get("SCALE_POSTGRES_URL")
    if given:
        yield sa.make_url(given)
        return
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        # Its locks stand there; without a session of the user there is no such folder.
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        # It is not there for each version of Python, and has no types.
        server = import_module("pgserver").get_server(Path(folder) / "data")
        yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        server.cleanup()


def _database(server: sa.URL, name: str) -> str:
    """Make an empty database, instead of that of an earlier time; return its address."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


def _has_pgserver() -> bool:
    try:
        return find_spec("pgserver") is not None
    except ValueError:
        # So it says of a module that is known not to be there.
        return False


def backfill() -> int:
    """Start a backfill of all hours in the Dagster that runs; return the exit code."""
    api = DagsterApi(ADDRESS)
    try:
        api.launch_backfill(api.partitions())
    except (NotAnswered, requests.RequestException):
        _say("Dagster does not answer. Start it with `make scale`, and wait until it has begun.")
        return 1
    _say(f"The backfill is on its way: {PAGE}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.scale", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["backfill"])
    if parser.parse_args(arguments).command:
        return backfill()
    if not (_SCALE / "dagster").exists():
        _say("Dagster is not installed. `make scale` does that.")
        return 1
    if not os.environ.get("SCALE_POSTGRES_URL") and not _has_pgserver():
        _say("There is no PostgreSQL. Set SCALE_POSTGRES_URL to the address of an empty server.")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return serve()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
