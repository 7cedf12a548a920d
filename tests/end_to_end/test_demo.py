"""What `make demo` runs: the bundled export goes in, the bodies that PostHog would get come out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests

from tests.fakes.posthog_capture import PosthogCapture
from tests.support.faithful import assert_migrated
from tests.support.meltano_project import REPOSITORY, MeltanoProject
from tests.support.pipeline import Pipeline
from tools.sample_export import generate
from tools.sample_export.__main__ import DEMO

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
def test_the_demo_shows_what_a_real_run_sends(tmp_path: Path, posthog: PosthogCapture) -> None:
    """Each line is a body that PostHog takes, and all together are what a real run sends.

    Meltano installs the plugins first, which takes the time and the network that it takes a user.
    """
    (tmp_path / "demo").mkdir()
    project = MeltanoProject(tmp_path / "demo")
    text = (REPOSITORY / "meltano.yml").read_text()
    assert text.count("pip_url: -e ./") == 2
    installable = text.replace("pip_url: -e ./", f"pip_url: -e {REPOSITORY}/")
    (project.folder / "meltano.yml").write_text(installable)
    project.meltano("install").checked()
    definition = (project.folder / "meltano.yml").read_bytes()
    end = project.meltano("--environment=demo", "run", "tap-amplitude", "target-posthog").checked()
    assert (project.folder / "meltano.yml").read_bytes() == definition, "Meltano wrote it anew"
    assert "Traceback" not in end.stderr
    assert "ERROR" not in end.stderr
    assert "[error" not in end.stderr
    assert "nothing was sent" in end.stderr
    assert not [words for words in ("METRIC", "metric_", "env var") if words in end.stderr]
    assert not (project.folder / "target-posthog.db").exists(), "a preview told the ledger"

    export = generate()
    summary = json.loads((project.folder / "output/preview/summary.json").read_text())
    assert summary["exported"] == summary["accepted"] == len(export.rows)
    assert summary["links"] == len(export.truth.owner_of_device)
    [preview] = (project.folder / "output/preview").glob("*.jsonl")
    for line in preview.read_bytes().splitlines():
        body = json.loads(line)
        assert set(body) == {"api_key", "historical_migration", "batch"}
        assert body["historical_migration"] is True
        posthog.api_key = body["api_key"]
        answer = requests.post(f"{posthog.url}/batch/", data=line, timeout=10)
        assert answer.status_code == 200, answer.text
    assert_migrated(posthog, export.rows, export.truth)

    with PosthogCapture() as live:
        target = {"api_key": live.api_key, "host": live.url}
        Pipeline(tmp_path, {"archive_path": str(DEMO)}, target).run_well()
        assert live.held() == posthog.held()
