"""Files that lie in an archive more than once: equal ones are one file, others are a mistake."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tap_amplitude.common.quantities import count
from tap_amplitude.errors import ForeignArchive
from tap_amplitude.files.left_out import Why

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_amplitude.files.left_out import LeftOut
    from tap_amplitude.files.member import Member

logger = logging.getLogger("tap-amplitude.copies")

_BLOCK_BYTES = 1024 * 1024
#: So many pairs are named; the others are counted.
_NAMED = 20
_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


def without_copies(
    parts: Iterable[tuple[str, Member]], left_out: LeftOut, max_bytes: int
) -> list[Member]:
    """Return one of the files that are the same, in the order in which they came.

    `parts` has what tells files apart, and each file. The others are counted in `left_out`.

    Raises:
        ForeignArchive: Files of one name hold different events.
        DamagedArchive: One of them cannot be read.
    """
    kept: dict[str, Member] = {}
    again: list[tuple[str, Member]] = []
    for part, member in parts:
        if part in kept:
            again.append((part, member))
        else:
            kept[part] = member
    if again:
        logger.info("Comparing %s with others of the same part.", count(len(again), "file"))
    unlike: list[tuple[Member, Member]] = []
    for part, member in again:
        first = kept[part]
        if not _same(first, member, max_bytes):
            unlike.append((first, member))
            continue
        # The one that came first tells whether it came after its hour was read.
        early, late = sorted((first, member), key=lambda copy: copy.modified or _LONG_AGO)
        kept[part] = early
        left_out.add(Why.SAME, late.place, f"the same as {early.place!r}")
    if unlike:
        raise _unlike(unlike)
    return list(kept.values())


def _same(first: Member, second: Member, max_bytes: int) -> bool:
    """Compare as they are stored; then, as one may be unpacked or packed anew, what is in them."""
    if first.packed_bytes == second.packed_bytes and _same_bytes(
        first, second, max_bytes, raw=True
    ):
        return True
    return _same_bytes(first, second, max_bytes, raw=False)


def _same_bytes(first: Member, second: Member, max_bytes: int, *, raw: bool) -> bool:
    with (
        first.reading(raw=raw) as opened,
        second.reading(raw=raw) as other,
    ):
        for _ in range(max_bytes // _BLOCK_BYTES + 1):
            block = opened.read(_BLOCK_BYTES)
            if block != other.read(_BLOCK_BYTES):
                return False
            if not block:
                return True
    return True  # as far as any file is read: verifying it will tell


def _unlike(pairs: list[tuple[Member, Member]]) -> ForeignArchive:
    named = "; ".join(f"{file.place!r} and {other.place!r}" for file, other in pairs[:_NAMED])
    more = f"; and {len(pairs) - _NAMED:,} more pairs" if len(pairs) > _NAMED else ""
    return ForeignArchive(
        f"{pairs[0][0].store.origin} holds files of the same part with different content, "
        f"{count(len(pairs), 'pair')}: {named}{more}.",
        remedy="Keep the right one of each pair.",
    )
