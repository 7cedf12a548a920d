"""Runs one range of export hours, as processes that end with the one that asked for them.

It knows no engine: `python -m migration.partition 2024-01-31T00 2024-02-01T00` is what Airflow, a
Job of Kubernetes or cron call, and Dagster's asset calls `run_range`. The exit codes are those of
the plugins, which Meltano turns into 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.guarded import StillRuns, locked, run_guarded
from migration.ranges import HourRange, numbered_range, text_of
from migration.settings import Order, Settings, WrongSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What to do after a run, as the summaries of both plugins say it, and the exit code for it; the
#: most serious first. A file that says none of these is as good as none.
EXIT_CODES = {"fix": 2, "look": 3, "retry": 1, "done": 0}
_TEMPORARY = "retry"
#: So a shell says that there is no such command, or that it cannot be executed.
_NO_COMMAND = (127, 126)
#: Where Meltano has a folder for each state id of `meltano el`.
_RUNS = Path(".meltano/run/elt")
_AN_HOUR = len("2024-01-31T05")
_AGAIN = (
    "Run the same range again: it goes on behind its last state, and PostHog keeps once what comes "
    "again."
)


@dataclass(frozen=True)
class Outcome:
    """What a run of a range came to.

    Attributes:
        exit_class: `done`; `retry`, if the same again may help; `fix`, if a setting is wrong;
            `look`, if the rejects passed their limit.
        message: what happened and what to do, in words; empty if there is nothing to do.
        summary: what the target says of the run (docs/summary.md); empty if it never began.
    """

    exit_class: str
    message: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether each hour of the range is delivered."""
        return self.exit_class == "done"

    @property
    def is_temporary(self) -> bool:
        """Whether the same range may be run again without anybody's doing."""
        return self.exit_class == _TEMPORARY

    def is_of_all(self, hours: HourRange) -> bool:
        """Return True if the summary counts the whole range: no earlier run moved a part of it."""
        read = self.summary.get("hours")
        return isinstance(read, dict) and str(read.get("from"))[:_AN_HOUR] == text_of(hours.first)


def run_range(hours: HourRange, settings: Settings) -> Outcome:
    """Run a range, or what an earlier run of it left.

    Its state is its own, so it begins where an earlier run of it ended.
    """
    state_id = state_id_of(hours, settings)
    folder = settings.work / state_id
    folder.mkdir(parents=True, exist_ok=True)
    tap, target = folder / "tap.json", folder / "target.json"
    command = [settings.meltano, "el", "--force", "tap-amplitude", "target-posthog"]
    try:
        with locked(folder / "lock") as lock:
            for summary in (tap, target):
                summary.unlink(missing_ok=True)
            variables = {**os.environ, **_variables_of(hours, state_id, tap, target)}
            code = run_guarded(command, settings.project, variables, lock)
            # A Meltano that was killed leaves the keys of both sides there, in clear text.
            shutil.rmtree(settings.project / _RUNS / state_id, ignore_errors=True)
    except StillRuns:
        return Outcome(
            _TEMPORARY,
            "An earlier run of these hours has not ended yet on this machine. Nothing was begun. "
            "It may be run again once that one is over.",
        )
    if code in _NO_COMMAND:
        return Outcome(
            "fix",
            f"The command `{settings.meltano}` cannot be run. Nothing was begun. Set "
            "`MIGRATION_MELTANO` to the path of Meltano's command.",
        )
    return outcome_of(code, _content_of(target), _content_of(tap))


def outcome_of(code: int, target: Mapping[str, Any], tap: Mapping[str, Any]) -> Outcome:
    """Return what a run of Meltano means: the more serious of what both plugins say. Pure."""
    summaries = {"tap-amplitude": tap, "target-posthog": target}
    worst, name = min((_rank_of(summary), name) for name, summary in summaries.items())
    exit_class = list(EXIT_CODES)[worst]
    if exit_class != "done":
        return Outcome(exit_class, _words_of(name, summaries[name]), target)
    if code:
        text = f"Both plugins ended well, and Meltano with {code}: see its log. {_AGAIN}"
        return Outcome(_TEMPORARY, text, target)
    return Outcome(exit_class, "", target)


def _rank_of(summary: Mapping[str, Any]) -> int:
    """Return how serious a summary is; 0 is most. What was killed or never began is a retry."""
    classes = list(EXIT_CODES)
    named = summary.get("exit_class")
    return classes.index(named if named in EXIT_CODES else _TEMPORARY)


