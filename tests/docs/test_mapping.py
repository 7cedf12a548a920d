"""The mapping page is what its generator makes of the conversion's own tables."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from docs import generate_mapping
from docs.generate_mapping import mapping_page
from target_posthog.amplitude.convert import ACTING_NAMES
from target_posthog.amplitude.event_names import RESERVED_NAMES, STANDARD_EVENTS
from target_posthog.amplitude.fields import ANY, ELSEWHERE, FIELDS, MOBILE, SERVER, WEB, Field
from tests.docs.documents import ROOT, document

if TYPE_CHECKING:
    from pathlib import Path

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
