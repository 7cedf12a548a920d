"""What the tests of queries share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_query import PosthogQuery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture


@pytest.fixture
def api(capture: PosthogCapture, tmp_path: Path) -> Iterator[PosthogQuery]:
    """The query API over what the ingestion stored."""
    with PosthogQuery(capture, tmp_path / "clickhouse") as running:
        yield running
