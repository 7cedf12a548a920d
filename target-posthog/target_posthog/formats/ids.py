"""Ids in any tap's record: whom they name, and what is no id at all.

The first that holds something counts. What names nobody (`null`, blank, on a list of
`amplitude.identity`) holds nothing. What is no id, such as an object, rejects its record: the next
field may be somebody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.formats.selectors import object_in
from target_posthog.model import Rejected, is_empty
from target_posthog.posthog.people import legal_id, stored_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.formats.selectors import Candidate, Source


class UnfitError(Exception):
    """A record cannot be an event, for this reason."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected.code)
        self.rejected = rejected


def first_id(source: Source, record: Mapping[str, Any]) -> tuple[str, Candidate] | None:
    """Return the first legal id that a source finds in a record, and the candidate that held it.

    Raises:
        UnfitError: what comes before it is no id.
    """
    for candidate, read in source.readers:
        value = read(record)
        if value or not is_empty(value):
            _check(candidate, value, "no_distinct_id")
            found = legal_id(value)
            if found is not None:
                return found, candidate
    return None


def all_ids(source: Source, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return each legal id that a source finds in a record; a field may hold a list of them.

    Raises:
        UnfitError: it holds what is no id.
    """
    ids: dict[str, None] = {}
    for candidate, value in source.found(record):
        for item in _each(value):
            _check(candidate, item, "bad_event")
            found = legal_id(item)
            if found is not None:
                ids[found] = None
    return tuple(ids)


def group_key(source: Source, record: Mapping[str, Any]) -> str | None:
    """Return the key of the group that a source finds in a record.

    Raises:
        UnfitError: what comes before it is no key.
    """
    for candidate, value in source.found(record):
        _check(candidate, value, "bad_event")
        found = stored_id(value)
        if found is not None and found.strip():
            return found
    return None


def described(candidate: Candidate) -> str:
    """Return how the reason of a rejection speaks of a candidate."""
    return f"`{candidate}`" if isinstance(candidate, str) else "The constant"


def _each(value: Any) -> Iterator[Any]:
    value = object_in(value)
    yield from value if isinstance(value, list) else (value,)


def _check(candidate: Candidate, value: Any, code: str) -> None:
    if isinstance(value, (dict, list)):
        reason = f"{described(candidate)} is not an id: neither a text nor a number."
        raise UnfitError(Rejected(code, reason))
