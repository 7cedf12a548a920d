"""What is to be compared, and how. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_posthog.reconcile.questions import hour_property

if TYPE_CHECKING:
    from target_posthog.books.reconciled import Scope
    from target_posthog.settings import Settings


@dataclass(frozen=True)
class Wanted:
    """What is to be compared.

    Attributes:
        uploaded: the property that tells the export hour; None when no event has it.
        name_us: events of other taps name this target as their library. PostHog's own events keep
            the library that they name.
        people: how many links to look at.
        wait_seconds: how long to wait for what is missing.
    """

    scope: Scope
    uploaded: str | None
    name_us: bool
    people: int
    wait_seconds: float

    @classmethod
    def of(cls, settings: Settings, scope: Scope, *, people: int, wait_seconds: float) -> Wanted:
        """Return what a target with these settings has sent; see `Wanted`."""
        name_us = settings.source_format != "posthog"
        return cls(scope, hour_property(settings), name_us, people, wait_seconds)
