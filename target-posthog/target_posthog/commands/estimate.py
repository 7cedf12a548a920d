"""The command `target-posthog-estimate`: volume, time, requests, and what to ask PostHog."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any

import click

from target_posthog.books.table import Book
from target_posthog.commands.options import given_of, plugin_command, program_of
from target_posthog.errors import FixConfiguration
from target_posthog.estimate.arithmetic import estimate
from target_posthog.estimate.history import rest_of, speed_of
from target_posthog.estimate.report import as_json, as_text
from target_posthog.estimate.request import support_request
from target_posthog.estimate.weights import read_weights
from target_posthog.identity.ledger import Ledger
from target_posthog.ledger_url import ledger_file
from target_posthog.sdk import SingerPlugin
from target_posthog.settings import Settings
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from target_posthog.books.tables import WrittenLine

#: docs/performance.md, on two cores.
_USUAL_SPEED = 25_000.0


@plugin_command("target-posthog-estimate")
@click.option("--json", "is_json", is_flag=True, help="Print the estimate as JSON.")
@click.argument("file", required=False, type=click.File(encoding="utf-8-sig"))
def command(config: Any, file: IO[str] | None, *, is_json: bool) -> int:
    """Estimate a migration, and write the support request that PostHog asks for.

    FILE is what `tap-amplitude --estimate` wrote; - reads standard input. Without it, the book of
    earlier runs tells how much is left until now. Nothing is sent.
    """
    settings = _settings_of(config)
    lines = _lines_of(settings)
    weights = (
        rest_of(lines, datetime.now(timezone.utc)) if file is None else read_weights(_text_of(file))
    )
    if weights is None:
        click.echo("Nothing is left: the book has every hour until now.")
        return 0
    if weights.tells_nothing:
        raise FixConfiguration(
            f"None of the sample hours ({len(weights.samples):,}) has an event, which tells "
            "nothing of the others.",
            "Let the tap read more of them (`tap-amplitude --estimate=100`), or correct "
            "`start_date`.",
        )
    speed = speed_of(lines)
    found = estimate(weights, settings, speed or _USUAL_SPEED)
    program = f"{SingerPlugin.name} {SingerPlugin.plugin_version}"
    request = support_request(weights, found, settings, program)
    if is_json:
        click.echo(json.dumps(as_json(weights, found, request), indent=2, ensure_ascii=False))
    else:
        shown = as_text(
            weights, found, settings, speed_is_measured=speed is not None, request=request
        )
        click.echo(shown)
    return 0


def _settings_of(config: Any) -> Settings:
    """Return the settings; before there is a project, they need no token.

    Raises:
        FixConfiguration: The others do not fit.
    """
    given = given_of(config)
    problems = [problem for problem in given.problems if not problem.startswith("`api_key`")]
    if problems:
        raise FixConfiguration(
            " ".join(problems), "`target-posthog --about` explains every setting."
        )
    return Settings.read(given.config)


def _text_of(file: IO[str]) -> str:
    try:
        return file.read()
    except UnicodeDecodeError:
        raise FixConfiguration(
            "The estimate of the tap is not UTF-8 text.",
            "Give the file that `tap-amplitude --estimate` wrote.",
        ) from None


def _lines_of(settings: Settings) -> list[WrittenLine]:
    """Return the lines of the project's book; none when there is no project or no ledger yet."""
    try:
        api_key = api_key_of(settings)
    except FixConfiguration:
        return []
    path = ledger_file(settings.ledger_url)
    if path is not None and not path.exists():
        return []
    with closing(Ledger(settings.ledger_url, api_key)) as ledger:
        return Book(ledger, uuid.uuid4().hex, lambda: datetime.now(timezone.utc)).lines()


main = program_of(command)
