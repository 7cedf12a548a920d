"""Runs the tap as a real process, and makes small rows and archives for it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import uuid
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tap_amplitude.tap import TapAmplitude

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
# Without what some shells set: it makes stdout behave in another way.
ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
COMMAND = [sys.executable, "-m", "tap_amplitude"]


@dataclass(frozen=True)
class Run:
    """What a run of the tap gave.

    Attributes:
        code: The exit code.
        messages: All Singer messages, in order.
        log: All that it said on stderr.
    """

    code: int
    messages: list[dict[str, Any]]
    log: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records, in order."""
        return [message["record"] for message in self.messages if message["type"] == "RECORD"]

    @property
    def ids(self) -> list[str]:
        """The uuid of each record, in order."""
        return [record["uuid"] for record in self.records]

    @property
    def states(self) -> list[dict[str, Any]]:
        """The bookmarks of `events` in the STATE messages, in order."""
        values = [message["value"] for message in self.messages if message["type"] == "STATE"]
        return [value["bookmarks"]["events"] for value in values]

    @property
    def last_state(self) -> dict[str, Any]:
        """The whole value of the last STATE, as it is given to the next run."""
        return next(m["value"] for m in reversed(self.messages) if m["type"] == "STATE")

    def lines(self, level: str) -> list[str]:
        """The log lines of a level, such as `ERROR`."""
        # Python's own warnings are about the installation, for example an old Python.
        lines = [line for line in self.log.splitlines() if "| py.warnings" not in line]
        return [line for line in lines if f"| {level} " in line]


def run_tap(
    folder: Path,
    config: Mapping[str, Any],
    *options: str,
    state: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run the tap to its end.

    Args:
        folder: Where its files go; also its working folder.
        config: Its settings.
        options: Further command line options.
        state: The state of the last run.
        environment: Further environment variables.

    Returns:
        What it gave.
    """
    done = subprocess.run(
        command(folder, config, *options, state=state),
        capture_output=True,
        check=False,
        cwd=folder,
        env=ENVIRONMENT | dict(environment or {}),
        timeout=120,
    )
    return Run(done.returncode, read_messages(done.stdout), done.stderr.decode())


def command(
    folder: Path,
    config: Mapping[str, Any],
    *options: str,
    state: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write config and state to files and give the command that runs the tap with them."""
    arguments = [*COMMAND, "--config", str(_written(folder / "config.json", config)), *options]
    if state is not None:
        arguments += ["--state", str(_written(folder / "state.json", state))]
    return arguments


def catalog_of(folder: Path, *streams: str) -> Path:
    """Write a catalog that selects some streams and no other one."""
    catalog = TapAmplitude(config={"archive_path": str(folder)}, validate_config=False).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] in streams
    return _written(folder / "catalog.json", catalog)


def start_tap(folder: Path, config: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start the tap; its output is to be read by the test, or it waits."""
    return subprocess.Popen(
        command(folder, config),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )


def read_messages(output: bytes) -> list[dict[str, Any]]:
    """Read Singer messages; a line that was cut off at the end is left out."""
    return [json.loads(line) for line in output.split(b"\n")[:-1]]


def _written(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(content))
    return path


def row(hour: datetime, number: int = 0, **fields: Any) -> dict[str, Any]:
    """Make a row of an export hour; the same arguments make the same row."""
    uploaded = hour + timedelta(seconds=number % 3600)
    identifier = uuid.uuid5(uuid.NAMESPACE_OID, f"{hour.isoformat()} {number}")
    return {
        "app": 123,
        "uuid": str(identifier),
        "event_type": "opened",
        "user_id": f"user-{number}",
        "event_properties": {"number": number},
        "server_upload_time": f"{uploaded:%Y-%m-%d %H:%M:%S}.000000",
        **fields,
    }


def rows(*hours: int, each: int = 3) -> list[dict[str, Any]]:
    """Make rows of some hours, counted from `START`."""
    return [row(START + hour * HOUR, number) for hour in hours for number in range(each)]


def ids(of: Iterable[Mapping[str, Any]]) -> list[str]:
    """The uuids of rows."""
    return [r["uuid"] for r in of]


def file_name(hour: int, part: int = 70) -> str:
    """The name of a file of an hour, counted from `START`."""
    moment = START + hour * HOUR
    return f"123_{moment:%Y-%m-%d}_{moment.hour}#{part}.json.gz"


def packed(of: Iterable[Mapping[str, Any]]) -> bytes:
    """The content of a file of rows."""
    return gzip.compress("".join(json.dumps(r) + "\n" for r in of).encode(), mtime=0)


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder, which is made."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a .zip, under their names whatever they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path
