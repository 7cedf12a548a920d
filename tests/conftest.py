"""What the tests of several parts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_capture import PosthogCapture

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def capture() -> Iterator[PosthogCapture]:
    """PostHog's ingestion, as a server of this test's own."""
    with PosthogCapture() as running:
        yield running
