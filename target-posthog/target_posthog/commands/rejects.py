"""The command `target-posthog-rejects`: what was rejected, why, and what to do about it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from target_posthog.commands.options import plugin_command, program_of, settings_of
from target_posthog.common.remote_lines import folder_of, is_address
from target_posthog.rejects.files import files_in, places_of, unreadable
from target_posthog.rejects.listing import Listing
from target_posthog.rejects.listing_texts import as_json, as_text
from target_posthog.rejects.names import PREVIEW, is_of_another, owner_of
from target_posthog.rejects.remote_files import RemoteRejectFiles
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: There are some, and somebody has to look at them (see `errors.TooManyRejects`).
_SOME = 3


class RejectsFound:
    """Reads rejects files.

    Attributes:
        ours: what the files of this project hold, or of previews.
        others: what the other files hold.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.ours, self.others = Listing(), Listing()

    def read(self, places: Sequence[str]) -> None:
        """Read files and folders, of this machine or at addresses for fsspec.

        Raises:
            FixConfiguration: one cannot be read.
        """
        paths = [Path(folder_of(place)) for place in places if not is_address(place)]
        named = {path.resolve() for path in paths}
        for path in files_in(paths):
            self._read(path, is_named=path in named)
        for place in filter(is_address, places):
            with tempfile.TemporaryDirectory(prefix="target-posthog-") as folder:
                remote = RemoteRejectFiles(place, Path(folder))
                for name in remote.names():
                    self._add(name, remote.lines(name), is_named=place.endswith(".jsonl"))

    def _read(self, path: Path, *, is_named: bool) -> None:
        try:
            with path.open("rb") as lines:
                self._add(str(path), lines, is_named=is_named)
        except OSError as error:
            raise unreadable(path, error) from error

    def _add(self, name: str, lines: Iterable[bytes], *, is_named: bool) -> None:
        """Read a file; who names one wants to see it, whosever it is."""
        is_others = not is_named and is_of_another(name, self._owner)
        (self.others if is_others else self.ours).add(name, lines)


@plugin_command("target-posthog-rejects")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.option("--show", is_flag=True, help="Print the record of each example, too.")
@click.option("--all", "shows_all", is_flag=True, help="List all runs, not only the newest 20.")
@click.argument("paths", nargs=-1)
def command(
    config: Any, paths: tuple[str, ...], *, is_json: bool, show: bool, shows_all: bool
) -> int:
    """List rejected records by code, with an example and what to do.

    PATHS are rejects files, or folders of them, or addresses such as s3://bucket/rejects; by
    default rejects_path. The exit code is 3 when there are any.
    """
    settings = settings_of(config)
    is_preview = settings.preview_path
    found = RejectsFound(PREVIEW if is_preview else owner_of(api_key_of(settings)))
    found.read(paths or places_of(settings.rejects_place))
    ours, others = found.ours, found.others
    click.echo(
        json.dumps(as_json(ours, others, shows_records=show), indent=2)
        if is_json
        else as_text(ours, others, shows_records=show, shows_all=shows_all)
    )
    return _SOME if ours.total or ours.others else 0


main = program_of(command)
