"""Other people's targets, as docs/other-targets.md installs and sets them."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.documents import document
from tests.support.processes import clean_environment
from tests.support.tap_runs import COMMAND
from tests.support.third_party_taps import installed

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

_SECONDS = 120
_NOISE = re.compile(r"\b(?:WARN|WARNING|ERROR|CRITICAL)\b")


class Snippet:
    """A YAML block of docs/other-targets.md: one target with its settings, and the tap's.

    Args:
        target: the target's name.
    """

    def __init__(self, target: str) -> None:
        blocks = document("docs/other-targets.md").blocks
        shown = [yaml.safe_load(one.text)["plugins"] for one in blocks if one.language == "yaml"]
        plugins: Any = next(one for one in shown if one["loaders"][0]["name"] == target)
        (loader,) = plugins["loaders"]
        (extractor,) = plugins.get("extractors", [{}])
        self.package: str = loader["pip_url"]
        self.executable: str = loader["executable"]
        self.target: Json = loader["config"]
        self.tap: Json = extractor.get("config", {})
        self.schema: Json = extractor.get("schema", {})


class ThirdPartyTarget:
    """A target that is installed from its package.

    Args:
        environment: a folder that is not there yet.
        snippet: how the documentation installs and sets it.
    """

    def __init__(self, environment: Path, snippet: Snippet) -> None:
        self.snippet = snippet
        commands = installed(environment, snippet.package)
        self._command, self._python = commands / snippet.executable, commands / "python"

    def load(self, messages: bytes, settings: Json, folder: Path) -> Json:
        """Run it over messages.

        Returns:
            The last state that it wrote.

        Raises:
            AssertionError: it failed, or warned of something.
        """
        config = folder / "target.json"
        config.write_text(json.dumps(settings))
        done = subprocess.run(
            [str(self._command), "--config", str(config)],
            input=messages,
            cwd=folder,
            env=clean_environment(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        log = done.stderr.decode()
        assert done.returncode == 0, log
        assert not _NOISE.search(log), log
        state: Json = json.loads(done.stdout.splitlines()[-1])
        return state

    def ask(self, code: str, *arguments: str) -> Any:
        """Return the JSON that Python code prints where the target's own libraries are."""
        done = subprocess.run(
            [str(self._python), "-c", code, *arguments],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def extracted(config: Json, schema: Json, folder: Path) -> bytes:
    """Run the tap and return what it writes.

    Args:
        config: its settings.
        schema: Meltano's `schema` of a plugin: by stream and field, what takes the place of the
            field's own (docs.meltano.com, "schema extra").
        folder: where its files go.

    Raises:
        AssertionError: it failed, or warned of something.
    """
    (folder / "tap.json").write_text(json.dumps(config))
    catalog = json.loads(_tap(folder, "--discover"))
    for stream in catalog["streams"]:
        stream["schema"]["properties"] |= schema.get(stream["tap_stream_id"], {})
    (folder / "catalog.json").write_text(json.dumps(catalog))
    return _tap(folder, "--catalog", str(folder / "catalog.json"))


def _tap(folder: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        [*COMMAND, "--config", str(folder / "tap.json"), *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    log = done.stderr.decode()
    assert done.returncode == 0, log
    lines = [line for line in log.splitlines() if "| py.warnings" not in line]
    assert not any(_NOISE.search(line) for line in lines), log
    return done.stdout
