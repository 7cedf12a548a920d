"""A copy of the Meltano project in which the commands of the documents really run.

The plugins are those that are installed beside the tests, so that nothing is installed again.
Amplitude and PostHog are the stand-ins; commands of other people's plugins are small scripts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.documents import ROOT
from tests.support.processes import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.documents import Block

_SECONDS = 200
_SETTINGS = ("TAP_AMPLITUDE_", "TARGET_POSTHOG_", "SINGER_SDK_", "MELTANO_", "PYTHON")

#: Writes what it is sent and confirms every state, as any simple Singer target does.
_TARGET_JSONL = """\
import json, pathlib, sys
config = json.loads(pathlib.Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
folder = pathlib.Path(config["destination_path"])
folder.mkdir(exist_ok=True)
with (folder / "events.jsonl").open("w") as out:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD":
            out.write(json.dumps(message["record"]) + "\\n")
        elif message["type"] == "STATE":
            print(json.dumps(message["value"]), flush=True)
"""
_TAP_SHOP = """\
import json
fields = {"id": "integer", "buyer": "string", "ordered_at": "string"}
schema = {"type": "object", "properties": {k: {"type": [v, "null"]} for k, v in fields.items()}}
for message in (
    {"type": "SCHEMA", "stream": "orders", "schema": schema, "key_properties": ["id"]},
    {"type": "RECORD", "stream": "orders",
     "record": {"id": 1, "buyer": "ann@shop.example", "ordered_at": "2024-05-01T10:00:00Z"}},
):
    print(json.dumps(message), flush=True)
"""


class Project:
    """The project as a user has it after `make setup`.

    Args:
        folder: an empty folder.
        filled_in: what the user writes into `.env` once it is there.
    """

    def __init__(self, folder: Path, filled_in: Mapping[str, str]) -> None:
        self.folder = folder / "amplitude-to-posthog"
        self.folder.mkdir()
        self._filled_in = filled_in
        self._commands = folder / "commands"
        self._commands.mkdir()
        self._write_definition(_uninstalled(yaml.safe_load((ROOT / "meltano.yml").read_text())))
        shutil.copy(ROOT / ".env.example", self.folder)
        (self.folder / ".venv").symlink_to(SCRIPTS.parent)
        (self.folder / "tests").symlink_to(ROOT / "tests")
        self._add_command("target-jsonl", _TARGET_JSONL)
        self._add_command("tap-shop", _TAP_SHOP)

    def follow(self, block: Block) -> None:
        """Do what a block tells the user: run it, or write it into `meltano.yml`."""
        if block.language == "yaml":
            self._merge(yaml.safe_load(block.text))
        elif block.language == "sh":
            self.run(block.text)
        elif block.language == "cron":
            for line in block.text.splitlines():
                self.run(line.split(maxsplit=5)[5], interpreter="sh")
        self._fill_in()

    def run(self, script: str, interpreter: str = "bash") -> str:
        """Run a script in the project's folder; `make` only says what it would do.

        Returns:
            Everything that it printed.

        Raises:
            AssertionError: it failed.
        """
        make = f'make() {{ command make --directory="{ROOT}" --dry-run "$@" >/dev/null; }}'
        done = subprocess.run(
            [interpreter, "-e", "-c", f"{make}\n{script}"],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)
        }
        environment |= {
            "PATH": os.pathsep.join([str(self._commands), str(SCRIPTS), environment["PATH"]]),
            "HOME": str(self.folder.parent),
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
        }
        return environment

    def _fill_in(self) -> None:
        env = self.folder / ".env"
        if not env.exists():
            return
        kept = [
            line
            for line in env.read_text(encoding="utf-8").splitlines()
            if line.partition("=")[0] not in self._filled_in
        ]
        filled = [f"{name}={value}" for name, value in self._filled_in.items()]
        env.write_text("\n".join([*kept, *filled, ""]), encoding="utf-8")

    def _merge(self, snippet: dict[str, Any]) -> None:
        path = self.folder / "meltano.yml"
        definition = yaml.safe_load(path.read_text(encoding="utf-8"))
        for kind, plugins in _uninstalled(snippet)["plugins"].items():
            for plugin in plugins:
                known = {one["name"]: one for one in definition["plugins"][kind]}
                if plugin["name"] in known:
                    known[plugin["name"]].setdefault("config", {}).update(plugin["config"])
                else:
                    definition["plugins"][kind].append(plugin)
        self._write_definition(definition)

    def _write_definition(self, definition: dict[str, Any]) -> None:
        text = yaml.safe_dump(definition, sort_keys=False)
        (self.folder / "meltano.yml").write_text(text, encoding="utf-8")

    def _add_command(self, name: str, code: str) -> None:
        path = self._commands / name
        path.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
        path.chmod(0o755)


def _uninstalled(definition: dict[str, Any]) -> dict[str, Any]:
    """Take out what makes Meltano install a plugin; it then finds the command on the path."""
    for plugins in definition["plugins"].values():
        for plugin in plugins:
            plugin.pop("pip_url", None)
    return definition
