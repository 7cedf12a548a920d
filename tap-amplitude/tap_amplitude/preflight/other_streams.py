"""The selected streams beside the events: whether they can be read, each asked for once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_amplitude.common.findings import Finding, Level
from tap_amplitude.common.quantities import count
from tap_amplitude.errors import TapError
from tap_amplitude.preflight.amplitude import PATIENCE_SECONDS, finding_of
from tap_amplitude.sources.archive import ArchiveSource
from tap_amplitude.sources.file_plan import plan_files
from tap_amplitude.state.reach import Reach
from tap_amplitude.streams.events import EventsStream
from tap_amplitude.streams.lists import ProjectStream
from tap_amplitude.streams.merged_ids import MergedIdsStream
from tap_amplitude.tap import TapAmplitude

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from tap_amplitude.settings import Settings
    from tap_amplitude.state.bookmark import Bookmark

_AREA = "streams"


def stream_findings(
    selected: Collection[str],
    config: Mapping[str, Any],
    settings: Settings,
    now: datetime,
    *,
    has_keys: bool,
    merges: Bookmark | None,
) -> Iterator[Finding]:
    """Say of each selected stream beside the events whether it can be read."""
    if EventsStream.name not in selected:
        yield Finding(
            _AREA,
            Level.NOTE,
            "`events` is not selected: a run reads no events.",
            "Select it, as in `meltano select tap-amplitude events '*'`.",
        )
    if MergedIdsStream.name in selected:
        yield _of_merges(merges, settings, now)
    if not set(selected) - {EventsStream.name, MergedIdsStream.name}:
        return
    tap = TapAmplitude(
        config={
            **config,
            "api_url": settings.base_url,
            "max_retry_seconds": min(PATIENCE_SECONDS, settings.retry_seconds),
        },
        validate_config=False,
        setup_mapper=False,
    )
    for stream in tap.discover_streams():
        if isinstance(stream, ProjectStream) and stream.name in selected:
            yield _of_project(stream, has_keys=has_keys)


def _of_project(stream: ProjectStream, *, has_keys: bool) -> Finding:
    try:
        stream.check_needs()
        if not has_keys:
            return Finding(
                _AREA,
                Level.UNKNOWN,
                f"`{stream.name}` cannot be asked for before the keys are right.",
            )
        return Finding(_AREA, Level.OK, f"`{stream.name}`: {stream.probe()}.")
    except TapError as error:
        return finding_of(error, _AREA)


def _of_merges(bookmark: Bookmark | None, settings: Settings, now: datetime) -> Finding:
    if settings.archive_path is None:
        return Finding(
            _AREA,
            Level.NOTE,
            "`merged_ids` would be left out: Amplitude gives the list of merged users with a "
            "bucket export only.",
            "Set `archive_path` to one, or deselect the stream.",
        )
    reach = Reach.of(bookmark, settings)
    try:
        listing = ArchiveSource(settings, reach, now, merged_ids=True).listing
    except TapError as error:
        return finding_of(error, _AREA)
    steps = plan_files(bookmark, reach, listing).steps
    files = sum(len(step.files) for step in steps)
    return Finding(
        _AREA,
        Level.OK if files else Level.NOTE,
        f"`merged_ids`: {count(files, 'list')} of merged users would be read."
        if files
        else "`merged_ids`: the archive holds no list of merged users that the next run would "
        "read.",
    )
