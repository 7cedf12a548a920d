"""The catalog that is asked for before each run: the same for all, and there at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs import generate_catalog
from tap_amplitude.tap import TapAmplitude

ROOT = Path(__file__).resolve().parents[2]


def discovered(*arguments: str) -> str:
    """Return what the command prints."""
    command = [sys.executable, "-m", "tap_amplitude", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "arguments",
    [["--discover"], ["--config=ENV", "--discover"], ["--discover", "--config", "none"]],
)
def test_the_catalog_holds_the_streams_whatever_the_settings_are(arguments: list[str]) -> None:
    """It is kept as a file, which must be what the SDK makes of the streams."""
    # JSON knows no tuples.
    streams = json.loads(json.dumps(TapAmplitude(validate_config=False).catalog_dict))["streams"]
    assert json.loads(discovered(*arguments)) == {"streams": streams}
    assert "events" in {one["tap_stream_id"] for one in streams}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--discover"],
        # Meltano's first run, and those that go on from a state.
        ["--config", "tap.config.json", "--discover"],
        ["--config", "tap.config.json", "--state", "state.json", "--discover"],
    ],
)
def test_the_catalog_needs_nothing_of_the_sdk(arguments: list[str]) -> None:
    """Meltano asks for it before most runs, and loading the SDK takes most of a second."""
    asks = (
        f"import sys; sys.argv[1:] = {arguments}\n"
        "from tap_amplitude.__main__ import main\n"
        "try: main()\n"
        "finally: sys.exit('singer_sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_is_gone_gets_no_traceback() -> None:
    """As with a pager that was left."""
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "tap_amplitude", "--discover"]
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, b"")


def test_other_options_beside_it_are_the_sdks() -> None:
    """Help that is asked for is given."""
    assert discovered("--discover", "--help").startswith("Usage: tap-amplitude")


def test_an_old_catalog_is_found_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --check an old one is an error that names the command; without, it is written."""
    kept = tmp_path / "catalog.json"
    kept.write_text("old", encoding="utf-8")
    monkeypatch.setattr(generate_catalog, "CATALOG", kept)
    monkeypatch.setattr(sys, "argv", ["generate_catalog.py", "--check"])
    assert generate_catalog.main() == 1
    assert "run python docs/generate_catalog.py" in capsys.readouterr().out
    assert kept.read_text(encoding="utf-8") == "old"
    monkeypatch.setattr(sys, "argv", ["generate_catalog.py"])
    assert generate_catalog.main() == 0
    assert kept.read_text(encoding="utf-8") == generate_catalog.catalog()
    assert "generate_catalog.py --check" in (ROOT / "Makefile").read_text("utf-8")
