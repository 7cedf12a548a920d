"""The command `target-posthog-preview`: records, the events that they become, and why.

A run without its end: the target's own conversion, checks, identity and delivery, with nothing sent
and nothing kept.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from target_posthog.capture.preview import PreviewFile
from target_posthog.capture.results import SendResult
from target_posthog.cli import read_on
from target_posthog.commands.options import arguments_of, hour_of, plugin_command, program_of
from target_posthog.commands.output_files import write_private
from target_posthog.common.quantities import count
from target_posthog.common.signals import StoppedBySignal
from target_posthog.errors import FixConfiguration, RunAgain, TargetPosthogError
from target_posthog.formats.trace import Trace
from target_posthog.preview.files import messages_of
from target_posthog.preview.found import Found
from target_posthog.preview.page import page_of
from target_posthog.preview.pairs import Pair
from target_posthog.preview.screen import show
from target_posthog.preview.texts import as_json
from target_posthog.preview.wanted import Wanted
from target_posthog.rejects.writer import Rejects
from target_posthog.runtime import Runtime
from target_posthog.sinks import PosthogSink
from target_posthog.target import TargetPosthog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from target_posthog.capture.batches import Batch
    from target_posthog.model import Json, Rejected
    from target_posthog.rejects.book_places import BookPlace


class _EnoughError(Exception):
    """As many pairs were found as are to be shown."""


class _Stopped(TargetPosthogError):
    """Another error, for a command that delivers nothing and keeps no state."""

    saved = ""

    def __init__(self, error: TargetPosthogError) -> None:
        self.exit_code = error.exit_code
        super().__init__(error.happened, error.remedy)


class _NotSent(PreviewFile):
    """A `Transport` that notes what would be sent."""

    def __init__(self, found: Found) -> None:
        self._found = found

    @override
    def begin(self) -> None:
        """Do nothing: there is no folder."""

    @override
    def send(self, batch: Batch) -> SendResult:
        self._found.sent(batch.items)
        return SendResult()

    @override
    def close(self) -> None:
        """Do nothing: nothing is open."""


class _NotKept(Rejects):
    """Rejects that are only shown."""

    def __init__(self, found: Found, started: datetime) -> None:
        super().__init__(Path(), started, "")
        self._found = found

    @override
    def write(self, rejected: Rejected, record: Any, place: BookPlace | None = None) -> None:
        self._found.reasons.setdefault(rejected.code, rejected.reason)

    @override
    def save(self) -> None:
        """Do nothing."""


class _PreviewSink(PosthogSink):
    """Shows records to the preview on their way."""

    def __init__(self, target: PreviewTarget, **stream: Any) -> None:
        super().__init__(target, **stream)
        self._look = target.found.look
        self._found = target.found

    @override
    def process_record(self, record: Json, context: Mapping[str, Any]) -> None:
        trace = Trace()
        self.converter.traced(record, trace)
        outcome, origin = self.outcome_of(record), self.converter.origin_of(record)
        pair = self._look(Pair(self.stream_name, record, trace), outcome, origin)
        self._delivery.take(outcome, pair or record, stream=self.stream_name, origin=origin)
        if self._found.is_full:
            raise _EnoughError


class PreviewTarget(TargetPosthog):
    """The target of a preview."""

    default_sink_class = _PreviewSink
    #: They are the run's.
    keeps_batch_files = True
    #: Each record is looked at.
    takes_blocks = False

    def __init__(self, wanted: Wanted, scratch: Path, **arguments: Any) -> None:
        self.found = Found(wanted)
        self._scratch = scratch
        super().__init__(**arguments)
        self.delivery.on_completed = self.found.completed

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        return command

    @override
    def prepare_settings(self, config: dict[str, Any]) -> None:
        # Nothing may go where the runs have theirs.
        config |= {"preview_path": str(self._scratch), "max_reject_ratio": 1.0}

    @override
    def open_runtime(self) -> Runtime:
        return Runtime(
            self.settings,
            self.program,
            open_rejects=lambda started: _NotKept(self.found, started),
            open_preview=lambda _, __: _NotSent(self.found),
        )

    @override
    def process_endofpipe(self) -> None:
        self.inflow.deliver_all()
        self.streams.warn_of_unused_entries(self.inflow.met)

    def run(self, messages: Iterable[bytes] | None) -> bool:
        """Take messages of a tap, or standard input, until enough is found; True if more may come.

        Raises:
            TargetPosthogError: the input is not what it should be.
        """
        try:
            self.listen(messages)  # type: ignore[arg-type] # our reader takes bytes
        except _EnoughError:
            self.delivery.flush()
            return True
        return False


@plugin_command("target-posthog-preview")
@click.option(
    "--rows", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many."
)
@click.option(
    "--hour",
    callback=partial(hour_of, is_bound=False),
    help="Only of this export hour of UTC, such as 2024-01-31T05.",
)
@click.option("--event", help="Only events of this name, of Amplitude or of PostHog.")
@click.option("--user", help="Only of this user id, device id or person.")
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a page to this file, instead.",
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON, instead.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(
    config: Any,
    rows: int,
    hour: str,
    event: str | None,
    user: str | None,
    page: Path | None,
    paths: tuple[Path, ...],
    *,
    is_json: bool,
) -> int:
    """Show records, the events that they become, and why: nothing is sent, and nothing kept.

    The records come from a tap on standard input, or from files: PATHS are Singer messages, or rows
    as Amplitude exports them (.json, .json.gz, .zip). It holds people's data.
    """
    wanted = Wanted(rows, hour or None, event, user)
    if not paths and (sys.stdin is None or sys.stdin.isatty()):
        raise FixConfiguration(
            "There is no input.",
            "Give a file, or the output of a tap: `tap … | target-posthog-preview`.",
        )
    with tempfile.TemporaryDirectory(prefix="target-posthog-") as scratch:
        target = PreviewTarget(wanted, Path(scratch), **arguments_of(config))
        try:
            goes_on = target.run(messages_of(paths, Path(scratch)) if paths else None)
        except StoppedBySignal as signal:
            raise _Stopped(RunAgain(f"Stopped by {signal}.", "Run again.")) from None
        except TargetPosthogError as error:
            raise _Stopped(error) from error
        finally:
            target.close()
    found, counts = target.found, target.delivery.counts
    if page is not None:
        write_private(page, page_of(found, counts), "--html")
        click.echo(f"{page}: {count(len(found.pairs), 'pair')}.")
    elif is_json:
        click.echo(json.dumps(as_json(found, counts), indent=2))
    else:
        show(found, counts)
    sys.stdout.flush()
    if goes_on and not paths:
        # A tap that may write to its end does so in silence.
        read_on()
    return 0


main = program_of(command)
