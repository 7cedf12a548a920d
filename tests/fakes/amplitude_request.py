"""Reads a request as the Export API does: its keys and its range of hours."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from tests.fakes import amplitude_answers as answers
from tests.fakes.amplitude_archive import HOUR

if TYPE_CHECKING:
    from tests.fakes.amplitude_answers import Answer

# Amplitude docs, Export API: "First hour included", formatted YYYYMMDDTHH. Published scripts
# that send T5 suggest that the service reads more than it documents: no client may lean on it.
_HOUR_FORM = re.compile(r"\d{8}T\d{2}", re.ASCII)
# Amplitude docs, Export API: "The max period you can query at once is 365 days."
_LONGEST_RANGE = timedelta(days=365)


def hours_of(query: str) -> tuple[datetime, datetime] | Answer:
    """Return `start` and `end` of a query, or the refusal of what is no hour."""
    values = parse_qs(query)
    hours = []
    # Amplitude docs, Export API, "Query parameters": both required. Others have no meaning.
    for name in ("start", "end"):
        hour = _hour(values.get(name, [""])[0])
        if hour is None:
            return answers.bad_range(f"{name} is required in the format YYYYMMDDTHH")
        hours.append(hour)
    return hours[0], hours[1]


def _hour(text: str) -> datetime | None:
    if not _HOUR_FORM.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%dT%H").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def keys_of(authorization: str | None) -> str | None:
    """Return "key:secret" of an HTTP Basic header, or None if there is none.

    Amplitude docs, Export API, "Authentication": HTTP Basic, `{api-key}:{secret-key}`.
    """
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic" or not credentials:
        return None
    try:
        return base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def range_refusal(first: datetime, last: datetime) -> Answer | None:
    """Return the 400 that a range of readable hours gets, or None if it may be asked for.

    Amplitude docs, Export API: both hours are included, so a day is T00 to T23. What the
    service says to a bad range is not recorded; no text here speaks of a size.
    """
    if last < first:
        return answers.bad_range("end is before start")
    if last - first + HOUR > _LONGEST_RANGE:
        return answers.bad_range("The period is longer than 365 days")
    return None
