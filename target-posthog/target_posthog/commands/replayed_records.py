"""What becomes of each record of a replay, for the lines of the book that count them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from target_posthog.books.bookkeeper import Bookkeeper
from target_posthog.books.moves import Fate, Move
from target_posthog.model import Link
from target_posthog.rejects.book_places import number_of_added

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.books.counts import BlockCounts
    from target_posthog.books.lines import Kind, Unit
    from target_posthog.books.samples import Sample
    from target_posthog.model import GroupState
    from target_posthog.rejects.book_places import BookPlace
    from target_posthog.rejects.lines import AddedLine, RecordLine


class ReplayedRecords(Bookkeeper):
    """Hears what becomes of records, as a run's book does.

    A run counts by export hour. Here the place of an hour is taken by the number of the record that
    is being replayed: an event brings it back when PostHog has answered.

    Attributes:
        current: the record that is on its way to the delivery; None when the book counts it
            nowhere, as of a rejects file of an earlier version.
    """

    def __init__(self) -> None:
        super().__init__()
        #: Of what the events of ours that were sent tell, the first of each.
        self._telling: dict[Link | GroupState, Move | None] = {}
        self.current: Move | None = None
        self._moves: dict[str, Move] = {}

    def __len__(self) -> int:
        """Return how many records wait to be written down."""
        return len(self._moves)

    def begin(self, line: RecordLine) -> None:
        """Note which record comes next."""
        self.current = None
        if (place := line.place) is not None:
            was = Fate("rejected", line.code)
            if place.day:
                was = Fate("refused", line.code, place.day, place.event)
            self.current = self._moves[str(len(self._moves))] = Move(place, was)

    def begin_added(self, line: AddedLine, *, is_told: bool) -> None:
        """Note which event of ours comes next.

        Args:
            line: the event's.
            is_told: PostHog has heard of it by another one since.
        """
        self.current = None
        tells = line.event.tells
        if (place := line.place) is not None:
            told = Fate("link" if isinstance(tells, Link) else "group")
            move = Move(place, Fate("untold"), if_told=told)
            self.current = self._moves[str(len(self._moves))] = move
            if is_told:
                move.twin = self._telling.get(tells)
        if not is_told:
            self._telling.setdefault(tells, self.current)

    @property
    def origin(self) -> bytes:
        """What the event of the current record says as its origin; see `OutgoingEvent`."""
        return b"" if self.current is None else str(len(self._moves) - 1).encode()

    def take_off(self) -> list[Move]:
        """Return what became of the records so far: all their events are delivered."""
        moves = list(self._moves.values())
        for move in moves:
            if move.if_told is not None:
                is_told = move.fate is not None and move.fate.what == "accepted"
                move.fate = move.if_told if is_told else None
        self._moves.clear()
        self.current = None
        return moves

    @override
    def take(
        self, stream: str, counts: BlockCounts, samples: Mapping[bytes, Sample] | None = None
    ) -> None:
        for origin, day, name, _ in counts:
            if (move := self._moves.get(origin.decode())) is not None:
                # Until something else is heard.
                move.fate = Fate("accepted", "", day, name)

    @override
    def skip(self, unit: Unit, rule: str, check: int) -> None:
        if self.current is not None:
            self.current.fate = Fate("skipped", rule)

    @override
    def reject(self, unit: Unit, code: str, check: int) -> BookPlace | None:
        if self.current is None:
            return None
        self.current.fate = Fate("rejected", code)
        return self.current.place._replace(day="", event="")

    @override
    def refuse(self, unit: Unit, kind: Kind, code: str) -> BookPlace | None:
        if (move := self._moves.get(unit.hour)) is None:
            return None
        move.fate = Fate("refused", code, *kind)
        return move.place._replace(day=kind.day, event=kind.event)

    @override
    def refuse_added(self, unit: Unit, uuid: str) -> BookPlace | None:
        if (move := self._moves.get(unit.hour)) is None:
            return None
        return move.place._replace(number=number_of_added(uuid), day="", event="")

    @override
    def repeat(self, unit: Unit, kind: Kind) -> None:
        if (move := self._moves.get(unit.hour)) is not None:
            move.fate = Fate("skipped", "duplicate")

    @override
    def supersede(self, unit: Unit, kind: Kind) -> None:
        if (move := self._moves.get(unit.hour)) is not None:
            move.fate = Fate("superseded", "", *kind)

    @override
    def add_link(self, unit: Unit) -> None:
        if (move := self._moves.get(unit.hour)) is not None:
            move.links += 1

    @override
    def add_group(self, unit: Unit) -> None:
        if (move := self._moves.get(unit.hour)) is not None:
            move.groups += 1
