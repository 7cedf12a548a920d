"""A copy of the Meltano project in which the commands of the documents really run.

The plugins are those that are installed beside the tests, so that nothing is installed again.
Amplitude and PostHog are the stand-ins; commands of other people's plugins are small scripts.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.meltano_project import REPOSITORY, MeltanoProject, uninstalled
from tests.support.processes import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.documents import Block

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


class DocumentedProject(MeltanoProject):
    """The project as a user has it after `make setup`.

    Args:
        folder: An empty folder.
        filled_in: What the user writes into `.env` once it is there.
    """

    def __init__(self, folder: Path, filled_in: Mapping[str, str]) -> None:
        own, commands = folder / "amplitude-to-posthog", folder / "commands"
        own.mkdir()
        commands.mkdir()
        super().__init__(own, commands=commands)
        self._filled_in = filled_in
        shutil.copy(REPOSITORY / ".env.example", own)
        (own / ".venv").symlink_to(SCRIPTS.parent)
        for name, code in (("target-jsonl", _TARGET_JSONL), ("tap-shop", _TAP_SHOP)):
            (commands / name).write_text(f"#!{sys.executable}\n{code}")
            (commands / name).chmod(0o755)

    def follow(self, block: Block) -> None:
        """Do what a block tells the user: run it, or write it into `meltano.yml`."""
        if block.language == "yaml":
            self._merge(yaml.safe_load(block.text))
        elif block.language == "sh":
            self.run_script(block.text)
        elif block.language == "cron":
            for line in block.text.splitlines():
                self.run_script(line.split(maxsplit=5)[5], interpreter="sh")
        self._fill_in()

    def run_script(self, script: str, interpreter: str = "bash") -> str:
        """Run a script in the project's folder; `make` only says what it would do.

        Returns:
            Everything that it printed.

        Raises:
            AssertionError: It failed.
        """
        make = f'make() {{ command make --directory="{REPOSITORY}" --dry-run "$@" >/dev/null; }}'
        command = [interpreter, "-e", "-c", f"exec 2>&1\n{make}\n{script}"]
        done = self.run(command, {"HOME": str(self.folder.parent)})
        assert done.exit_code == 0, f"{script}\n{done.stdout}"
        return done.stdout

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
        definition = self.definition
        for kind, plugins in uninstalled(snippet)["plugins"].items():
            for plugin in plugins:
                known = {one["name"]: one for one in definition["plugins"][kind]}
                if plugin["name"] in known:
                    known[plugin["name"]].setdefault("config", {}).update(plugin["config"])
                else:
                    definition["plugins"][kind].append(plugin)
        self.define(definition)
