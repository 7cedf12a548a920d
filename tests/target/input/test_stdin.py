"""Standard input comes as whole lines, from whatever it is."""

from __future__ import annotations

import fcntl
import os
import sys
from typing import TYPE_CHECKING

import pytest

from target_posthog.input.stdin import PollingStdin
from tests.support.descriptors import beyond_select

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def nothing_else() -> tuple[Sequence[int], float | None]:
    """Wait for the input alone."""
    return [], None


@pytest.mark.skipif(sys.platform != "linux", reason="others have pipes of one size")
def test_a_pipe_is_widened_so_that_its_writer_wakes_less_often() -> None:
    """At 64 KiB tap, Meltano and target would spend a tenth of their time on it."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        lines = PollingStdin(pipe, nothing_else)
        assert fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) == 1024 * 1024
        os.write(writing, b"one\ntwo")
        os.close(writing)
        assert list(lines) == [b"one\n", b"two"]


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    """It has no size to widen."""
    path = tmp_path / "messages"
    path.write_bytes(b"one\ntwo\n")
    with path.open("rb") as file:
        assert list(PollingStdin(file, nothing_else)) == [b"one\n", b"two\n"]


def test_a_pipe_is_read_by_a_process_with_thousands_of_open_files() -> None:
    """A scheduler that leaks its own hands them on; `select` waits for none beyond 1,024."""
    with beyond_select():
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as pipe:
            os.write(writing, b"one\n")
            os.close(writing)
            assert list(PollingStdin(pipe, nothing_else)) == [b"one\n"]
