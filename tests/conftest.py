"""What the tests of several parts share."""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

# Before the imports: these hold assertions, too, and any folder's tests may import them first.
pytest.register_assert_rewrite(
    "tests.support.faithful",
    "tests.support.pipeline",
    "tests.support.processes",
    "tests.support.snapshots",
    "tests.support.lives",
)

from tests.fakes.posthog_capture import PosthogCapture  # noqa: E402 - see above
from tests.support.examples import choose_profile  # noqa: E402 - see above
from tests.support.process_state import process_state_kept  # noqa: E402 - see above
from tests.support.slow import is_slow  # noqa: E402 - see above
from tests.support.snapshots import Snapshot  # noqa: E402 - see above

if TYPE_CHECKING:
    from collections.abc import Iterator

choose_profile()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take how to renew the snapshots."""
    parser.addoption("--update-snapshots", action="store_true", help="write the snapshots anew")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return three workers for two processors: tests wait for a third of their time."""
    return (os.cpu_count() or 1) * 3 // 2


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    """What this test's run is to leave: a file in `snapshots`, beside the test."""
    path = request.path.parent / "snapshots" / f"{request.node.name}.txt"
    return Snapshot(path, renews=request.config.getoption("--update-snapshots"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves out, and begin with what takes longest.

    A long test that begins late keeps one worker busy when the others have nothing left to do.
    """
    for item in items:
        if is_slow(item):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True)
def _process_state() -> Iterator[None]:
    """A plugin that a test runs in process leaves the process as it was."""
    with process_state_kept():
        yield


@pytest.fixture
def capture() -> Iterator[PosthogCapture]:
    """PostHog's ingestion, as a server of this test's own."""
    with PosthogCapture() as running:
        yield running


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.URL]:
    """A real PostgreSQL of this run of the tests; the address of its first database."""
    # Not under pytest's folder, which is closed to the user as whom PostgreSQL runs for root.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
            pgserver = pytest.importorskip("pgserver")
            server = pgserver.get_server(Path(folder) / "data")
        yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server: sa.URL) -> str:
    """The address of an empty schema of this test's own."""
    schema = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(postgresql_server)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    engine.dispose()
    url = postgresql_server.update_query_dict({"options": f"-csearch_path={schema}"})
    return url.render_as_string(hide_password=False)
