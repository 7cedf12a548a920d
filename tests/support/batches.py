"""Runs of the tap that hand files over: their settings, and what they gave."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.export_files import file_name, packed
from tests.support.export_settings import export_settings, files_settings
from tests.support.rows import START, hour_row, hour_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.amplitude_export_api import AmplitudeExportApi
    from tests.support.processes import Finished

FILES = {
    file_name(0, 70): packed(hour_rows(0)),
    file_name(0, 627): packed([hour_row(START, 9)]),
    file_name(2, 1): packed(hour_rows(2)),
}


def batch(root: Path | str, **encoding: str) -> dict[str, Any]:
    """The setting that hands files over in a folder."""
    where = root if isinstance(root, str) else f"file://{root}"
    form = {"format": "jsonl", "compression": "gzip"} | encoding
    return {"batch_config": {"encoding": form, "storage": {"root": where}}}


def handing_over(folder: Path, files: Mapping[str, bytes] = FILES, **more: Any) -> dict[str, Any]:
    """Write exported files below a folder; return settings that hand them over in its `out`."""
    return files_settings(folder, files, **{**batch(folder / "out"), **more})


def api_settings(api: AmplitudeExportApi, root: Path, **more: Any) -> dict[str, Any]:
    """Settings that hand over three hours of the API, one request an hour."""
    quick = {"max_window_hours": 1, "max_retry_seconds": 1}
    return export_settings(api, **{**quick, **batch(root), **more})


def kinds(run: Finished) -> list[str]:
    """The types of the messages."""
    return [message["type"] for message in run.messages]


def manifests(run: Finished) -> list[list[Path]]:
    """The files that each BATCH message names."""
    return [
        [Path(url.removeprefix("file://")) for url in message["manifest"]]
        for message in run.messages
        if message["type"] == "BATCH"
    ]


def contents(run: Finished) -> list[list[bytes]]:
    """The content of the files that each BATCH message names."""
    return [[path.read_bytes() for path in paths] for paths in manifests(run)]


def the_error(run: Finished) -> str:
    """The one ERROR line of a run that failed without a traceback."""
    assert "Traceback" not in run.stderr
    (error,) = run.lines("ERROR")
    return error


def lines_in(content: bytes) -> list[dict[str, Any]]:
    """The rows in a file."""
    return [json.loads(line) for line in gzip.decompress(content).splitlines()]
