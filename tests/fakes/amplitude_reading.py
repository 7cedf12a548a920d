"""Asks the Export API's stand-in and reads its archives, with nothing of the tap."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import requests

from tests.fakes.amplitude_export_api import API_KEY, SECRET_KEY
from tests.support.rows import HOUR, START

if TYPE_CHECKING:
    from tests.fakes.amplitude_export_api import AmplitudeExportApi

KEYS = (API_KEY, SECRET_KEY)
LONG_AFTER = datetime(2025, 1, 1, tzinfo=timezone.utc)


def hour(number: int) -> datetime:
    """Return hour `number` of the test's day."""
    return START + number * HOUR


def get(
    api: AmplitudeExportApi,
    start: str = "20240101T00",
    end: str | None = None,
    *,
    auth: tuple[str, str] | None = KEYS,
    timeout: float = 30,
) -> requests.Response:
    """Ask for a range as a client does; without `end`, for the one hour `start`."""
    parameters = {"start": start, "end": end or start}
    return requests.get(
        f"{api.url}/api/2/export",
        params=parameters,
        auth=auth,
        timeout=timeout,
        allow_redirects=False,
    )


def files_of(body: bytes) -> dict[str, list[dict[str, Any]]]:
    """Read an archive whole, checksums included: member name -> rows, in the zip's order."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {
            name: [json.loads(line) for line in gzip.decompress(archive.read(name)).splitlines()]
            for name in archive.namelist()
        }


def uuids_of(body: bytes) -> list[str]:
    """Return the row ids of an archive, in its order."""
    return [str(item["uuid"]) for rows in files_of(body).values() for item in rows]


def error_of(response: requests.Response) -> dict[str, Any]:
    """Return the `error` object of an envelope, after a check that it is one."""
    error: dict[str, Any] = response.json()["error"]

    assert error["http_code"] == response.status_code
    assert set(error) == {"http_code", "type", "message", "metadata"}
    return error


def names_of(body: bytes) -> list[str]:
    """Return the names of a zip's members, in its order."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return archive.namelist()


def broken_members(body: bytes) -> list[str]:
    """Return the members of a readable zip that cannot be read to the end."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return [name for name in archive.namelist() if not _can_be_read(archive, name)]


def _can_be_read(archive: zipfile.ZipFile, name: str) -> bool:
    try:
        gzip.decompress(archive.read(name))
    except (zipfile.BadZipFile, EOFError):
        return False
    return True
