"""Starting Dagster on the sandbox: what is said when something is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.meltano_project import own_definition
from tools.sandbox.services import services
from tools.scale import __main__ as scale

if TYPE_CHECKING:
    import pytest


def test_a_backfill_without_a_dagster_is_said_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the command that starts one."""
    # Nothing listens there.
    monkeypatch.setattr(scale, "ADDRESS", "http://127.0.0.1:9")
    assert scale.main(["backfill"]) == 1
    assert "Start it with `make scale`" in capsys.readouterr().out


def test_a_missing_dagster_is_said_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started."""
    monkeypatch.setattr(scale, "_SCALE", Path("/nowhere"))
    assert scale.main([]) == 1
    assert "`make scale` does that" in capsys.readouterr().out


def test_a_missing_postgresql_is_said_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is not there for each version of Python; any other server does."""
    (tmp_path / "dagster").touch()
    monkeypatch.setattr(scale, "_SCALE", tmp_path)
    monkeypatch.delenv("SCALE_POSTGRES_URL", raising=False)
    monkeypatch.setitem(sys.modules, "pgserver", None)
    assert scale.main([]) == 1
    assert "Set SCALE_POSTGRES_URL" in capsys.readouterr().out


def test_its_sandbox_leaves_each_range_its_own() -> None:
    """What stands in the environment wins over the variables of a range."""
    with services((0, 0, 0), people=5) as running:
        made = scale.definition(running)
        of = {each["name"]: each.get("env", {}) for each in made["environments"]}
        assert of["sandbox"]["TAP_AMPLITUDE_API_URL"] == running.amplitude.url
        assert of["sandbox"]["TARGET_POSTHOG_HOST"] == running.capture.url
    ours = {each["name"]: each.get("env", {}) for each in own_definition()["environments"]}
    assert ours["sandbox"].keys() - of["sandbox"].keys() == {
        "TAP_AMPLITUDE_START_DATE",
        "TARGET_POSTHOG_LEDGER_URL",
    }
