"""What the user decides about the delivery."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from target_posthog.capture.batches import Limits

if TYPE_CHECKING:
    from target_posthog.settings import Historical, Settings

#: Parallel requests at most. Eight make up for a response of 100 ms at the full speed of two cores;
#: each keeps its events in memory until it is answered, but not their bodies or lines.
MAX_LANES = 8


@dataclass(frozen=True)
class DeliverySettings:
    """See the settings of the same names."""

    historical_migration: Historical
    limits: Limits
    max_reject_ratio: float
    max_lanes: int = MAX_LANES

    @classmethod
    def of(cls, settings: Settings, **changes: Any) -> DeliverySettings:
        """Return the settings as the user gave them, but for what is named."""
        limits = Limits(settings.max_batch_events, settings.max_batch_bytes)
        given = cls(
            historical_migration=settings.historical_migration,
            limits=limits.at_rate(settings.max_events_per_second),
            max_reject_ratio=settings.max_reject_ratio,
        )
        return replace(given, **changes)
