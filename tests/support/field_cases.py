"""Inputs of other people's taps and settings, as `tests/fixtures/field_cases` holds them."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.batch_messages import batch, put
from tests.support.target import run_apart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.processes import Finished
    from tests.support.singer import Json
    from tests.support.target import Target

_FOLDER = Path(__file__).parents[1] / "fixtures" / "field_cases"


def run_case(target: Target, name: str, way: str = "records", **more: Any) -> Finished:
    """Run the target on a case.

    Args:
        target: with its settings beside those of the case.
        name: the case's file.
        way: `records` as the case has them, or `batch`: BATCH files of two records each, two files
            a message, for workers.
        more: settings in place of those of the case.
    """
    settings = json.loads((_FOLDER / f"{name}.json").read_text())
    lines = (_FOLDER / f"{name}.jsonl").read_text().splitlines()
    messages = [json.loads(line) for line in lines]
    if way == "batch":
        messages = batches_of(messages, target.folder)
    return run_apart(target, messages, **{**settings, **more})


def batches_of(messages: Iterable[Json], folder: Path, *, records: int = 2) -> list[Json]:
    """Return messages with BATCH instead of RECORD."""
    result: list[Json] = []
    for stream, alike in groupby(
        messages, key=lambda one: one["stream"] if one["type"] == "RECORD" else None
    ):
        if stream is None:
            result += alike
            continue
        contents = [one["record"] for one in alike]
        files = [
            put(folder, f"{len(result)}-{at}", contents[at : at + records])
            for at in range(0, len(contents), records)
        ]
        pairs = (files[at : at + 2] for at in range(0, len(files), 2))
        result += [batch(pair) | {"stream": stream} for pair in pairs]
    return result
