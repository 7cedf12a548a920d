"""What the tests of the comparison share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.reconciling import asking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.singer import Json


@pytest.fixture
def config(config: Json, api: PosthogQuery, tmp_path: Path) -> Json:
    """The settings of a target that sends to the one and asks the other."""
    return config | asking(api, tmp_path)
