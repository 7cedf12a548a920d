"""What an engine knows of a migration, by variables of the environment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from migration.ranges import hour_of, ready_hours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: A day: enough events to be worth the start of a run, and few to wait for.
RANGE_HOURS = 24
#: Six attempts, each twice as long after the one before: half an hour. The plugins are patient with
#: PostHog and Amplitude themselves.
RETRIES, RETRY_SECONDS = 5, 60


class Order(Enum):
    """In which order hours go, by the target's own setting `free_order`.

    Attributes:
        ASCENDING: one after the other.
        COLLECT: in any; nothing is sent, but it is noted who is who.
        APPLY: in any, after all have been read by the round before.
    """

    ASCENDING = "none"
    COLLECT = "collect"
    APPLY = "apply"


class WrongSettings(Exception):
    """A variable is missing or cannot be meant; the text says which, and what to do."""


@dataclass(frozen=True)
class Settings:
    """A migration in ranges.

    Attributes:
        start: its first export hour.
        end: the hour behind its last one; None when it goes on for ever.
        range_hours: how many hours a range has at most.
        project: the folder of `meltano.yml`, in which Meltano runs.
        meltano: Meltano's command.
        work: where each range has a folder for its summaries and its lock.
        retry_seconds: how long an engine waits before it runs a range again that was stopped.
        order: in which order hours go.
    """

    start: datetime
    end: datetime | None = None
    range_hours: int = RANGE_HOURS
    project: Path = Path()
    meltano: str = "meltano"
    work: Path = Path(".meltano/ranges")
    retry_seconds: int = RETRY_SECONDS
    order: Order = Order.ASCENDING

    @classmethod
    def of(cls, variables: Mapping[str, str], now: datetime) -> Settings:
        """Read them from variables; those that are empty count as not set.

        Raises:
            WrongSettings: one is missing, or cannot be meant.
        """
        given = {name: value.strip() for name, value in variables.items() if value.strip()}
        start = _hour(given, "MIGRATION_START")
        if start is None:
            raise WrongSettings(
                "`MIGRATION_START` is not set. Give it the first export hour of the migration, "
                "such as `2023-01-01`."
            )
        end = _hour(given, "MIGRATION_END")
        if end is not None and end <= start:
            raise WrongSettings("`MIGRATION_END` must lie behind `MIGRATION_START`.")
        ready = ready_hours(start, now)
        if end is not None and (ready is None or end > ready.end):
            raise WrongSettings(
                "`MIGRATION_END` lies behind the last hour that Amplitude can export by now. Leave "
                "it out: each hour is moved when it is ready."
            )
        project = Path(given.get("MIGRATION_PROJECT", ".")).absolute()
        return cls(
            start,
            end,
            _positive(given, "MIGRATION_RANGE_HOURS", RANGE_HOURS),
            project,
            given.get("MIGRATION_MELTANO", "meltano"),
            project / given.get("MIGRATION_WORK", ".meltano/ranges"),
            _positive(given, "MIGRATION_RETRY_SECONDS", RETRY_SECONDS),
            _order(given),
        )


def _hour(given: Mapping[str, str], name: str) -> datetime | None:
    if name not in given:
        return None
    try:
        return hour_of(given[name])
    except ValueError as error:
        raise WrongSettings(f"`{name}`: {error}") from None


def _order(given: Mapping[str, str]) -> Order:
    name = "TARGET_POSTHOG_FREE_ORDER"
    try:
        return Order(given.get(name, Order.ASCENDING.value))
    except ValueError:
        raise WrongSettings(f"`{name}` must be `none`, `collect` or `apply`.") from None


def _positive(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not text.isdecimal() or not int(text):
        raise WrongSettings(f"`{name}` must be a whole number, at least 1.")
    return int(text)
