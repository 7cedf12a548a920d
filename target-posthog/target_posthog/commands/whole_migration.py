"""The command `target-posthog-whole-migration`: whether all ranges are in one book."""

from __future__ import annotations

import json
import os
from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from target_posthog.books.sums import each_line
from target_posthog.books.table import Book
from target_posthog.books.whole import hour_after
from target_posthog.books.whole_migration import whole_migration
from target_posthog.commands.options import hour_of, plugin_command, program_of, settings_of
from target_posthog.commands.whole_migration_text import as_text
from target_posthog.errors import FixConfiguration
from target_posthog.identity.ledger import Ledger
from target_posthog.reconcile.remedies import Stretch, command_for
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from target_posthog.books.whole_migration import WholeMigration

#: It is not whole (see `errors`).
_DIFFERS = 3


@plugin_command("target-posthog-whole-migration")
@click.option("--start", callback=hour_of, help="The first export hour that has to be there.")
@click.option("--end", callback=hour_of, help="The export hour behind the last one.")
@click.option("--app", help="Only the Amplitude project of this number.")
@click.option("--json", "prints_json", is_flag=True, help="Print JSON.")
@click.option("--by-hour", is_flag=True, help="Print JSON with the sums of each export hour, too.")
def command(
    config: Any, start: str, end: str, app: str | None, *, prints_json: bool, by_hour: bool
) -> int:
    """Tell whether the migration is whole, out of the book of all runs.

    Whether any hour is missing or came in two ways, and any record is without a fate: exported =
    accepted + superseded + skipped + rejected, for each source and app. The exit code is 3 if it
    is not whole.
    """
    if start and end and start >= end:
        raise FixConfiguration("--end is not after --start.", "Give the hour behind the last one.")
    settings = settings_of(config)
    found = whole_migration_in(
        settings.ledger_url, api_key_of(settings), start=start, end=end, app=app
    )
    if not found.parts:
        raise FixConfiguration(
            "The book of this PostHog project has nothing of this range.",
            "`ledger_url` and `api_key` must be those of the runs; --start, --end and --app must "
            "name what they read.",
        )
    commands = [command_for(stretch, os.environ) for stretch in _to_read(found)]
    shown = found.as_json() | {"commands": commands}
    if by_hour:
        shown["by_hour"] = found.hours_as_json()
    click.echo(json.dumps(shown, indent=2) if prints_json or by_hour else as_text(found, commands))
    return 0 if found.is_whole else _DIFFERS


def whole_migration_in(
    ledger_url: str, api_key: str, *, start: str = "", end: str = "", app: str | None = None
) -> WholeMigration:
    """Judge the book in a ledger; see `books.whole_migration`.

    Raises:
        FixConfiguration: the ledger's URL is not one.
        RunAgain: the database failed.
    """
    with closing(Ledger(ledger_url, api_key)) as ledger:
        # It makes the tables where there are none.
        Book(ledger, "", lambda: datetime.now(timezone.utc))
        return whole_migration(each_line(ledger), start=start, end=end, app=app)


def _to_read(found: WholeMigration) -> list[Stretch]:
    """Return the hours to read, one stretch for each gap and each hour with an unsettled record."""
    gaps = [Stretch(gap.first, hour_after(gap.last)) for gap in found.gaps]
    hours = {hour for part in found.parts for hour in part.unsettled if hour}
    return [*gaps, *(Stretch(hour, hour_after(hour)) for hour in sorted(hours))]


main = program_of(command)
