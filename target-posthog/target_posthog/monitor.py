"""What a run tells while it goes on and at its end, from its counts."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

from target_posthog.capture.hosts import ingestion_host, without_credentials
from target_posthog.input.tap_end import TapEnd
from target_posthog.progress.bar import Bar
from target_posthog.progress.counts import Hours, Progress
from target_posthog.progress.end_of_run import (
    block_of,
    next_step,
    outcome_in_words,
    stopped_block_of,
)
from target_posthog.progress.speed import Speed
from target_posthog.progress.waiting import AGREED_SPEED, LEDGER, POSTHOG, Waits

if TYPE_CHECKING:
    from target_posthog.capture.preview import PreviewFile
    from target_posthog.delivery.delivery import Delivery
    from target_posthog.model import Json
    from target_posthog.progress.summary import Summary
    from target_posthog.runtime import Runtime
    from target_posthog.settings import Settings

logger = logging.getLogger("target-posthog")


class Monitor:
    """Tells of one run, in the log and in its summary.

    Args:
        summary: of this process; None when the run has none.

    Attributes:
        counts: one number per fate of a record.
        next_step: what to do next, once the run came to its end.
        waits: whom the run waits for.
    """

    def __init__(self, runtime: Runtime, settings: Settings, summary: Summary | None) -> None:
        self.counts = runtime.delivery.counts
        self.next_step = ""
        self._delivery: Delivery = runtime.delivery
        self._project = runtime.book.project
        self._preview = runtime.preview
        self._is_preview = runtime.preview is not None
        self._sends = runtime.sends
        self._unsent_hours = runtime.free_order.unsent_hours
        self._rejects = runtime.rejects
        host = ingestion_host(settings.host)
        #: Where the events go, as it may be shown.
        self._destination = settings.preview_path or without_credentials(host)
        self._summary = summary
        self._started = time.monotonic()
        self._progress = Progress(self._started)
        self._speed = Speed(self._started)
        self._rate_limit = runtime.rate_limit
        self._ledger = runtime.ledger
        self.waits = Waits(self._started)
        self._waits_for = ""
        self._bar: Bar | None = None
        self._had_bar = False
        self._has_ended = False
        self._tap_end = TapEnd(is_good=None)
        #: The last state that was written, in words.
        self._state: str | None = None
        if summary is not None:
            summary.run = runtime.book.run
            summary.progress = self
            summary.begin()

    def reached(self, state: Any) -> None:
        """Take in a STATE of the tap before which everything is delivered."""
        self._progress.reached(state, self._delivery.fates.book.earliest)

    def wrote(self, state: Any) -> None:
        """Take in a state that was written."""
        hours = Hours.of_state(state)
        self._state = (
            "the next run goes on behind what it covers."
            if hours is None
            else f"the export hours before {hours.next_hour:%Y-%m-%dT%HZ} are done."
        )

    def look(self, now: float, *, stalled: float) -> None:
        """Say how far the run is, if it is time.

        `now` is of `time.monotonic`; for `stalled` see `Progress.text`.
        """
        if now >= self._speed.next:
            self._speed.take(now, self.counts, self._progress.hour)
            if self._bar is None and not self._had_bar:
                self._bar, self._had_bar = Bar.of_terminal(), True
        is_due = self._progress.is_due(now)
        if is_due:
            self._waits_for = self._longest_wait(now)
        if self._bar is not None and now >= self._bar.next:
            self._bar.show(now, self._progress.share, self._text(now, stalled))
        if is_due:
            if self._bar is None:
                logger.info(self._text(now, stalled))
            if self._summary is not None:
                self._summary.go_on()

    def _text(self, now: float, stalled: float) -> str:
        return self._progress.text(now, self.counts, stalled=stalled, waits_for=self._waits_for)

    def _longest_wait(self, now: float) -> str:
        """Return whom the run waited for since the last line."""
        self.waits.note(POSTHOG, self._delivery.dispatcher.waited)
        self.waits.note(AGREED_SPEED, self._rate_limit.waited)
        self.waits.note(LEDGER, self._ledger.waited)
        return self.waits.longest(now)

    def stop(self) -> None:
        """Say what the run had come to, if it did not come to its end."""
        self.close()
        if self._has_ended or not self.counts.exported:
            return
        block = stopped_block_of(
            self.counts,
            seconds=time.monotonic() - self._started,
            destination=self._destination,
            is_preview=self._is_preview,
            state=self._state,
        )
        log_lines(block)

    def close(self) -> None:
        """Take the bar away: what is said now is the end."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def finish(self, tap_end: TapEnd) -> None:
        """Say what the run came to, at the end of the input."""
        self.close()
        self._has_ended = True
        self._tap_end = tap_end
        seconds = time.monotonic() - self._started
        collects = not self._sends and not self._is_preview
        outcome = outcome_in_words(
            self.counts, self._destination, is_preview=self._is_preview, collects=collects
        )
        log_lines(block_of(self.counts, seconds=seconds, destination=outcome, early=tap_end.doubt))
        self.next_step = next_step(
            self.counts,
            os.environ,
            rejects=self._rejects.place,
            is_preview=self._is_preview,
            early=tap_end.doubt,
            may_have_ended=tap_end.is_good is None,
            collects=collects,
            unsent=self._unsent_hours(),
        )
        if self._preview is not None:
            _tell_of_others(self._preview)

    def say_next_step(self) -> None:
        """Say what to do next: the last line of a run that came to its end."""
        logger.info("Next: %s", self.next_step)

    def as_json(self) -> Json:
        """Return what is known of the run for its summary, besides its counts."""
        self._speed.take(time.monotonic(), self.counts, self._progress.hour)
        has_rejects = self.counts.rejected or self.counts.added_rejected
        return {
            "project": self._project,
            "destination": self._destination,
            "is_preview": self._is_preview,
            "rejects": self._rejects.place if has_rejects else None,
            "hours": self._progress.range_as_json(),
            "tap_ended": self._tap_end.is_good,
            "tap_end": self._tap_end.doubt,
            "speed": self._speed.as_json(),
        }


def _tell_of_others(preview: PreviewFile) -> None:
    for folder in preview.earlier:
        logger.info("The preview that was here before is now in %s.", folder)
    if others := preview.count_others():
        logger.warning(
            "Files of other previews in this folder: %d, which could not be moved or are still "
            "written. This run's is %s; summary.json tells of it alone.",
            others,
            preview.path,
        )


def log_lines(block: str) -> None:
    """Log a block line by line, each with its head."""
    for line in block.splitlines():
        logger.info(line)
