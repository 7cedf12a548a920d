"""What PostHog is asked, in HogQL. Pure.

Two traps of HogQL are gone around: `timestamp` is shown in the project's time zone, and a property
that PostHog took for a date is read as one, in that zone. Therefore days are taken in UTC by name,
and properties as the texts that they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from target_posthog.formats.names import PropertyNames

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_posthog.books.reconciled import Scope
    from target_posthog.settings import Settings

_UPLOADED = "server_upload_time"
_DAY = "substring(toString(toTimeZone(timestamp, 'UTC')), 1, 10)"
#: What every event of this migration says about itself (`posthog/library.py`); PostHog's managed
#: migration says it, too, and names its job.
_FROM_AMPLITUDE = "JSONExtractString(properties, 'analytics_source') = 'amplitude'"
_FROM_OTHER_TAPS = "JSONExtractString(properties, '$lib') = 'target-posthog'"
_IS_MANAGED = "JSONHas(properties, '$import_job_id')"
_ESCAPED = re.compile(r"[\\']")


@dataclass(frozen=True)
class Page:
    """A part of the time axis and of the names, of which PostHog is asked at once.

    Attributes:
        start: the first day, `2024-01-31`; empty for all before `end`.
        end: the day behind the last; empty for all from `start` on.
        first: the first name; empty for all before `last`.
        last: the name behind the last; empty for all from `first` on.
        days: the days in it that the book knows, in order.
    """

    start: str = ""
    end: str = ""
    first: str = ""
    last: str = ""
    days: Sequence[str] = ()

    @property
    def conditions(self) -> Iterable[str]:
        """Yield what is true of its events; ClickHouse finds them by these without a search."""
        if self.start:
            yield f"timestamp >= fromUnixTimestamp({_seconds(self.start)})"
        if self.end:
            yield f"timestamp < fromUnixTimestamp({_seconds(self.end)})"
        if self.first:
            yield f"event >= {text(self.first)}"
        if self.last:
            yield f"event < {text(self.last)}"


def hour_property(settings: Settings) -> str | None:
    """Return the property that tells an event's export hour; None when settings leave it out."""
    names = PropertyNames(settings.property_names, settings.skip_properties)
    renames = names.renames_for([_UPLOADED])
    if renames is None:
        return _UPLOADED
    return renames[0][1] if renames else None


def hourly_counts(page: Page, scope: Scope, uploaded: str) -> str:
    """Return the query of all events that have an export hour, by hour, day and name.

    Its rows are hour, day, event, events, rows.
    """
    hour = f"substring({_text_of(uploaded)}, 1, 13)"
    conditions = [_FROM_AMPLITUDE, _is_time(uploaded), *page.conditions, *_named(scope)]
    if scope.first:
        conditions.append(f"{hour} >= {text(scope.first)}")
    if scope.end:
        conditions.append(f"{hour} < {text(scope.end)}")
    return (
        f"SELECT {hour} AS export_hour, {_DAY} AS utc_day, event, uniqExact(uuid), count()\n"
        f"FROM events WHERE {' AND '.join(conditions)}\n"
        "GROUP BY export_hour, utc_day, event"
    )


def daily_counts(page: Page, scope: Scope, uploaded: str | None) -> str:
    """Return the query of all events that have no export hour, by day and name.

    Its rows are day, event, events and rows of this target, events and rows of all senders.
    `uploaded` is the property that tells the hour; None when no event has it.
    """
    is_ours = f"(({_FROM_AMPLITUDE} AND not({_IS_MANAGED})) OR {_FROM_OTHER_TAPS})"
    conditions = [*page.conditions, *_named(scope)]
    if uploaded is not None:
        conditions.append(f"not({_FROM_AMPLITUDE} AND {_is_time(uploaded)})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {_DAY} AS utc_day, event, uniqExactIf(uuid, {is_ours}), countIf({is_ours}),"
        f" uniqExact(uuid), count()\nFROM events{where}\nGROUP BY utc_day, event"
    )


def people_of(ids: Iterable[str]) -> str:
    """Return the query of the person that each id belongs to.

    The raw table: only there ClickHouse finds a few ids among millions by their place.
    """
    listed = ", ".join(map(text, ids))
    return (
        "SELECT distinct_id, toString(argMax(person_id, version)) FROM raw_person_distinct_ids\n"  # noqa: S608 - HogQL
        f"WHERE distinct_id IN ({listed})\n"
        "GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0"
    )


def text(value: str) -> str:
    """Return a text as HogQL writes it."""
    return f"'{_ESCAPED.sub(lambda found: chr(92) + found[0], value)}'"


def _text_of(name: str) -> str:
    """Return a field of Amplitude's, as the text that it is.

    Where a customer's own property has its name, it moved aside (`amplitude/convert.py`).
    """
    aside, own = text(f"$amplitude_{name}"), text(name)
    return (
        f"if(JSONHas(properties, {aside}), JSONExtractString(properties, {aside}),"
        f" JSONExtractString(properties, {own}))"
    )


def _is_time(name: str) -> str:
    """Return the condition that a field is there: a customer's property of its name may be."""
    return f"match({_text_of(name)}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:')"


def _named(scope: Scope) -> Iterable[str]:
    if scope.events:
        yield f"event IN ({', '.join(map(text, sorted(scope.events)))})"


def _seconds(day: str) -> int:
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc).timestamp())
