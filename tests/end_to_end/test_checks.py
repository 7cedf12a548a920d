"""The checks before the first event, as Meltano's commands: they see the settings of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.meltano_project import MeltanoProject, own_definition

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.amplitude_export_api import AmplitudeExportApi
    from tests.fakes.posthog_capture import PosthogCapture


def test_the_check_of_the_target_sees_what_a_run_sees(
    tmp_path: Path, capture: PosthogCapture
) -> None:
    """The shell wins over `.env`, and `.env` over meltano.yml; a mistake ends with 2."""
    whole = own_definition()
    whole["plugins"]["loaders"][0]["config"] = {"max_events_per_second": 2500}
    project = MeltanoProject(tmp_path, whole)
    (tmp_path / ".env").write_text(
        f"TARGET_POSTHOG_API_KEY=phc_of_nobody\nTARGET_POSTHOG_HOST={capture.url}\n"
    )
    wrong = project.meltano("invoke", "target-posthog:check")
    assert wrong.exit_code == 2
    assert "does not know the project token" in wrong.stdout
    shell = {"TARGET_POSTHOG_API_KEY": capture.api_key}
    right = project.meltano("invoke", "target-posthog:check", "--json", settings=shell).checked()
    texts = [one["text"] for one in json.loads(right.stdout)["findings"]]
    assert "PostHog knows it." in texts
    assert "At most 2,500 events a second." in texts
    assert capture.events == []


def test_the_check_of_the_tap_sees_what_a_run_sees(
    tmp_path: Path, amplitude: AmplitudeExportApi
) -> None:
    """A state comes from Meltano's own command, in the form that it writes."""
    project = MeltanoProject(tmp_path)
    (tmp_path / ".env").write_text(
        f"TAP_AMPLITUDE_API_KEY={amplitude.api_key}\n"
        "TAP_AMPLITUDE_SECRET_KEY=of-another-project\n"
        f"TAP_AMPLITUDE_API_URL={amplitude.url}\n"
        "TAP_AMPLITUDE_START_DATE=2024-02-28\n"
    )
    wrong = project.meltano("invoke", "tap-amplitude:test")
    assert wrong.exit_code == 2
    assert "Amplitude refused the keys" in wrong.stdout
    assert "of-another-project" not in wrong.stdout + wrong.stderr
    shell = {"TAP_AMPLITUDE_SECRET_KEY": amplitude.secret_key}
    state = {"singer_state": {"bookmarks": {"events": {"next_export_hour": "2024-02-29T00:00Z"}}}}
    project.meltano("state", "set", "--force", "one", json.dumps(state)).checked()
    (tmp_path / "state.json").write_text(project.meltano("state", "get", "one").stdout)
    right = project.meltano(
        "invoke", "tap-amplitude:test", "--state", "state.json", settings=shell
    ).checked()
    assert "Its next hour is 2024-02-29T00:00:00Z." in right.stdout
    assert "Hour 2024-02-29T00Z: " in right.stdout
    assert '"uuid"' not in right.stdout
    assert len(amplitude.requests) == 2


def test_an_estimate_goes_from_one_plugin_to_the_other(
    tmp_path: Path, amplitude: AmplitudeExportApi
) -> None:
    """Two commands with a file between them; neither sends anything to PostHog."""
    project = MeltanoProject(tmp_path)
    (tmp_path / ".env").write_text(
        f"TAP_AMPLITUDE_API_KEY={amplitude.api_key}\n"
        f"TAP_AMPLITUDE_SECRET_KEY={amplitude.secret_key}\n"
        f"TAP_AMPLITUDE_API_URL={amplitude.url}\n"
        "TAP_AMPLITUDE_START_DATE=2024-02-28\n"
        "TAP_AMPLITUDE_END_DATE=2024-03-02\n"
        "TARGET_POSTHOG_MAX_EVENTS_PER_SECOND=2500\n"
    )
    weighed = project.meltano("invoke", "tap-amplitude:estimate").checked()
    (tmp_path / "estimate.json").write_text(weighed.stdout)
    told = project.meltano("invoke", "target-posthog:estimate", "estimate.json").checked()
    assert "(72 hours), estimated from 24 sample hours of http://127.0.0.1" in told.stdout
    assert "at most 2,500 events per second" in told.stdout
    assert len(amplitude.requests) == 24
