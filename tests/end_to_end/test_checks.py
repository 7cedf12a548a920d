"""The checks before the first event, as Meltano's commands: they see the settings of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.meltano_project import MeltanoProject, own_definition

if TYPE_CHECKING:
    from pathlib import Path

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
