"""Lines that are no records are kept apart from those of other runs."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from tap_amplitude.errors import FixConfiguration
from tap_amplitude.output.rejects import rejects_at

if TYPE_CHECKING:
    from pathlib import Path


def test_two_runs_of_one_second_keep_their_rejects_apart(tmp_path: Path) -> None:
    """Also on a folder that several machines share."""
    pods = [rejects_at(str(tmp_path), datetime(2024, 1, 1, tzinfo=timezone.utc)) for _ in range(2)]
    for pod, rejects in enumerate(pods):
        rejects.add(b"pod %d" % pod, reason="not JSON")
    for rejects in pods:
        rejects.sync()
        rejects.close()
    kept = [json.loads(path.read_text())["record"] for path in tmp_path.glob("tap-amplitude-*")]
    assert sorted(kept) == ["pod 0", "pod 1"]


def test_a_place_that_cannot_be_a_folder_is_told_before_the_first_reject(tmp_path: Path) -> None:
    """The first reject of a long run may come after hours."""
    file = tmp_path / "rejects"
    file.touch()
    with pytest.raises(FixConfiguration, match="rejects is a file, not a folder") as raised:
        rejects_at(f"{file}/a", datetime(2024, 1, 1, tzinfo=timezone.utc))
    assert "set `rejects_path` to another folder" in str(raised.value)
