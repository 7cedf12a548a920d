"""Rejects files at an address are read, and put back as what became of their copies."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import fsspec  # type: ignore[import-untyped]
import pytest

from target_posthog.errors import FixConfiguration
from target_posthog.rejects.remote_files import RemoteRejectFiles

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = b"one\ntwo\n"


@pytest.mark.parametrize(
    ("left", "found"),
    [
        (BEFORE, {"a.jsonl": BEFORE}),
        (b"two\n", {"a.jsonl": b"two\n", "a.jsonl.replayed": BEFORE}),
        (None, {"a.jsonl.replayed": BEFORE}),
    ],
    ids=["as it was", "fewer lines", "gone"],
)
def test_a_file_becomes_what_its_copy_became(
    tmp_path: Path, left: bytes | None, found: dict[str, bytes]
) -> None:
    """What it was stays beside it, unless nothing came of it."""
    place = f"memory://{uuid4()}"
    storage = fsspec.filesystem("memory")
    storage.pipe_file(f"{place}/a.jsonl", BEFORE)
    storage.pipe_file(f"{place}/other.txt", b"")
    remote = RemoteRejectFiles(place, tmp_path)
    (name,) = remote.names()
    assert list(remote.lines(name)) == [b"one\n", b"two\n"]
    path = remote.fetch(name)
    if left is None:
        path.unlink()
    else:
        path.write_bytes(left)
    remote.put_back(name)
    kept = {
        one.rpartition("/")[2]: storage.cat_file(one) for one in storage.ls(place, detail=False)
    }
    assert kept == {**found, "other.txt": b""}


def test_what_a_file_was_stays_however_often_it_is_replayed(tmp_path: Path) -> None:
    """The second replay had put its own in place of the first."""
    place = f"memory://{uuid4()}"
    storage = fsspec.filesystem("memory")
    storage.pipe_file(f"{place}/a.jsonl", BEFORE)
    for left in (b"two\n", b""):
        remote = RemoteRejectFiles(place, tmp_path)
        (name,) = remote.names()
        remote.fetch(name).write_bytes(left)
        remote.put_back(name)
    kept = [storage.cat_file(f"{place}/a.jsonl.replayed{ending}") for ending in ("", "-2")]
    assert kept == [BEFORE, b"two\n"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As a matter of configuration, whoever asks."""
    remote = RemoteRejectFiles(f"memory://{uuid4()}/none.jsonl", tmp_path)
    (name,) = remote.names()
    with pytest.raises(FixConfiguration, match="cannot be used"):
        list(remote.lines(name))
    with pytest.raises(FixConfiguration, match="cannot be used"):
        remote.fetch(name)
