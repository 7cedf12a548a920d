"""What a tap tells of a range of hours, as `tap-amplitude --estimate` writes it. Pure.

Any program may write it: the target needs no tap to read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard, TypeVar

from target_posthog.errors import FixConfiguration

_VERSION = 1
#: Of hours, bytes and events.
_MOST = 2**63
_Kind = TypeVar("_Kind")
_REMEDY = "Give the file that `tap-amplitude --estimate` wrote."


@dataclass(frozen=True)
class Sample:
    """An hour that stands for others.

    Attributes:
        packed_bytes: What all of its files weigh.
        read_bytes: What of that was read, packed.
        rows: The events in what was read.
        unpacked_bytes: What they weigh unpacked; None when nobody knows.
        seconds: How long the source took; None when nobody knows.
    """

    packed_bytes: int
    read_bytes: int
    rows: int
    unpacked_bytes: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Weights:
    """What is known of a range of hours.

    Attributes:
        source: Where the numbers come from: `api`, `archive` or `book`.
        place: Which one, as it may be shown.
        first, end: The first hour, and the first one after the range, `2024-01-31T05:00:00Z`.
        young_hours: Of them, those of the last 48 hours.
        samples: Hours that stand for all.
        packed_bytes: What all of them weigh, where a listing tells.
        requests: Requests to the source; None when nobody knows.
        parallel: How many of them run at once.
        spool_bytes: What the tap may keep on the disk at once; None when nobody knows.
    """

    source: str
    place: str
    first: str
    end: str
    hours: int
    young_hours: int
    samples: tuple[Sample, ...]
    packed_bytes: int | None = None
    requests: int | None = None
    parallel: int = 1
    spool_bytes: int | None = None

    @property
    def tells_nothing(self) -> bool:
        """Whether there are other hours, and those that stand for them have no event."""
        return len(self.samples) < self.hours and not any(sample.rows for sample in self.samples)


class _Unreadable(Exception):
    """A part is missing, or is not what it has to be."""


def read_weights(text: str) -> Weights:
    """Read the JSON that a tap wrote.

    Raises:
        FixConfiguration: It is not that.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise FixConfiguration("The estimate of the tap is not JSON.", _REMEDY) from None
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise FixConfiguration(
            f"The estimate of the tap is not one of version {_VERSION}.", _REMEDY
        )
    try:
        return _weights(content)
    except _Unreadable as error:
        raise FixConfiguration(f"The estimate of the tap lacks `{error}`.", _REMEDY) from None


def _weights(content: dict[str, Any]) -> Weights:
    listed = content.get("listed")
    weights = Weights(
        source=_part(content, "source", str),
        place=_part(content, "place", str),
        first=_hour(content, "first_hour"),
        end=_hour(content, "end_hour"),
        hours=_number(content, "hours", least=1),
        young_hours=_number(content, "hours_under_48_h"),
        samples=tuple(map(_sample, _part(content, "samples", list))),
        packed_bytes=_number(listed, "packed_bytes") if isinstance(listed, dict) else None,
        requests=_number(content, "requests"),
        parallel=_number(content, "parallel", least=1),
        spool_bytes=_number(content, "spool_bytes"),
    )
    if not weights.samples:
        raise _Unreadable("samples")
    return weights


def _sample(content: Any) -> Sample:
    read = content.get("read") if isinstance(content, dict) else None
    if not isinstance(read, dict):
        raise _Unreadable("read")
    seconds = content.get("seconds")
    return Sample(
        packed_bytes=_number(content, "packed_bytes"),
        read_bytes=_number(read, "packed_bytes"),
        rows=_number(read, "rows"),
        unpacked_bytes=_number(read, "unpacked_bytes"),
        seconds=float(seconds) if _is_number(seconds) and seconds >= 0 else None,
    )


def _number(content: dict[str, Any], name: str, least: int = 0) -> int:
    value = content.get(name)
    # Not so that NaN passes.
    if not _is_number(value) or not least <= value < _MOST:
        raise _Unreadable(name)
    return int(value)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _part(content: dict[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    value = content.get(name)
    if not isinstance(value, kind):
        raise _Unreadable(name)
    return value


def _hour(content: dict[str, Any], name: str) -> str:
    text = _part(content, name, str)
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - only looked at
    except ValueError:
        raise _Unreadable(name) from None
    return text
