"""What Amplitude's clock says of hours and days that this machine's takes for finished. Pure."""

from __future__ import annotations

from datetime import timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from tap_amplitude.errors import FixConfiguration

if TYPE_CHECKING:
    from datetime import datetime

#: By how much the two clocks may differ: a run that begins with the hour must not stop for seconds.
_TOLERANCE = timedelta(minutes=10)


def refuse_unfinished(what: str, finished: datetime, date: str | None) -> None:
    """Refuse the response to hours or days that were not finished when it was made.

    An hour that is asked for too early looks like one without events, or has a part of them.

    Args:
        what: What was asked for.
        finished: When Amplitude has finished it.
        date: The response's header `Date` (RFC 9110 §6.6.1); one that cannot be read says nothing.

    Raises:
        FixConfiguration: This machine's clock is ahead.
    """
    try:
        now = parsedate_to_datetime(date or "")
        now = now.replace(tzinfo=now.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (TypeError, ValueError, OverflowError, IndexError):
        # Each Python refuses dates that it cannot read or count in its own way.
        return
    if now < finished - _TOLERANCE:
        raise FixConfiguration(
            f"The clock of this machine is ahead of Amplitude's, which says {now:%Y-%m-%dT%H:%MZ}: "
            f"Amplitude has not finished {what} yet.",
            remedy="Set the clock (time, date and time zone), and run the same command again.",
        )
