"""Settings of a tap that exports from the stand-in, or reads exported files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.export_files import write_files
from tests.support.rows import HOUR, START

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.fakes.amplitude_export_api import AmplitudeExportApi


def export_settings(api: AmplitudeExportApi, hours: int = 3, **more: Any) -> dict[str, Any]:
    """Return settings that export some hours from `START` on."""
    return {
        "api_key": api.api_key,
        "secret_key": api.secret_key,
        "api_url": api.url,
        "start_date": START.isoformat(),
        "end_date": (START + hours * HOUR).isoformat(),
        **more,
    }


def files_settings(folder: Path, files: Mapping[str, bytes], **more: Any) -> dict[str, Any]:
    """Write exported files below a folder; return settings that read them."""
    return {"archive_path": str(write_files(folder / "a", files)), **more}
