"""What of the settings decides which questions can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_amplitude.common.checked_settings import Given

#: Settings without which Amplitude cannot be asked.
_KEYS = ("api_key", "secret_key")
#: Settings without which nobody knows which hours to ask for.
_DATES = ("start_date", "end_date")


def has_keys(given: Given) -> bool:
    """Return True if Amplitude can be asked."""
    are_set = all(given.config.get(name) for name in _KEYS)
    return are_set and not given.is_wrong(*_KEYS, "api_url", "region")


def has_dates(given: Given) -> bool:
    """Return True if the range is known; exported files need no dates."""
    begins = given.config.get("start_date") or given.config.get("archive_path")
    return bool(begins) and not given.is_wrong(*_DATES)
