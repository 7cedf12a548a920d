"""The mapping page is what its generator makes of the conversion's own tables."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from docs import generate_mapping
from docs.generate_mapping import mapping_page
from target_posthog.common.amplitude_columns import fields_of
from target_posthog.formats.amplitude.fields import (
    ANY,
    ELSEWHERE,
    FIELDS,
    MOBILE,
    SERVER,
    WEB,
    Field,
)
from target_posthog.formats.amplitude.foreign_rows import exported_row
from target_posthog.formats.names import STANDARD_EVENTS
from target_posthog.posthog.names import ACTING_NAMES, RESERVED_NAMES
from tests.support.documents import ROOT, document
from tests.support.golden_pairs import load_all

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = load_all()
_COMPARISON = "## Compared with PostHog's managed migration"
_SECTIONS = {
    ANY: "### On every platform",
    WEB: "### Web",
    MOBILE: "### Mobile",
    SERVER: "### Server",
}


def test_the_mapping_page_is_current() -> None:
    """docs/mapping.md is what its generator makes of the tables."""
    assert (ROOT / "docs/mapping.md").read_text(encoding="utf-8") == mapping_page()


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: f"{field.name}-{field.when.value}")
def test_every_rename_stands_under_its_platform(field: Field) -> None:
    """Each row of the table is shown once, with its sources, its name and what happens to it."""
    wanted = [", else ".join(f"`{one}`" for one in field.sources), f"`{field.name}`"]
    rows = document("docs/mapping.md").rows(_SECTIONS[field.when])
    [row] = [row for row in rows if row[:2] == wanted]
    assert row[2]


def test_every_name_with_a_meaning_of_its_own_is_told() -> None:
    """Fields that go elsewhere, standard event names, reserved names, names PostHog acts on."""
    words = document("docs/mapping.md").code_words
    assert words >= {*ELSEWHERE, *STANDARD_EVENTS, *STANDARD_EVENTS.values()}
    assert words >= RESERVED_NAMES | ACTING_NAMES


def test_the_comparison_speaks_of_every_field() -> None:
    """Each field that an export has today is compared with PostHog's own import."""
    rows = document("docs/mapping.md").rows(_COMPARISON)
    compared = {word for row in rows for word in re.findall(r"`([^`]+)`", row[0])}
    assert compared == _fields_of_an_export()


def test_what_the_comparison_promises_is_shown_by_a_golden_pair() -> None:
    """Each name in its last column is one that a pair, written by hand, expects."""
    promised = {
        word
        for row in document("docs/mapping.md").rows(_COMPARISON)
        for word in re.findall(r"`([^`]+)`", row[2])
    }
    shown = {"$groupidentify"} if any(pair.expected.get("groups") for pair in PAIRS) else set()
    shown |= {name for pair in PAIRS for name in pair.properties}
    assert {word for word in promised if word.startswith("$")} <= shown
    assert {word for word in promised if not word.startswith("$")} <= shown | {
        *("standard_events", "null", "anonymous")
    }


def test_what_the_managed_migration_loses_is_kept() -> None:
    """Each field that is called lost there and kept here is a property in some pair, or empty."""
    rows = document("docs/mapping.md").rows(_COMPARISON)
    kept = [row for row in rows if row[2].startswith("kept") and row[1].startswith("lost")]
    names = {word for row in kept for word in re.findall(r"`([^`]+)`", row[0])}
    assert len(names) > 30
    for name in names:
        for pair in PAIRS:
            wished = {"property_names", "skip_properties"} & pair.settings.keys()
            value = exported_row(pair.row, fields_of(pair.row))[0].get(name)
            if "event" in pair.expected and not wished and value not in (None, "", {}, []):
                assert name in pair.properties, f"{name} in {pair.name}"


def _fields_of_an_export() -> set[str]:
    path = ROOT / "tap-amplitude/tap_amplitude/schemas/events.json"
    return set(json.loads(path.read_text(encoding="utf-8"))["properties"])


def test_an_old_page_is_found_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --check an old page is an error that names the command; without, it is written."""
    page = tmp_path / "mapping.md"
    page.write_text("old", encoding="utf-8")
    monkeypatch.setattr(generate_mapping, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["generate_mapping.py", "--check"])
    assert generate_mapping.main() == 1
    assert "run python docs/generate_mapping.py" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8") == "old"
    monkeypatch.setattr(sys, "argv", ["generate_mapping.py"])
    assert generate_mapping.main() == 0
    assert page.read_text(encoding="utf-8") == mapping_page()


def test_the_generator_runs_as_the_makefile_calls_it() -> None:
    """The command of `make docs` needs nothing but the plugins."""
    command = [sys.executable, "docs/generate_mapping.py", "--check"]
    assert re.search(r"generate_mapping\.py --check", (ROOT / "Makefile").read_text("utf-8"))
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
