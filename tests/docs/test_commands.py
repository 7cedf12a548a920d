"""The commands of the README and of docs/migrate.md do what they promise."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.fakes.posthog_query import PosthogQuery
from tests.support.documented_project import DocumentedProject
from tests.support.documents import ROOT, document, documents
from tools.sample_export import generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture

Row = dict[str, Any]

#: The documents speak of the first days of 2023; the sample begins on this day.
_DAYS = {"2024-02-28": "2023-01-01", "2024-02-29": "2023-01-02"}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Two days of a small project, on the days that the documents name."""
    text = json.dumps(generate(days=2, people=15).rows)
    for day, named in _DAYS.items():
        text = text.replace(day, named)
    rows: list[Row] = json.loads(text)
    return rows


@pytest.fixture
def amplitude(rows: list[Row]) -> Iterator[AmplitudeExportApi]:
    """Amplitude, with these days in it."""
    with AmplitudeExportApi(rows) as api:
        yield api


@pytest.fixture
def queries(capture: PosthogCapture) -> Iterator[PosthogQuery]:
    """PostHog's query API, over what was captured."""
    with PosthogQuery(capture) as api:
        yield api


@pytest.fixture
def project(
    tmp_path: Path, amplitude: AmplitudeExportApi, capture: PosthogCapture, queries: PosthogQuery
) -> DocumentedProject:
    """The project of a user who fills in `.env` as the documents say."""
    return DocumentedProject(
        tmp_path,
        {
            "TAP_AMPLITUDE_API_URL": amplitude.url,
            "TAP_AMPLITUDE_API_KEY": amplitude.api_key,
            "TAP_AMPLITUDE_SECRET_KEY": amplitude.secret_key,
            # Else all hours until now are asked for, and are in the book.
            "TAP_AMPLITUDE_END_DATE": "2023-01-03",
            "TARGET_POSTHOG_API_KEY": capture.api_key,
            "TARGET_POSTHOG_HOST": capture.url,
            "TARGET_POSTHOG_APP_HOST": queries.url,
            "TARGET_POSTHOG_PROJECT_ID": f"{queries.project}",
            "TARGET_POSTHOG_PERSONAL_API_KEY": queries.key,
        },
    )


@pytest.mark.long
def test_the_readme_leads_from_nothing_to_a_whole_migration(
    project: DocumentedProject, rows: list[Row], capture: PosthogCapture
) -> None:
    """Every block runs, and afterwards PostHog holds exactly the source's events, once each."""
    capture.known_tokens.add("phc_of_the_scratch_project")
    for block in document("README.md").blocks:
        project.follow(block)

    held = [event for event in capture.held().values() if event["event"] != "Order placed"]
    assert sorted(_source_uuids(held)) == sorted(row["uuid"] for row in rows)
    tried = [row["uuid"] for row in rows if row["server_upload_time"].startswith("2023-01-01")]
    assert sorted(_source_uuids(capture.vanished)) == sorted(tried)
    orders = [event for event in capture.held().values() if event["event"] == "Order placed"]
    assert [(one["distinct_id"], one["timestamp"]) for one in orders] == [
        ("ann@shop.example", "2024-05-01T10:00:00.000000Z")
    ]
    written = (project.folder / "output/events.jsonl").read_text(encoding="utf-8")
    assert written.count("\n") == 1507


@pytest.mark.long
def test_every_command_of_the_migration_guide_runs(
    project: DocumentedProject, rows: list[Row], capture: PosthogCapture
) -> None:
    """Its blocks run in order; PostHog then holds what the guide did not skip, once each."""
    capture.known_tokens.add("phc_of_the_scratch_project")
    for block in document("docs/migrate.md").blocks:
        project.follow(block)

    wanted = [row["uuid"] for row in rows if not fnmatchcase(row["event_type"], "session_*")]
    assert sorted(_source_uuids(list(capture.held().values()))) == sorted(wanted)


def test_the_demo_prints_what_the_readme_shows(project: DocumentedProject) -> None:
    """The transcript of `make demo` is the recipe's own output; only `…` differs."""
    transcript = next(block for block in document("README.md").blocks if "make demo" in block.text)
    recipe = _dry_run("--always-make", "demo")
    commands = recipe[recipe.index("rm -rf output") :]
    printed = iter((recipe + project.run_script(commands)).splitlines())
    for line in transcript.text.splitlines():
        if line.startswith("$ ") or line == "…":
            continue
        pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
        assert any(pattern.search(one) for one in printed), f"not printed, or not there: {line}"


def test_make_test_runs_the_command_that_the_readme_shows() -> None:
    """The transcript of `make test` begins with the recipe's command."""
    transcript = next(block for block in document("README.md").blocks if "make test" in block.text)
    assert transcript.text.splitlines()[1] in _dry_run("test").splitlines()


def test_every_make_target_in_the_documents_exists() -> None:
    """`make <target>` is named only for targets of the Makefile."""
    named = {
        target
        for one in documents()
        for target in re.findall(r"(?:`|^\s*(?:\$ )?)make ([a-z]+)", one.text, re.MULTILINE)
    }
    assert named >= {"demo", "test", "check"}
    for target in named:
        _dry_run(target)


def test_the_last_hour_is_three_hours_old() -> None:
    """The documents promise how far a run without `end_date` reads."""
    from tap_amplitude.windows import READY_AFTER  # noqa: PLC0415 - only this test needs it

    assert timedelta(hours=3) == READY_AFTER


def _dry_run(*arguments: str) -> str:
    return subprocess.run(
        # Below another make, as in `make test`, it would also tell which folder it enters.
        ["make", "--no-print-directory", "--dry-run", *arguments],  # noqa: S607 - of the machine
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _source_uuids(events: list[Any]) -> list[str]:
    """Return the uuids of the events that are rows of the source: not links or group updates."""
    return [event["uuid"] for event in events if "server_upload_time" in event["properties"]]
