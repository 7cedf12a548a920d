"""`target-posthog-reconcile` in this process, between the stand-ins of ingestion and query API."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_posthog.commands.reconcile import command
from target_posthog.errors import TargetPosthogError
from tests.support.target_in_process import no_waits

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.singer import Json
    from tests.support.target import Target


@dataclass(frozen=True)
class Reconciled:
    """How the command ended.

    Attributes:
        exit_code: of the process that it would be.
        stdout: what it printed.
        failure: why it could not compare.
    """

    exit_code: int
    stdout: str
    failure: str = ""

    @property
    def json(self) -> Any:
        """What it printed with `--json`."""
        assert not self.failure, self.failure
        return json.loads(self.stdout)

    @property
    def totals(self) -> tuple[int, int, int, int]:
        """How many events are booked, held, missing and extra, of what `--json` printed."""
        totals = self.json["totals"]
        return totals["booked"], totals["held"], totals["missing"], totals["extra"]


def asking(api: PosthogQuery, folder: Path) -> Json:
    """Return the settings with which a target can also ask, with the ledger of runs in a folder."""
    return {
        "app_host": api.url,
        "project_id": api.project,
        "personal_api_key": api.key,
        "ledger_url": f"sqlite:///{folder}/target-posthog.db",
    }


def reconcile(target: Target, *arguments: str, **settings: Any) -> Reconciled:
    """Run the command; it waits for nothing unless it is told to."""
    path = target.folder / "reconcile.json"
    path.write_text(json.dumps(target.config | settings))
    options = ["--config", str(path), "--wait", "0", *arguments]
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), no_waits():
            code = command.main(args=options, standalone_mode=False)
    except TargetPosthogError as error:
        return Reconciled(error.exit_code, printed.getvalue(), str(error))
    return Reconciled(code, printed.getvalue())
