"""What several tests of the stand-ins share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.fakes.amplitude_reading import LONG_AFTER
from tests.support.rows import hour_rows

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """A project with ten rows in each of the hours 0, 1 and 9."""
    with AmplitudeExportApi(hour_rows(0, 1, 9, each=10), now=LONG_AFTER) as running:
        yield running
