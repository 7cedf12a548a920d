"""The bar in a real terminal, and where there is none."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from target_posthog.progress.bar import Bar
from tests.support.processes import clean_environment, command_line, encoded
from tests.support.rows import row
from tests.support.singer import hours_state, record, schema

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.singer import Json

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")

#: What draws a bar, and what gives it colours.
_BAR, _COLOUR = re.compile("[━╸╺]{5}"), re.compile(r"\x1b\[[0-9;]*[39]\d(;\d+)*m")
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def shown_in_a_terminal(
    config: Json, folder: Path, variables: Mapping[str, str] | None = None, *, broken: bool = False
) -> str:
    """Run the target over some seconds of input with a terminal as its standard error."""
    import pty  # noqa: PLC0415 - not on Windows

    mine, its = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(mine, 65536):
                seen.append(part)
        except OSError:  # Linux says so when the other end is closed
            return

    environment = {"TERM": "xterm-256color", "COLUMNS": "140", **(variables or {})}
    reader = threading.Thread(target=read)
    with subprocess.Popen(
        command_line("target-posthog", folder, config),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=its,
        cwd=folder,
        env={**clean_environment(), **environment},
    ) as target:
        os.close(its)
        reader.start()
        assert target.stdin is not None
        while b"Meltano SDK" not in b"".join(seen):
            time.sleep(0.05)
        target.stdin.write(encoded([schema(), record(row(1)), hours_state(6)]))
        target.stdin.flush()
        for number in range(2, 8):
            time.sleep(0.35)
            bad = row(number, event_time="never", server_upload_time="never")
            target.stdin.write(encoded([record(bad), hours_state(6 + number)]))
            target.stdin.flush()
        target.stdin.write(b"{]\n" if broken else b"")
        target.stdin.close()
        target.wait(60)
    reader.join(10)
    os.close(mine)
    return b"".join(seen).decode()


def log_in(shown: str) -> list[str]:
    """Return the lines of the log, without what moves the cursor."""
    lines = (_CONTROLS.sub("", line).strip() for line in shown.split("\n"))
    return [line for line in lines if "| target-posthog" in line]


def test_a_terminal_shows_a_bar_that_no_log_line_tears(tmp_path: Path, config: Json) -> None:
    """It tells what the line tells, and is gone when the run's last words come."""
    shown = shown_in_a_terminal(config, tmp_path)
    assert _BAR.search(shown)
    assert _COLOUR.search(shown)
    assert "of hours" in shown
    assert re.search(r"\d events  \d+/s  rejected [1-6]", shown)
    log = log_in(shown)
    assert any(line.endswith("rejected            6  bad_time 6") for line in log), shown
    assert [line for line in log if _BAR.search(line)] == []
    assert not _BAR.search(shown.partition("Done in")[2])
    assert shown.rstrip().endswith("Run again.")


def test_an_error_comes_behind_the_bar(tmp_path: Path, config: Json) -> None:
    """Whole, on a line of its own; without colours, as NO_COLOR asks (no-color.org)."""
    shown = shown_in_a_terminal(config, tmp_path, {"NO_COLOR": "1"}, broken=True)
    assert _BAR.search(shown)
    assert not _COLOUR.search(shown)
    (line,) = (line for line in log_in(shown) if "ERROR" in line)
    assert "is not a Singer message" in line
    assert not _BAR.search(shown.partition("ERROR")[2])


def test_a_terminal_that_cannot_draw_shows_none(tmp_path: Path, config: Json) -> None:
    """Lines alone."""
    shown = shown_in_a_terminal(config, tmp_path, {"TERM": "dumb"})
    assert not _BAR.search(shown)
    assert "\x1b" not in shown


@pytest.mark.parametrize(("name", "draws"), [("xterm", True), ("dumb", False), ("", False)])
def test_what_a_terminal_is_called_tells_whether_it_draws(
    monkeypatch: pytest.MonkeyPatch, name: str, *, draws: bool
) -> None:
    """A nameless one is taken for one that cannot."""
    monkeypatch.setattr(sys, "stderr", _Terminal())
    monkeypatch.setenv("TERM", name)
    bar = Bar.of_terminal()
    assert (bar is not None) == draws
    if bar is not None:
        bar.close()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
