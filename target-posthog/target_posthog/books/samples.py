"""Whether records of an hour came again, or are more of it: seen by a few of their ids. Pure.

A tap says which hour is out, not of how many files: a part of an hour that came late is a run of
its own. Read again, an hour has every record of before; a late part has none of them. So a few
records tell: those whose ids have the lowest check sums, the same ones in any run. Of a part in
which no record became an event, its records tell as they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias
from zlib import crc32

from target_posthog.json_codec import dumps
from target_posthog.model import StreamLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: More would only make it less likely that two parts share a check sum by chance.
_SIZE = 32

#: The lowest check sums of a set of ids, in order.
Sample: TypeAlias = "tuple[int, ...]"
#: `again`: the set as it is now. `part`: only records of before. `more`: none of them.
Relation: TypeAlias = Literal["again", "part", "more"]


class Samples(NamedTuple):
    """A few of the records of an hour.

    Attributes:
        events: of those that became events, by their uuids.
        others: of those that were skipped or rejected, by themselves: many have no uuid.
    """

    events: Sample = ()
    others: Sample = ()


def check_of(record: Any) -> int:
    """Return what tells a record from others: the check sum of its JSON, or of its text."""
    if isinstance(record, StreamLine):
        record = record.line
    if isinstance(record, str):
        record = record.encode("utf-8", "surrogatepass")
    return crc32(record.rstrip(b"\r\n") if isinstance(record, bytes) else dumps(record))


def with_one_more(sample: Sample, number: int) -> Sample:
    """Return a sample with a check sum, if that is one of the lowest."""
    if len(sample) == _SIZE and number >= sample[-1]:
        return sample
    return joined(sample, (number,))


def sample_of(uuids: Iterable[str]) -> Sample:
    """Return the sample of some ids."""
    # Without a step of Python for each: nearly all events come this way.
    return tuple(sorted(set(map(crc32, map(str.encode, uuids))))[:_SIZE])


def joined(one: Sample, other: Sample) -> Sample:
    """Return the sample of two sets together."""
    return tuple(sorted({*one, *other})[:_SIZE])


def relation_between(before: Samples, now: Samples, *, is_less: bool) -> Relation:
    """Return what records are to those that the book has of the same hour.

    `is_less`: there are fewer records now, events or not.
    """
    if now.events or not now.others:
        return relation_of(before.events, now.events, is_less=is_less)
    if not before.events:
        return relation_of(before.others, now.others, is_less=is_less)
    if not is_less:
        return "again"
    is_part = relation_of(before.others, now.others, is_less=True) == "part"
    return "part" if before.others and is_part else "more"


def relation_of(before: Sample, now: Sample, *, is_less: bool) -> Relation:
    """Return the same of samples of one kind."""
    if not before:
        return "again"
    if not now:
        return "more" if is_less else "again"
    # Both samples are whole up to the lower of their ends.
    end = min(_end_of(before), _end_of(now))
    earlier, these = ({check for check in sample if check <= end} for sample in (before, now))
    # Nearly all or nearly none: a row can lie in two parts.
    common = 2 * len(earlier & these)
    if is_less and common >= len(these) > 0:
        return "part"
    return "again" if common >= len(earlier) > 0 else "more"


def _end_of(sample: Sequence[int]) -> float:
    return sample[-1] if len(sample) == _SIZE else float("inf")
