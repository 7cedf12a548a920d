"""Other people's plugins, as the documents install and set them; each in its own environment."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.documents import document
from tests.support.processes import SCRIPTS, clean_environment, run_tap

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

_SECONDS = 120
_NOISE = re.compile(r"\b(?:WARN|WARNING|ERROR|CRITICAL)\b")


class Snippet:
    """A YAML block of a document: one plugin of other people with its settings, and ours.

    Args:
        page: The document.
        kind: `extractors` or `loaders`.
        name: The plugin's name.
    """

    def __init__(self, page: str, kind: str, name: str) -> None:
        shown = [
            yaml.safe_load(b.text)["plugins"] for b in document(page).blocks if b.language == "yaml"
        ]
        plugins: Any = next(one for one in shown if one.get(kind, [{}])[0].get("name") == name)
        (theirs,) = plugins[kind]
        (ours,) = plugins.get("loaders" if kind == "extractors" else "extractors", [{}])
        self.package: str = theirs["pip_url"]
        self.executable: str = theirs["executable"]
        self.takes_catalog: bool = "catalog" in theirs.get("capabilities", ())
        self.settings: Json = theirs["config"]
        self.our_settings: Json = ours.get("config", {})
        self.our_schema: Json = ours.get("schema", {})


class ThirdParty:
    """A plugin that is installed from its package.

    Args:
        environment: A folder that is not there yet.
        snippet: How the documentation installs and sets it; more than one package has a blank
            between.
    """

    def __init__(self, environment: Path, snippet: Snippet) -> None:
        self.snippet = snippet
        uv = [str(SCRIPTS / "uv"), "--quiet"]
        subprocess.run([*uv, "venv", "--python", sys.executable, str(environment)], check=True)
        commands = environment / "bin"
        self._command, self._python = str(commands / snippet.executable), str(commands / "python")
        install = [*uv, "pip", "install", "--python", self._python, *shlex.split(snippet.package)]
        subprocess.run(install, check=True, timeout=_SECONDS)

    def extract(self, settings: Json, folder: Path) -> list[str]:
        """Return the lines that a tap writes of all that it finds, as Meltano runs it.

        Raises:
            AssertionError: It failed.
        """
        config, selected = folder / "tap.json", folder / "catalog.json"
        config.write_text(json.dumps(settings))
        start = [self._command, "--config", str(config)]
        if not self.snippet.takes_catalog:
            return run_whole(start, folder)[0].splitlines()
        catalog = json.loads(run_whole([*start, "--discover"], folder)[0])
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                entry["metadata"]["selected"] = True
        selected.write_text(json.dumps(catalog))
        return run_whole([*start, "--catalog", str(selected)], folder)[0].splitlines()

    def load(self, messages: str, settings: Json, folder: Path) -> Json:
        """Run a target over messages.

        Returns:
            The last state that it wrote.

        Raises:
            AssertionError: It failed, or warned of something.
        """
        config = folder / "target.json"
        config.write_text(json.dumps(settings))
        output, log = run_whole([self._command, "--config", str(config)], folder, messages)
        assert not _NOISE.search(log), log
        state: Json = json.loads(output.splitlines()[-1])
        return state

    def ask(self, code: str, *arguments: str) -> Any:
        """Return the JSON that Python code prints where the plugin's own libraries are."""
        return json.loads(run_whole([self._python, "-c", code, *arguments])[0])


def run_whole(command: list[str], folder: Path | None = None, given: str = "") -> tuple[str, str]:
    """Run a command to its end, which must be a good one; return its output and its log."""
    done = subprocess.run(
        command,
        input=given,
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def extracted(config: Json, schema: Json, folder: Path) -> str:
    """Run our tap and return what it writes.

    Args:
        config: Its settings.
        schema: Meltano's `schema` of a plugin: by stream and field, what takes the place of the
            field's own (docs.meltano.com, "schema extra").
        folder: Where its files go.

    Raises:
        AssertionError: It failed, or warned of something.
    """
    catalog = json.loads(_tap(folder, config, "--discover"))
    for stream in catalog["streams"]:
        stream["schema"]["properties"] |= schema.get(stream["tap_stream_id"], {})
    (folder / "catalog.json").write_text(json.dumps(catalog))
    return _tap(folder, config, "--catalog", str(folder / "catalog.json"))


def _tap(folder: Path, config: Json, *arguments: str) -> str:
    done = run_tap(folder, config, *arguments).checked()
    assert [line for line in done.log_lines if _NOISE.search(line)] == []
    return done.stdout
