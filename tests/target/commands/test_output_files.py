"""A command's file is whole or not there, and its owner's alone."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from target_posthog.commands.output_files import CannotWrite, write_private

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_that_anybody_may_read_becomes_private(tmp_path: Path) -> None:
    """An earlier one may have been made with other rights."""
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "néw", "--html")
    assert path.read_text(encoding="utf-8") == "néw"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_gives_way_to_the_file(tmp_path: Path) -> None:
    """What it leads to is somebody else's."""
    other, link = tmp_path / "other", tmp_path / "link"
    other.write_text("theirs")
    link.symlink_to(other)
    write_private(link, "ours", "--html")
    assert (other.read_text(), link.read_text(), link.is_symlink()) == ("theirs", "ours", False)


def test_a_pipe_gets_the_text_and_stays(tmp_path: Path) -> None:
    """As `/dev/stdout` does."""
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    write_private(path, "text", "--output")
    reader.join(10)
    assert read == ["text"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_file_without_a_place_leaves_nothing_behind(tmp_path: Path) -> None:
    """The message names the option, and no state: a command has none."""
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "no" / "where", tmp_path / "folder"):
        with pytest.raises(CannotWrite, match="of --output cannot be written: ") as raised:
            write_private(path, "text", "--output")
        assert "state" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
