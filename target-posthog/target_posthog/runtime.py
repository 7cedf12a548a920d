"""What a run has open: the ledger, the way to PostHog, the rejects, the delivery.

The same for the target, for its preview and for `target-posthog-replay`.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from target_posthog.books.table import Book
from target_posthog.capture.client import CaptureApi
from target_posthog.capture.key_check import AfterKeyCheck, KeyCheck
from target_posthog.capture.preview import PreviewFile
from target_posthog.capture.protocols import wire_of
from target_posthog.capture.rate_limit import RateLimiter
from target_posthog.delivery.delivery import Delivery
from target_posthog.delivery.free_order import FreeOrder
from target_posthog.delivery.requests import InlineRequests, ThreadedRequests
from target_posthog.delivery.settings import DeliverySettings
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.process_locks import lock_of
from target_posthog.identity.range_lock import RangeLock
from target_posthog.identity.resolver import IdentityResolver
from target_posthog.identity.shared_rate_limit import SharedRateLimiter
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_posthog.books.lines import Line, Unit
    from target_posthog.capture.rate_limit import RateLimit
    from target_posthog.delivery.requests import InFlight
    from target_posthog.identity.process_locks import ProcessLock
    from target_posthog.rejects.writer import Rejects
    from target_posthog.settings import Settings

logger = logging.getLogger("target-posthog")


class Runtime:
    """Opens what the settings ask for.

    Args:
        open_rejects: opens the rejects of a run that began at this time.
        open_preview: opens the preview in a folder, of a run that began at this time.
        state_id: of the range that the run moves, of which there is one run at a time.

    Attributes:
        preview: the file of a preview; None when events are sent.
        free_order: what this run has to do with a people pass.
        ledger: what was sent before, of people and groups.
        links: decides which links PostHog must have.
        book: what became of each hour; a preview writes nothing into it.
        rate_limit: holds requests back to the agreed speed.
        in_flight: carries the requests.

    Raises:
        TargetPosthogError: something cannot be opened.
    """

    def __init__(
        self,
        settings: Settings,
        program: str,
        *,
        open_rejects: Callable[[datetime], Rejects],
        open_preview: Callable[[Path, datetime], PreviewFile] = PreviewFile,
        state_id: str = "",
    ) -> None:
        started = datetime.now(timezone.utc)
        api_key = api_key_of(settings)
        self.preview: PreviewFile | None = None
        self._scratch: Path | None = None
        ledger_url = settings.ledger_url
        if settings.preview_path:
            self._scratch = Path(tempfile.mkdtemp(prefix="target-posthog-"))
            atexit.register(shutil.rmtree, self._scratch, ignore_errors=True)
            ledger_url = f"sqlite:///{self._scratch}/ledger.db"
            self.preview = open_preview(Path(settings.preview_path), started)
            self.preview.begin()
        self.ledger = Ledger(ledger_url, api_key)
        # A preview sends nothing, and its ledger is its own.
        self._range_lock = RangeLock(self.ledger, "" if self.preview else state_id)
        atexit.register(self._range_lock.close)
        is_preview = self.preview is not None
        self.free_order = FreeOrder(settings, self.ledger, program, is_preview=is_preview)
        self.rate_limit = _rate_limit(self.ledger, settings.max_events_per_second)
        self._key_check: KeyCheck | None = None
        if self.sends and settings.check_api_key:
            self._key_check = KeyCheck.of(settings, api_key, program)
            self.rate_limit = AfterKeyCheck(self._key_check, self.rate_limit)
        self.wire = wire_of(settings.protocol, api_key, program)
        self._transport = self.preview or CaptureApi.of(
            settings, self.wire, api_key=api_key, user_agent=program, rate_limit=self.rate_limit
        )
        self.book = Book(self.ledger, uuid.uuid4().hex, _utc_now)
        self.links = IdentityResolver(self.ledger, settings.identity_events)
        self.rejects = open_rejects(started)
        # Its own, so nobody else has it: a replay leaves the objects of a run alone that goes on.
        self._rejects_lock = self.lock_of_rejects(self.rejects.remote_name)
        if self._rejects_lock is not None:
            self._rejects_lock.take()
        requests = ThreadedRequests if self.preview is None else InlineRequests
        self.in_flight: InFlight = requests(self._transport)
        self.delivery = Delivery(
            # A preview keeps the order, whatever the disk does.
            DeliverySettings.of(settings, **({"max_lanes": 1} if self.preview else {})),
            wire=self.wire,
            in_flight=self.in_flight,
            links=self.links,
            rejects=self.rejects,
            utc_now=_utc_now,
            write_book=self._write_book,
            run=self.book.run if self.sends else "",
            stage_of=self.free_order.stage,
        )

    def lock_of_rejects(self, remote_name: str) -> ProcessLock | None:
        """Return the lock of the rejects that a run keeps in a bucket, not taken.

        `remote_name` is what the names of its objects begin with; empty if it keeps none there.
        """
        return lock_of(self.ledger, remote_name, kind="rejects") if remote_name else None

    def begin(self, *, goes_on: bool) -> None:
        """See whether the ledger knows what was sent before.

        `goes_on`: the run goes on from the state of an earlier one.
        """
        self.free_order.begin()
        if not self.sends:
            return
        ledger = self.ledger.begin(goes_on=goes_on)
        if not ledger.is_complete:
            self.links.defer_links()
        if ledger.is_first and not ledger.is_complete:
            logger.warning(
                "An earlier run had another ledger than the one at `ledger_url`. Links that it "
                "sent are sent again, each after its record, so that no device joins two users. "
                "Keep the ledger between runs."
            )

    @property
    def sends(self) -> bool:
        """Whether events are sent: not by a preview, nor by a run that collects a people pass."""
        return self.preview is None and self.free_order.collection is None

    @property
    def trial(self) -> str | None:
        """What a run does that sends nothing; None of one that sends."""
        return None if self.sends else "preview" if self.preview is not None else "collect"

    @property
    def _write_book(self) -> Callable[[list[tuple[Unit, Line]]], object] | None:
        collection = self.free_order.collection
        if collection is not None:
            return collection.write
        return self.book.write if self.sends else None

    def finish_book(self) -> None:
        """Write down what no state stands behind, at the end of the input; all is delivered."""
        if self.free_order.collection is not None:
            self.free_order.collection.flush()
        else:
            self.delivery.finish_book()

    def close(self) -> None:
        """Close files and connections; what is under way is not waited for."""
        if self._key_check is not None:
            self._key_check.close()
        self.in_flight.close()
        self._transport.close()
        self.rejects.close()
        if self._rejects_lock is not None:
            self._rejects_lock.close()
        self._range_lock.close()
        self.ledger.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def _rate_limit(ledger: Ledger, rate: float | None) -> RateLimit:
    if rate is not None and ledger.is_shared:
        return SharedRateLimiter(ledger, rate)
    return RateLimiter(rate)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)
