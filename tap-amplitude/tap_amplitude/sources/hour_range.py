"""The hours that a run reads, wherever they come from: what a source gives to a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tap_amplitude.files.left_out import LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tap_amplitude.files.member import Member
    from tap_amplitude.state.bookmark import Bookmark
    from tap_amplitude.state.notes import Note
    from tap_amplitude.windows import Window


@dataclass(frozen=True)
class VerifiedHours:
    """Files of an hour that are to be written together.

    Attributes:
        files: Verified files; none when there are no events.
        hours: How many hours are done when they are out, those without files among them.
        bookmark: The state when they are out.
        read_until: All hours of the run before this one are out then.
    """

    files: Sequence[Member]
    hours: int
    bookmark: Bookmark
    read_until: datetime


@dataclass(frozen=True)
class HourRange:
    """The hours of a run.

    Attributes:
        window: The first and the last of them; None when there is nothing to read.
        verified: In the order of the hours. One is asked for when the one before it is out.
        left_out: Which files are not read, and why; complete behind the last hours.
    """

    window: Window | None
    notes: Sequence[Note]
    verified: Iterator[VerifiedHours] = field(default_factory=lambda: iter(()))
    left_out: LeftOut = field(default_factory=LeftOut)
