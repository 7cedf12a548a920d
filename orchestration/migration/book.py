"""What the book of all ranges says, asked for with a command of the target."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from migration.ranges import text_of

if TYPE_CHECKING:
    from migration.ranges import HourRange
    from migration.settings import Settings

#: The book is whole, or is not. With any other code the command could not tell.
_ANSWERED = (0, 3)


class NoBook(Exception):
    """The book could not be asked; the log of the command says why."""


def whole_migration(
    hours: HourRange, settings: Settings, *, by_hour: bool = False
) -> dict[str, Any]:
    """Return whether the book has some hours, each once and with a fate for each record.

    `by_hour` adds the sums of each hour, `2024-01-31T05`.

    Raises:
        NoBook: the ledger does not answer, or a setting is wrong.
    """
    asked = subprocess.run(  # noqa: S603 - the user's own Meltano
        [
            *(settings.meltano, "invoke", "target-posthog:whole-migration", "--json"),
            *("--start", text_of(hours.first), "--end", text_of(hours.end)),
            *(["--by-hour"] if by_hour else []),
        ],
        cwd=settings.project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    try:
        found = json.loads(asked.stdout)
    except ValueError:
        found = None
    if asked.returncode not in _ANSWERED or not isinstance(found, dict):
        raise NoBook(
            f"`target-posthog:whole-migration` ended with {asked.returncode}: see its log. The "
            "hours are delivered all the same; run the check again."
        )
    return found