def _words_of(plugin: str, summary: Mapping[str, Any]) -> str:
    """Return what a plugin says of a run that is not done."""
    if not summary:
        return f"{plugin} did not begin: see the log. {_AGAIN}"
    if summary.get("exit_class") not in EXIT_CODES:
        return f"{plugin} was killed. {_AGAIN}"
    words = str(summary.get("error") or summary.get("next") or "See the log.")
    return f"{plugin}: {words}"


def is_complete(hours: HourRange, settings: Settings) -> bool:
    """Return True if Meltano's state says that a range has been moved to its end."""
    asked = subprocess.run(  # noqa: S603 - the user's own Meltano
        [settings.meltano, "state", "get", state_id_of(hours, settings)],
        cwd=settings.project,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    with suppress(ValueError, KeyError, TypeError):
        state = json.loads(asked.stdout)
        bookmark = state["singer_state"]["bookmarks"]["events"]
        return str(bookmark["next_export_hour"]) >= text_of(hours.end)
    return False


def state_id_of(hours: HourRange, settings: Settings) -> str:
    """Return what the state of a range is called: both rounds of free order have their own."""
    if settings.order is Order.ASCENDING:
        return hours.name
    return f"{settings.order.value}-{hours.name}"


def _variables_of(hours: HourRange, state_id: str, tap: Path, target: Path) -> dict[str, str]:
    """Return the variables that make a run of Meltano that of a range (docs/scale.md)."""
    return {
        "MELTANO_STATE_ID": state_id,
        "TAP_AMPLITUDE_START_DATE": f"{hours.first:%Y-%m-%dT%H:%M:%SZ}",
        "TAP_AMPLITUDE_END_DATE": f"{hours.end:%Y-%m-%dT%H:%M:%SZ}",
        "TAP_AMPLITUDE_SUMMARY_PATH": str(tap),
        "TARGET_POSTHOG_SUMMARY_PATH": str(target),
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
    }


def _content_of(summary: Path) -> dict[str, Any]:
    """Return what a summary says; nothing if there is none."""
    try:
        content = json.loads(summary.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the range that the arguments name; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m migration.partition", description=__doc__)
    parser.add_argument("first", nargs="?", help="the first hour, such as 2024-01-31T05")
    parser.add_argument("end", nargs="?", help="the hour behind the last one")
    parser.add_argument(
        "--number",
        type=int,
        help="the n-th range, from 0 on, from MIGRATION_START to MIGRATION_END instead",
    )
    parser.add_argument(
        "--in-order",
        action="store_true",
        help="with a number: begin only when the range before is complete",
    )
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        variables = {"MIGRATION_START": chosen.first or "", "MIGRATION_END": chosen.end or ""}
        given = {**os.environ, **{name: text for name, text in variables.items() if text}}
        settings = Settings.of(given, datetime.now(timezone.utc))
        outcome = _chosen(settings, chosen.number, is_ordered=chosen.in_order)
    except WrongSettings as error:
        outcome = Outcome("fix", str(error))
    if outcome.message:
        sys.stderr.write(f"{outcome.message}\n")
    return EXIT_CODES[outcome.exit_class]


def _chosen(settings: Settings, number: int | None, *, is_ordered: bool) -> Outcome:
    """Run the whole range of the settings, or its n-th part."""
    if settings.end is None:
        raise WrongSettings("The end of the range is missing: give it, or set `MIGRATION_END`.")
    whole = HourRange(settings.start, settings.end)
    if number is None:
        return run_range(whole, settings)
    hours = numbered_range(whole, settings.range_hours, number)
    if hours is None:
        return Outcome("done", f"There is no range {number}: nothing to do.")
    before = numbered_range(whole, settings.range_hours, number - 1) if number else None
    if is_ordered and before and not is_complete(before, settings):
        return Outcome(
            _TEMPORARY,
            f"The hours before, {before}, are not complete. Nothing was begun. Ranges go in order.",
        )
    return run_range(hours, settings)


def _stop(*_: object) -> None:
    """Leave in good order: the group is ended on the way out."""
    raise SystemExit(EXIT_CODES[_TEMPORARY])


if __name__ == "__main__":
    sys.exit(main())
