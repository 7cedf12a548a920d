"""`tap-amplitude --estimate`: what a range weighs, told by some of its hours."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.common.checked_settings import read_given
from tap_amplitude.errors import FixConfiguration, RunAgain
from tap_amplitude.preflight.estimate import estimate_files, estimate_project
from tap_amplitude.settings import Settings
from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.tap import TapAmplitude
from tap_amplitude.validation import problems
from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.export_files import file_name, packed
from tests.support.export_settings import export_settings, files_settings
from tests.support.rows import HOUR, START, hour_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = START + timedelta(days=30)


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """Amplitude with ten days of three events an hour, but for the nights."""
    hours = [hour for hour in range(240) if hour % 24 >= 6]
    with AmplitudeExportApi(hour_rows(*hours), now=NOW) as running:
        yield running


def settings_of(config: dict[str, Any]) -> Settings:
    """Read settings."""
    schema = TapAmplitude.config_jsonschema
    TapAmplitude.append_builtin_config(schema)
    given = read_given(config, schema, problems)
    assert given.problems == ()
    return Settings.read(given.config)


def of_project(api: AmplitudeExportApi, folder: Path, **more: Any) -> Settings:
    """Settings that export these days."""
    spool = str(folder / "spool")
    return settings_of(export_settings(api, hours=240, spool_path=spool, **more))


def test_settings_in_a_traceback_show_nothing_of_their_values() -> None:
    """No key."""
    keys = {"api_key": "hidden", "secret_key": "hidden"}
    settings = settings_of({**keys, "start_date": "2024-01-01"})
    assert "hidden" not in f"{settings} {settings!r}"


def test_a_range_is_told_by_one_request_for_each_sample(
    api: AmplitudeExportApi, tmp_path: Path
) -> None:
    """Hours without events count, too."""
    told = estimate_project(None, of_project(api, tmp_path), NOW, "test/1", 24)
    assert (told["version"], told["source"], told["hours"]) == (1, "api", 240)
    assert told["first_hour"] == "2024-01-01T00:00:00Z"
    assert told["end_hour"] == "2024-01-11T00:00:00Z"
    assert told["hours_under_48_h"] == 0
    assert told["listed"] is None
    assert told["requests"] == 14
    assert len(told["samples"]) == len(api.requests) == 24
    assert all(request.start_hour == request.end_hour for request in api.requests)
    rows = [one["read"]["rows"] for one in told["samples"]]
    assert set(rows) == {0, 3}
    full = next(one for one in told["samples"] if one["read"]["rows"])
    assert full["packed_bytes"] == full["read"]["packed_bytes"] > 0
    assert full["read"]["unpacked_bytes"] > full["read"]["packed_bytes"] / 2
    assert full["seconds"] >= 0
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_state_leaves_what_is_not_out_yet(api: AmplitudeExportApi, tmp_path: Path) -> None:
    """The rest of the range is what is estimated."""
    state = Bookmark(START + 200 * HOUR)
    told = estimate_project(state, of_project(api, tmp_path), NOW, "test/1", 24)
    assert (told["first_hour"], told["hours"]) == ("2024-01-09T08:00:00Z", 40)


def test_hours_of_the_last_two_days_are_counted(api: AmplitudeExportApi, tmp_path: Path) -> None:
    """PostHog may bill them."""
    now = START + timedelta(days=11)
    told = estimate_project(None, of_project(api, tmp_path), now, "test/1", 2)
    assert told["hours_under_48_h"] == 24


def test_a_range_without_hours_is_told(api: AmplitudeExportApi, tmp_path: Path) -> None:
    """Nobody needs numbers of nothing."""
    state = Bookmark(START + 240 * HOUR)
    with pytest.raises(FixConfiguration, match="There is no hour to estimate"):
        estimate_project(state, of_project(api, tmp_path), NOW, "test/1", 24)


def test_a_request_to_come_back_later_is_kept(api: AmplitudeExportApi, tmp_path: Path) -> None:
    """Within `max_retry_seconds` it is waited for; beyond, the estimate stops and says when."""
    api.fail(Fault.RATE_LIMIT_429, retry_after=1)
    settings = of_project(api, tmp_path, max_retry_seconds=60)
    assert len(estimate_project(None, settings, NOW, "test/1", 2)["samples"]) == 2
    api.fail(Fault.RATE_LIMIT_429, retry_after=3600)
    with pytest.raises(RunAgain, match="asks to come back in 60 minutes"):
        estimate_project(None, settings, NOW, "test/1", 2)


def test_files_are_told_by_their_listing_and_one_file_of_each_sample(tmp_path: Path) -> None:
    """All that is not read is counted by its size."""
    files = {file_name(n, part): packed(hour_rows(n)) for n in range(0, 60, 2) for part in (1, 2)}
    # What is not read may be damaged.
    files[file_name(2, 2)] = b"\x1f\x8b" + files[file_name(2, 2)][2:40]
    settings = settings_of(files_settings(tmp_path, files, end_date="2024-01-03"))
    told = estimate_files(None, settings, NOW, 5)
    assert (told["source"], told["hours"], told["requests"]) == ("archive", 48, 0)
    assert told["listed"]["files"] == 2 * told["listed"]["hours"] == 48
    listed = [content for name, content in files.items() if "2024-01-03" not in name]
    assert told["listed"]["packed_bytes"] == sum(map(len, listed))
    assert len(told["samples"]) == 5
    for one in told["samples"]:
        assert one["read"]["rows"] == 3
        assert one["read"]["packed_bytes"] <= one["packed_bytes"]
        assert one["seconds"] is None
