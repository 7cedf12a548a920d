"""What the tests of the target share."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.target.singer import Json


@pytest.fixture
def config(capture: PosthogCapture) -> Json:
    """The settings of a target that sends to the stand-in."""
    return {"api_key": capture.api_key, "host": capture.url, "max_retry_seconds": 10}


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.URL]:
    """A real PostgreSQL of this run of the tests; the address of its first database."""
    # Not under pytest's folder, which is closed to the user as whom PostgreSQL runs for root.
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
            pgserver = pytest.importorskip("pgserver")
            server = pgserver.get_server(Path(folder) / "data")
        yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server: sa.URL) -> str:
    """The address of an empty schema of this test's own."""
    schema = f"ledger_{uuid.uuid4().hex}"
    engine = sa.create_engine(postgresql_server)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    engine.dispose()
    url = postgresql_server.update_query_dict({"options": f"-csearch_path={schema}"})
    return url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url
