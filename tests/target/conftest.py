"""What the tests of the target share."""

from __future__ import annotations

from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from target_posthog.identity.ledger import Ledger
from tests.fakes.posthog_query import PosthogQuery
from tests.support.deliveries import Clock
from tests.support.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the retries; no test waits for real."""
    made = Clock()
    monkeypatch.setattr("tenacity.time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def config(capture: PosthogCapture) -> Json:
    """The settings of a target that sends to the stand-in; most of a test's rows may be bad."""
    return {
        "api_key": capture.api_key,
        "host": capture.url,
        "max_retry_seconds": 10,
        "max_reject_ratio": 1,
    }


@pytest.fixture
def target(config: Json, tmp_path: Path, capture: PosthogCapture) -> Target:
    """A target with these settings, in a folder of its own."""
    return Target(config, tmp_path, capture)


@pytest.fixture
def api(capture: PosthogCapture) -> Iterator[PosthogQuery]:
    """The query API over what the ingestion stored."""
    with PosthogQuery(capture) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty ledger in a database of either kind."""
    with closing(Ledger(ledger_url, "phc_test")) as opened:
        yield opened
