"""Files read ahead by a thread: in order, with the marks between them, and not too far."""

from __future__ import annotations

import gzip
import threading
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from target_posthog.errors import BrokenInput
from target_posthog.input.batch_files import BatchFile
from target_posthog.workers.block_reader import (
    BlockReader,
    EndOfFile,
    Mark,
    RawBlock,
    Read,
    StartOfFile,
    Unreadable,
)
from target_posthog.workers.messages import BlockStream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENTS = BlockStream("events", {}, ("uuid",))
SECONDS = 30.0


@pytest.fixture
def reader() -> Iterator[BlockReader]:
    """A reader, closed with the test; its thread ends then, wherever it is."""
    made = BlockReader()
    yield made
    made.close()
    for thread in threading.enumerate():
        if thread.name == "block-reader":
            thread.join(SECONDS)
            assert not thread.is_alive()


def put(folder: Path, name: str, text: bytes) -> BatchFile:
    """Write a file as Amplitude packs it."""
    path = folder / f"{name}.json.gz"
    path.write_bytes(gzip.compress(text))
    return BatchFile(str(path), is_gzip=True)


def read_next(reader: BlockReader) -> Read:
    """Wait for what comes next, by the descriptor alone."""
    end = time.monotonic() + SECONDS
    while (read := reader.next()) is None:
        assert time.monotonic() < end
        wait(reader.descriptors(), end - time.monotonic())
    return read


def read_all(reader: BlockReader) -> list[Read]:
    """Read until nothing is left."""
    found = []
    while not reader.is_idle:
        found.append(read_next(reader))
    return found


def text_of(reads: list[Read]) -> bytes:
    """Return the lines that came."""
    return b"".join(one.raw for one in reads if isinstance(one, RawBlock))


def test_files_come_one_after_the_other_with_the_marks_in_their_places(
    tmp_path: Path, reader: BlockReader
) -> None:
    """Also a mark before the first file, and files without a line."""
    texts = [b'{"n":%d}\n' % n * size for n, size in enumerate([1, 0, 100_000, 5])]
    files = [put(tmp_path, f"{n}", text) for n, text in enumerate(texts)]
    reader.add(Mark("first"))
    for number, file in enumerate(files):
        reader.add(StartOfFile(EVENTS, file))
        if number % 2:
            reader.add(Mark(number))
    reads = read_all(reader)

    assert [one for one in reads if not isinstance(one, RawBlock)] == [
        Mark("first"),
        StartOfFile(EVENTS, files[0]), EndOfFile(files[0]),
        StartOfFile(EVENTS, files[1]), EndOfFile(files[1]), Mark(1),
        StartOfFile(EVENTS, files[2]), EndOfFile(files[2]),
        StartOfFile(EVENTS, files[3]), EndOfFile(files[3]), Mark(3),
    ]  # fmt: skip
    for file, text in zip(files, texts, strict=True):
        begin, end = reads.index(StartOfFile(EVENTS, file)), reads.index(EndOfFile(file))
        assert text_of(reads[begin:end]) == text
    assert all(one.is_whole for one in reads if isinstance(one, RawBlock))
    assert reader.next() is None


def test_it_is_idle_before_and_after_and_not_between(tmp_path: Path, reader: BlockReader) -> None:
    """A state that comes then may stand behind what is not read yet."""
    assert reader.is_idle
    reader.add(StartOfFile(EVENTS, put(tmp_path, "a", b"{}\n")))
    kinds: list[type[Read]] = []
    while not reader.is_idle:
        kinds.append(type(read_next(reader)))
    assert kinds == [StartOfFile, RawBlock, EndOfFile]
    reader.add(Mark(1))
    assert not reader.is_idle
    assert read_next(reader) == Mark(1)
    assert reader.is_idle


def test_a_file_that_cannot_be_read_comes_last(tmp_path: Path, reader: BlockReader) -> None:
    """All before it comes whole, nothing after it, and not one line of it."""
    good, bad = put(tmp_path, "a", b"{}\n" * 9), put(tmp_path, "b", b"{}\n" * 9)
    path = tmp_path / "b.json.gz"
    path.write_bytes(path.read_bytes()[:-1])
    for one in (StartOfFile(EVENTS, good), Mark(1), StartOfFile(EVENTS, bad), Mark(2)):
        reader.add(one)
    reads = [read_next(reader) for _ in range(6)]

    assert reads[:5] == [
        StartOfFile(EVENTS, good),
        RawBlock(b"{}\n" * 9, is_whole=True, check=crc32(b"{}\n" * 9)),
        EndOfFile(good),
        Mark(1),
        StartOfFile(EVENTS, bad),
    ]
    last = reads[5]
    assert isinstance(last, Unreadable)
    assert isinstance(last.error, BrokenInput)
    time.sleep(0.05)
    assert reader.next() is None
    assert not reader.is_idle


def test_no_more_is_read_ahead_than_there_is_room_for(tmp_path: Path, reader: BlockReader) -> None:
    """Memory stays flat, however large the file and however slow PostHog."""
    text = b"x" * 1023 + b"\n"
    reader.add(StartOfFile(EVENTS, put(tmp_path, "a", text * 16_384)))
    assert isinstance(read_next(reader), StartOfFile)
    time.sleep(0.5)
    assert reader._read.qsize() == 16
    assert sum(len(one.raw) for one in read_all(reader) if isinstance(one, RawBlock)) == 2**24


def test_closing_ends_the_thread_that_waits_for_room(tmp_path: Path, reader: BlockReader) -> None:
    """The fixture sees to it; a run that fails must not hang."""
    reader.add(StartOfFile(EVENTS, put(tmp_path, "a", b"x" * 1023 + b"\n" * 2**24)))
    assert isinstance(read_next(reader), StartOfFile)
