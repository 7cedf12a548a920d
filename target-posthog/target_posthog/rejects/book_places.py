"""Where the book counts a rejected record: a rejects file says it, so that a replay can amend it.

Which line of the book that is turns out later than the record is rejected: the line of another
tap's records is named by the state behind them. So a place names the run and its part, which the
book knows of each of its lines. Pure.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from target_posthog.model import Json


class BookPlace(NamedTuple):
    """Where one rejected record is counted.

    Attributes:
        run: the run that rejected it; see `books.table.Book`.
        number: which of its rejects, from 1 on; of an event that we added see `number_of_added`.
        part: what came between two states of the run, from 0 on.
        stream, app, hour: see `books.lines.Unit`.
        day, event: the kind of the event that PostHog refused; empty of a record that never was
            an event.
    """

    run: str
    number: int
    part: int
    stream: str
    app: str = ""
    hour: str = ""
    day: str = ""
    event: str = ""

    def as_json(self) -> Json:
        """Return it as a part of a line of a rejects file."""
        return {name: value for name, value in self._asdict().items() if value != ""}


def number_of_added(uuid: str) -> int:
    """Return what stands for the number of an event that we added: below those of the records.

    It is the same whenever the same event is refused, also in a replay of the record that shows it.
    """
    digest = hashlib.blake2b(uuid.encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


def place_in(line: Json) -> BookPlace | None:
    """Return the place that a line of a rejects file names; None when it names none."""
    said: Any = line.get("counted")
    try:
        place = BookPlace(**said)
    except TypeError:
        return None
    is_sound = all(
        type(value) is type(sound) for value, sound in zip(place, _ANY_PLACE, strict=True)
    )
    return place if is_sound else None


_ANY_PLACE = BookPlace("", 0, 0, "")
