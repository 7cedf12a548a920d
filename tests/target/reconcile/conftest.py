"""What the tests of the comparison share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.reconciling import asking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.singer import Json


@pytest.fixture
def config(capture: PosthogCapture, api: PosthogQuery, tmp_path: Path) -> Json:
    """The settings of a target that sends to the one and asks the other."""
    sending = {"api_key": capture.api_key, "host": capture.url, "max_retry_seconds": 10}
    return asking({**sending, "max_reject_ratio": 1}, api, tmp_path)
