"""The parts of every end-to-end test: a sample export, both stand-ins, and a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.fakes.posthog_capture import PosthogCapture
from tests.support.pipeline import Day
from tests.support.target import Target
from tools.sample_export import SampleExport, generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def export() -> SampleExport:
    """One day of 60 people: 24 hours, 9 of them with rows, and every odd value there is."""
    return generate(days=1, people=60)


@pytest.fixture
def amplitude(export: SampleExport) -> Iterator[AmplitudeExportApi]:
    """Amplitude, with that day in it."""
    with AmplitudeExportApi(export.rows) as api:
        yield api


@pytest.fixture
def posthog() -> Iterator[PosthogCapture]:
    """PostHog, with nothing in it."""
    with PosthogCapture() as capture:
        yield capture


@pytest.fixture
def day(
    tmp_path: Path, export: SampleExport, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> Day:
    """The pipe between the two, over that whole day; many requests on either side."""
    return _day(tmp_path, export, amplitude, posthog)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory, export: SampleExport) -> Day:
    """One run of that pipe, over."""
    with AmplitudeExportApi(export.rows) as amplitude, PosthogCapture() as posthog:
        day = _day(tmp_path_factory.mktemp("migrated"), export, amplitude, posthog)
        day.run_well()
    return day


@pytest.fixture
def target(tmp_path: Path, posthog: PosthogCapture) -> Target:
    """The target alone; most of a test's rows may be bad."""
    config = {"api_key": posthog.api_key, "host": posthog.url, "max_reject_ratio": 1}
    return Target(config, tmp_path, posthog)


@pytest.fixture
def settings(
    export: SampleExport, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> dict[str, str]:
    """The same for Meltano: what a user writes into `.env`."""
    return {
        "TAP_AMPLITUDE_API_URL": amplitude.url,
        "TAP_AMPLITUDE_API_KEY": amplitude.api_key,
        "TAP_AMPLITUDE_SECRET_KEY": amplitude.secret_key,
        "TAP_AMPLITUDE_START_DATE": f"{export.start:%Y-%m-%d}",
        "TAP_AMPLITUDE_END_DATE": f"{export.end:%Y-%m-%d}",
        "TARGET_POSTHOG_API_KEY": posthog.api_key,
        "TARGET_POSTHOG_HOST": posthog.url,
    }


def _day(
    folder: Path, export: SampleExport, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> Day:
    return Day(
        folder=folder,
        export=export,
        amplitude=amplitude,
        posthog=posthog,
        tap={
            "api_url": amplitude.url,
            "api_key": amplitude.api_key,
            "secret_key": amplitude.secret_key,
            "start_date": f"{export.start:%Y-%m-%dT%H:%M:%SZ}",
            "end_date": f"{export.end:%Y-%m-%dT%H:%M:%SZ}",
            "max_window_hours": 4,
        },
        target={"api_key": posthog.api_key, "host": posthog.url, "max_batch_events": 100},
    )
