"""Runs of the tap with some streams selected, against a stand-in that knows a project."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tap_amplitude.tap import TapAmplitude
from tests.support.export_settings import export_settings
from tests.support.process_state import process_state_kept
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tests.fakes.amplitude_export_api import AmplitudeExportApi
    from tests.support.processes import Finished

with process_state_kept():
    TAP = TapAmplitude(config={}, validate_config=False)


def config_for(service: AmplitudeExportApi, **changes: Any) -> dict[str, Any]:
    """Settings that read two hours, and 200 days, from the stand-in."""
    return export_settings(service, hours=200 * 24, **changes)


def catalog_with(
    selected: Collection[str], *, full_table: bool = False, without: Collection[str] = ()
) -> dict[str, Any]:
    """A catalog in which some streams are selected, and no other.

    Args:
        selected: Their names.
        full_table: Whether to force the full table on each.
        without: Fields that are not selected.

    Returns:
        The catalog.
    """
    catalog: dict[str, Any] = json.loads(TAP.catalog_json_text)
    for entry in catalog["streams"]:
        if full_table:
            entry["replication_method"] = "FULL_TABLE"
        for part in entry["metadata"]:
            is_out = part["breadcrumb"] and part["breadcrumb"][-1] in without
            part["metadata"]["selected"] = entry["tap_stream_id"] in selected and not is_out
    return catalog


def catalog_of(folder: Path, *selected: str) -> Path:
    """Write such a catalog."""
    path = folder / "catalog.json"
    path.write_text(json.dumps(catalog_with(selected)))
    return path


def run_with(
    config: dict[str, Any],
    *selected: str,
    state: dict[str, Any] | None = None,
    full_table: bool = False,
) -> Finished:
    """Run the tap in this process with some streams selected.

    Args:
        config: Its settings.
        selected: Names of streams.
        state: The state of the last run.
        full_table: Whether to force the full table on each.

    Returns:
        What it gave.
    """
    return run_here(config, state=state, catalog=catalog_with(selected, full_table=full_table))


def records_of(run: Finished, name: str) -> list[dict[str, Any]]:
    """The records of one stream."""
    return [m["record"] for m in run.messages if m["type"] == "RECORD" and m["stream"] == name]
