"""What a delivery is given: the user's decisions, whom it asks for links, where rejects go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from target_posthog.capture.batches import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.model import Json, Rejected

Historical = Literal["true", "false", "auto"]

#: Requests side by side at most. Four make up for an answer of 200 ms at a core's full speed; each
#: keeps its events in memory until it is answered.
MAX_LANES = 4


class RejectsFile(Protocol):
    """Where refused records go: `rejects.Rejects`."""

    @property
    def place(self) -> str:
        """Where it is, for messages."""

    def write(self, rejected: Rejected, stage: str, record: Json | str) -> None:
        """Append one record, or the text of a line that is none."""

    def save(self) -> None:
        """Bring every line to the disk."""


@dataclass(frozen=True)
class DeliverySettings:
    """What the user decides about the delivery; see the settings of the same names."""

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
