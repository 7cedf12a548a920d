"""The command `target-posthog-reconcile`: the book against what PostHog holds."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack, closing
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from target_posthog.books.reconciled import Scope
from target_posthog.books.table import Book
from target_posthog.commands.options import hour_of, plugin_command, program_of, settings_of
from target_posthog.commands.output_files import write_private
from target_posthog.common.signals import StoppedBySignal
from target_posthog.errors import FixConfiguration, NotAsked
from target_posthog.identity.ledger import Ledger
from target_posthog.query.client import QueryApi
from target_posthog.query.credentials import project_id_of
from target_posthog.reconcile.reconciliation import Reconciliation
from target_posthog.reconcile.result import BookFindings, Result
from target_posthog.reconcile.tables import as_csv, as_json
from target_posthog.reconcile.texts import as_text
from target_posthog.reconcile.wanted import Wanted
from target_posthog.sdk import SingerPlugin
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_posthog.settings import Settings

_DIFFERS = 3
_FORMS: Mapping[str, Callable[[Result], str]] = {"text": as_text, "json": as_json, "csv": as_csv}


@plugin_command("target-posthog-reconcile")
@click.option("--from", "first", callback=hour_of, help="The first export hour to compare.")
@click.option("--to", "end", callback=hour_of, help="The export hour to stop before.")
@click.option("--event", "events", multiple=True, help="Only events of this name; repeatable.")
@click.option(
    "--people",
    default=20,
    show_default=True,
    type=click.IntRange(0, 1_000_000),
    help="How many joined devices to look at.",
)
@click.option(
    "--wait",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, 24 * 60),
    help="How many minutes to wait for what is missing.",
)
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print a line for each hour, day and event.")
@click.option("--output", type=click.Path(dir_okay=False), help="Write a file instead of printing.")
def command(config: Any, form: str | None, output: str | None, wait: float, **wanted: Any) -> int:
    """Compare what was sent with what PostHog holds, by export hour, day and event.

    Needs project_id and personal_api_key. Events that PostHog did not take in yet are waited for.
    The exit code is 3 when both sides differ, 1 when PostHog could not be asked.
    """
    settings = settings_of(config)
    try:
        result = _compared(settings, wait_seconds=60 * wait, **wanted)
    except StoppedBySignal as signal:
        raise NotAsked(f"Stopped by {signal}.", "Run again to compare.") from None
    shown = _FORMS[form or "text"](result)
    if output is None:
        click.echo(shown)
    else:
        write_private(Path(output), f"{shown}\n", "--output")
    return 0 if result.agrees else _DIFFERS


def _compared(
    settings: Settings,
    *,
    first: str,
    end: str,
    events: tuple[str, ...],
    people: int,
    wait_seconds: float,
) -> Result:
    scope = Scope(first, end, frozenset(events))
    wanted = Wanted.of(settings, scope, people=people, wait_seconds=wait_seconds)
    if wanted.uploaded is None and scope.has_hours:
        raise FixConfiguration(
            "PostHog knows no export hours: `skip_properties` leaves `server_upload_time` out.",
            "Compare without --from and --to: by day and event.",
        )
    with ExitStack() as stack:
        program = f"{SingerPlugin.name}/{SingerPlugin.plugin_version}"
        api = stack.enter_context(closing(QueryApi.of(settings, program)))
        ledger = stack.enter_context(closing(Ledger(settings.ledger_url, api_key_of(settings))))
        book = Book(ledger, uuid.uuid4().hex, _utc_now)
        reconciliation = Reconciliation(ledger, book, api, wanted, utc_now=_utc_now)
        if not reconciliation.lines:
            raise _nothing_to_compare()
        comparison, found = reconciliation.run()
        if scope.events and not comparison.cells:
            raise _nothing_to_compare()
        return Result(
            api.host,
            project_id_of(settings.project_id),
            reconciliation.asked_at,
            scope,
            BookFindings.of(reconciliation.lines),
            comparison,
            found if people else None,
            os.environ,
        )


def _nothing_to_compare() -> FixConfiguration:
    return FixConfiguration(
        "The book of this PostHog project has nothing to compare.",
        "`ledger_url` and `api_key` must be those of the run; --from, --to and --event must name "
        "what it sent.",
    )


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


main = program_of(command)
