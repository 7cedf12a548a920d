"""What a way moves: how it is made, and how its rows are known again in the sink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Input:
    """Rows that a way moves.

    Attributes:
        made: gives the file of so many rows; it is kept, and made only once.
        number: gives the number of the row that an event stands for. An event that stands for
            none, such as one that joins a device to its user, gets a number that no row has.
    """

    made: Callable[[int], Path]
    number: Callable[[Mapping[str, Any]], int]
