"""What the tests of several parts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# Before the imports: these hold assertions, too, and any folder's tests may import them first.
pytest.register_assert_rewrite(
    "tests.end_to_end.faithful", "tests.end_to_end.support", "tests.processes"
)

from tests.fakes.posthog_capture import PosthogCapture  # noqa: E402 - see above

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def capture() -> Iterator[PosthogCapture]:
    """PostHog's ingestion, as a server of this test's own."""
    with PosthogCapture() as running:
        yield running
