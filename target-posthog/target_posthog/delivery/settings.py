"""What the user decides about the delivery."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from target_posthog.capture.batches import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

Historical = Literal["true", "false", "auto"]

#: Parallel requests at most. Four make up for a response of 200 ms at a core's full speed; each
#: keeps its events in memory until it is answered.
MAX_LANES = 4


@dataclass(frozen=True)
class DeliverySettings:
    """See the settings of the same names."""

    historical_migration: Historical
    limits: Limits
    max_reject_ratio: float
    max_lanes: int = MAX_LANES

    @classmethod
    def of(cls, config: Mapping[str, Any], **changes: Any) -> DeliverySettings:
        """Return the settings as the user gave them, but for what is named."""
        limits = Limits(config["max_batch_events"], config["max_batch_bytes"])
        given = cls(
            historical_migration=config["historical_migration"],
            limits=limits.at_rate(config.get("max_events_per_second")),
            max_reject_ratio=config["max_reject_ratio"],
        )
        return replace(given, **changes)
