"""What all tests of the tap share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _folder_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tap that runs in this process find and leave its files where a test looks for them."""
    monkeypatch.chdir(tmp_path)
