"""The sandbox says what keeps it from running."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from tools.sandbox import __main__ as sandbox

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_folder_that_cannot_be_made_is_not_blamed_on_a_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file lies where the output goes."""
    (tmp_path / "output").touch()
    monkeypatch.chdir(tmp_path)

    assert sandbox.main([]) == 1
    told = capsys.readouterr().out
    assert "output" in told
    assert "ports" not in told


def test_a_port_in_use_is_told_with_all_that_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another sandbox may run."""

    def serve() -> None:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sandbox, "serve", serve)

    assert sandbox.main([]) == 1
    assert "needs the ports 8761 to 8764: Address already in use." in capsys.readouterr().out
