"""The files of a run that were listed and not read: how many, why, which first (pure).

Every file that was listed is read, or stands here with its reason.
"""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_amplitude.common.quantities import count

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_LONGEST_NAME = 200


class Why(enum.Enum):
    """Why a file is left out, in the order of the log."""

    UNKNOWN = "without exported events"
    PACKED = "packed in a form that is not read (unpack what holds events)"
    PARTIAL = "of unfinished downloads"
    NOT_READY = "of hours that are not ready yet"
    ARRIVING = "of hours whose files are still being written"
    BEFORE_START = "of hours before `start_date`"
    AFTER_END = "of hours from `end_date` on"
    READ_BEFORE = "of hours that are in the state"
    LATE = "that came or changed after their hours were read"
    SAME = "with the same content as another file"
    MERGES = "of merged users, which the stream `merged_ids` is for"
    MARKER = "marking a finished export"
    LITTER = "made by a desktop"


#: What may hold events that was not meant to be left out.
_WORTH_A_WARNING = frozenset({Why.UNKNOWN, Why.PACKED, Why.PARTIAL, Why.LATE})


@dataclass(slots=True)
class _Kind:
    first: str
    count: int = 0


class LeftOut:
    """Counts files by the reason why they are not read."""

    def __init__(self) -> None:
        self._kinds: dict[Why, _Kind] = {}

    def add(self, why: Why, name: str, note: str = "") -> None:
        """Count a file; `note` is what to say of it if it is the first, such as until when."""
        kind = self._kinds.get(why)
        if kind is None:
            shown = repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…")
            kind = self._kinds[why] = _Kind(f"{shown}, {note}" if note else shown)
        kind.count += 1

    def absorb(self, other: LeftOut) -> None:
        """Count what another one counted."""
        for why, kind in other._kinds.items():
            mine = self._kinds.setdefault(why, _Kind(kind.first))
            mine.count += kind.count

    def sentences(self, reasons: Container[Why] = frozenset(Why)) -> Iterator[tuple[int, str]]:
        """Yield for each of some reasons that left files out a level of logging, and a sentence."""
        for why in Why:
            kind = self._kinds.get(why)
            if kind and why in reasons:
                level = logging.WARNING if why in _WORTH_A_WARNING else logging.INFO
                files = count(kind.count, "file")
                yield level, f"Left out: {files} {why.value}. The first: {kind.first}."
