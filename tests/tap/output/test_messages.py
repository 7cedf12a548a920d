"""How messages leave the tap: whole lines, in blocks, never half."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.singerlib import RecordMessage, StateMessage

from tap_amplitude.common.signals import StoppedBySignal
from tap_amplitude.output.messages import MessageWriter
from tap_amplitude.tap import TapAmplitude
from tests.support.export_files import file_name, packed, write_files
from tests.support.rows import START, hour_row

if TYPE_CHECKING:
    from pathlib import Path


class Output(io.BytesIO):
    """A stdout that counts its flushes and may be struck by a signal during a write."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes = 0
        self.signals: list[Any] = []

    def write(self, data: Any) -> int:
        """Write, with a signal in the middle if one is planned."""
        if not self.signals:
            return super().write(data)
        self.signals.pop()()
        return super().write(bytes(data)[:10])  # as an interrupted system call does

    def flush(self) -> None:
        """Count."""
        self.flushes += 1

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The messages so far, all of them whole."""
        assert not self.getvalue() or self.getvalue().endswith(b"\n")
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def output() -> Output:
    """What the writers of a test write to."""
    return Output()


def writer_to(output: Output) -> MessageWriter:
    """A writer to an output that is not the real one."""
    writer = MessageWriter()
    writer._out = output
    return writer


def record(size: int = 10) -> RecordMessage:
    """A record of about a size."""
    return RecordMessage("events", {"uuid": "u", "filler": "x" * size})


def test_records_wait_for_a_block_and_a_state_flushes_them(output: Output) -> None:
    """A reader is not woken for each record, but never waits for a record before a STATE."""
    writer = writer_to(output)
    writer.write_message(record())
    writer.write_message(record())
    assert output.lines == []

    writer.write_message(StateMessage({"a": 1}))

    assert [line["type"] for line in output.lines] == ["RECORD", "RECORD", "STATE"]
    assert output.flushes == 1


def test_a_full_block_is_flushed_without_a_state(output: Output) -> None:
    """Memory stays flat in an hour of any size."""
    writer = writer_to(output)
    for _ in range(300):
        writer.write_message(record(1000))

    assert len(output.lines) >= 240


@pytest.mark.skipif(sys.platform != "linux", reason="others have pipes of one size")
def test_a_pipe_is_widened_so_that_its_reader_wakes_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At 64 KiB tap, Meltano and target would spend a tenth of their time on it."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        MessageWriter().write_message(StateMessage({"a": 1}))
        assert fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) == 1024 * 1024
        assert json.loads(reader.readline())["type"] == "STATE"


@pytest.fixture
def tap(tmp_path: Path, output: Output) -> TapAmplitude:
    """A tap that writes to `output`."""
    folder = write_files(tmp_path / "a", {file_name(0): packed([hour_row(START)])})
    return TapAmplitude(config={"archive_path": str(folder)}, message_writer=writer_to(output))


def test_a_signal_during_a_write_stops_behind_it(tap: TapAmplitude, output: Output) -> None:
    """No line is cut in two, and nothing is written twice."""
    output.signals.append(lambda: tap._handle_termination(signal.SIGTERM, None))
    tap.write_message(record())
    with pytest.raises(StoppedBySignal, match="SIGTERM"):
        tap.write_message(StateMessage({"a": 1}))

    assert [line["type"] for line in output.lines] == ["RECORD", "STATE"]


def test_a_second_signal_during_a_write_stops_at_once(tap: TapAmplitude, output: Output) -> None:
    """A target that reads no more must not keep the tap from ending."""

    def twice() -> None:
        tap._handle_termination(signal.SIGTERM, None)
        tap._handle_termination(signal.SIGINT, None)

    output.signals.append(twice)
    with pytest.raises(StoppedBySignal, match="SIGINT"):
        tap.write_message(StateMessage({"a": 1}))


def test_a_signal_between_two_writes_stops_at_once(tap: TapAmplitude) -> None:
    """Nothing is to be waited for."""
    with pytest.raises(StoppedBySignal):
        tap._handle_termination(signal.SIGTERM, None)


def test_no_bookkeeping_of_record_keys_is_left_in_the_state(
    tap: TapAmplitude, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither after a run nor after one that had nothing to do; nor is it talked about."""
    with caplog.at_level("INFO"):
        tap.sync_all()
        done = json.loads(json.dumps(tap.state))
        again = TapAmplitude(
            config=dict(tap.config), state=done, message_writer=writer_to(Output())
        )
        again.sync_all()

    assert set(done["bookmarks"]["events"]) == {
        "next_export_hour",
        "export_until",
        "export_from",
        "project",
        "apps",
    }
    assert again.state == done
    assert "unsorted" not in caplog.text
    assert "Starting incremental sync" not in caplog.text
