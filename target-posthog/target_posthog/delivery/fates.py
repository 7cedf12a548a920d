"""What became of every record: the counts, the rejects, and what PostHog knows of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.books.bookkeeper import Bookkeeper
from target_posthog.books.counts import kind_of, unit_of, unit_of_event
from target_posthog.books.samples import check_of
from target_posthog.delivery.kept_events import KeptEvents, fingerprints_of
from target_posthog.delivery.reject_limit import RejectLimit
from target_posthog.model import AddedEvent, BlockOfLines, Rejected, Skipped, whole_record
from target_posthog.progress.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.books.lines import Unit
    from target_posthog.capture.results import SendResult
    from target_posthog.delivery.lanes import Put
    from target_posthog.identity.resolver import IdentityResolver
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.rejects.book_places import BookPlace
    from target_posthog.rejects.writer import Rejects


class Fates:
    """Counts what becomes of records, and writes down the rejected ones.

    Args:
        max_reject_ratio: the share of rejects that a run may have.

    Attributes:
        limit: stops the run at too many rejects.
        book: the same counts by hour.
    """

    def __init__(
        self,
        rejects: Rejects,
        links: IdentityResolver,
        max_reject_ratio: float,
        *,
        run: str = "",
    ) -> None:
        self.counts = Counts()
        self.book = Bookkeeper(run)
        self._rejects = rejects
        self._links = links
        self.limit = RejectLimit(self.counts, rejects, max_reject_ratio)
        self._kept = KeptEvents()

    def take(
        self,
        outcome: Skipped | Rejected,
        record: Any,
        index: int,
        unit: Unit,
        check: int | None = None,
    ) -> None:
        """Take a record that is not sent.

        The worker knows the `check` of a record in a block of lines; see `samples.check_of`.

        Raises:
            TooManyRejects: see `RejectLimit.check`.
        """
        self.counts.exported += 1
        if check is None:
            # A preview has no book, and shows records in forms of its own.
            check = check_of(record) if self.book.is_written else 0
        if isinstance(outcome, Skipped):
            self.counts.skipped[outcome.rule] += 1
            self.book.skip(unit, outcome.rule, check)
        else:
            self._reject(outcome, record, index, self.book.reject(unit, outcome.code, check))
            self.limit.check()

    def take_unreadable(self, line: bytes, reason: str, stream: str) -> None:
        """Take a line that is not a record; it goes to the rejects as it is.

        Raises:
            TooManyRejects: see `RejectLimit.check`.
        """
        text = line.decode("utf-8", "backslashreplace")
        self.take(Rejected("bad_line", reason, "read"), text, 0, unit_of(stream, b""))

    def leave_out(self, item: OutgoingEvent, put: Put) -> None:
        """Count an event that was not new in its batch."""
        if put == "replaces":
            self._supersede(item)
        elif not item.is_derived:
            self.counts.skipped["duplicate"] += 1
            self.book.repeat(unit_of_event(item), kind_of(item))

    def accept(self, items: Sequence[OutgoingEvent], result: SendResult) -> None:
        """Write down what PostHog accepted of a batch, and what it dropped."""
        dropped = result.accepted.dropped
        if dropped or result.left:
            for item in items:
                if item.uuid in dropped:
                    self.refuse(item, dropped[item.uuid])
            others = dropped.keys() | {item.uuid for item in result.left}
            items = [item for item in items if item.uuid not in others]
        if telling := [item for item in items if item.is_derived or item.joins]:
            self._accept_links(telling)
            items = [item for item in items if not item.is_derived]
        # Of two versions of an event PostHog keeps one, the later.
        superseded = [items[place] for place in self._kept.repeats(fingerprints_of(items))]
        self.counts.accepted += len(items) - len(superseded)
        for item in superseded:
            self._supersede(item)
        self.counts.warned.update(result.accepted.warned.values())

    def refuse(self, item: OutgoingEvent, reason: str) -> None:
        """Write down an event that PostHog refused.

        What stands beside an event is delivered on its own: of an event that we added, only that
        one is lost.
        """
        rejected = Rejected("refused_by_posthog", f"PostHog answered {reason}", "send")
        if not item.is_derived:
            place = self.book.refuse(unit_of_event(item), kind_of(item), rejected.code)
            self._reject(rejected, item.record, item.index, place)
            return
        self.counts.added_rejected[rejected.code] += 1
        if item.link is not None:
            self._links.refuse([item.link])
        place = self.book.refuse_added(unit_of_event(item), item.uuid)
        self._rejects.write(rejected, AddedEvent(item.record, item.link or item.groups[0]), place)

    def _supersede(self, item: OutgoingEvent) -> None:
        self.counts.superseded += 1
        self.book.supersede(unit_of_event(item), kind_of(item))

    def save(self) -> None:
        """Bring every reject to the disk."""
        self._rejects.save()

    def _accept_links(self, items: Sequence[OutgoingEvent]) -> None:
        """Remember what events told PostHog of people and groups, and count those that we added."""
        links = [item.link for item in items if item.link is not None]
        derived = [item for item in items if item.is_derived]
        groups = [group for item in derived for group in item.groups]
        if links or groups:
            self._links.accept(links, groups)
        for item in derived:
            if item.link is not None:
                self.counts.links += 1
                self.book.add_link(unit_of_event(item))
            else:
                self.counts.groups += 1
                self.book.add_group(unit_of_event(item))

    def _reject(self, rejected: Rejected, record: Any, index: int, place: BookPlace | None) -> None:
        is_block = isinstance(record, BlockOfLines)
        whole = record.record(index) if is_block else whole_record(record)
        self._rejects.write(rejected, whole, place)
        self.counts.rejected[rejected.code] += 1
