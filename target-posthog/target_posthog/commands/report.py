"""The command `target-posthog-report`: the book as one HTML page."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from target_posthog.books.reconciled import Reconciled
from target_posthog.books.sums import days_of, each_line, held_by_day, names_of
from target_posthog.books.table import Book
from target_posthog.capture.hosts import ingestion_host, without_credentials
from target_posthog.commands.options import plugin_command, program_of, settings_of
from target_posthog.commands.output_files import write_private
from target_posthog.commands.rejects import RejectsFound
from target_posthog.common.quantities import count
from target_posthog.errors import FixConfiguration
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.sums import people_of
from target_posthog.json_codec import json_object
from target_posthog.progress.summary import STATE_ID, place_of
from target_posthog.rejects.files import places_of
from target_posthog.rejects.names import owner_of
from target_posthog.report.drawing import drawn
from target_posthog.report.figures import MOST_NAMES, Figures, LinesRead, Rejects, days_with
from target_posthog.report.page import page_of
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.settings import Settings

#: The book is not sound (see `errors`).
_DIFFERS = 3


@plugin_command("target-posthog-report")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="migration-report.html",
    show_default=True,
    help="The file to write.",
)
@click.option("--with-examples", is_flag=True, help="Show one rejected record of each code.")
def command(config: Any, output: Path, *, with_examples: bool) -> int:
    """Write the whole migration as one HTML page.

    It shows what was exported and what became of it, by day, event and hour, out of the book in
    the ledger; and what PostHog holds, once target-posthog-reconcile has asked it. The page needs
    no network. The exit code is 3 when the book has records without a fate.
    """
    settings = settings_of(config)
    figures = figures_of(settings, with_examples=with_examples)
    page = page_of(figures, drawn)
    write_private(output, page, "--output")
    click.echo(f"{output}: {len(page.encode()) / 1000:,.0f} kB, {_in_short(figures)}")
    return _DIFFERS if figures.totals.open else 0


def figures_of(settings: Settings, *, with_examples: bool) -> Figures:
    """Return the numbers of a migration.

    Raises:
        FixConfiguration: there are none, or a place of the settings cannot be read.
        RunAgain: the database failed.
    """
    api_key, now = api_key_of(settings), datetime.now(timezone.utc)
    with closing(Ledger(settings.ledger_url, api_key)) as ledger:
        # Both make their tables, in a ledger of an earlier version.
        Book(ledger, "", lambda: now)
        Reconciled(ledger)
        read = LinesRead(each_line(ledger))
        held = held_by_day(ledger)
        if not read.paces:
            raise FixConfiguration(
                "The book of this PostHog project is empty.",
                "`ledger_url` and `api_key` must be those of a run that sent something.",
            )
        names = names_of(ledger)
        shown = list(islice(names, MOST_NAMES))
        asked = [posthogs.asked_at for posthogs in held.values()]
        return Figures(
            ledger.project[:8],
            without_credentials(ingestion_host(settings.host)),
            now,
            read.totals,
            read.hours,
            days_with(days_of(ledger), held),
            (min(asked), max(asked)) if asked else None,
            shown,
            sum(1 for _ in names),
            _rejects_of(settings, api_key, with_examples=with_examples),
            people_of(ledger),
            read.paces,
            _summary_of(settings, ledger.project),
        )


def _rejects_of(settings: Settings, api_key: str, *, with_examples: bool) -> Rejects:
    found = RejectsFound(owner_of(api_key))
    found.read(places_of(settings.rejects_place))
    examples = found.ours.examples
    if not with_examples:
        examples = {code: replace(example, record=None) for code, example in examples.items()}
    return Rejects(found.ours.codes, examples)


def _summary_of(settings: Settings, project: str) -> Mapping[str, Any] | None:
    """Return what the last run of this project wrote about itself, if there is such a file."""
    # That of a real run, also beside a preview.
    place = place_of(
        {"summary_path": settings.summary_path, "ledger_url": settings.ledger_url},
        os.environ.get(STATE_ID, ""),
    )
    if place is None:
        return None
    try:
        summary = json_object(place.read_bytes())
    except OSError:
        return None
    is_ours = summary.get("project") == project and not summary.get("is_preview")
    return summary if is_ours else None


def _in_short(figures: Figures) -> str:
    totals = figures.totals
    return (
        f"{count(totals.exported, 'record')}, {totals.accepted:,} accepted, {totals.open:,} open."
    )


main = program_of(command)
