"""What can stop a run, grouped by what the user does about it.

TargetPosthogError
 ├─ FixConfiguration    exit 2: a setting, a key or an address is wrong; nothing was sent with it
 ├─ RunAgain            exit 1: something outside failed; state is saved, run again
 ├─ BrokenInput         exit 1: the tap wrote what is not Singer; state is saved, mend the tap
 └─ TooManyRejects      exit 3: rejects passed the limit; look at the rejects before going on
"""

from __future__ import annotations

from typing import ClassVar

STATE_IS_SAVED = "All records up to the last state are delivered; the others will be read again."


class TargetPosthogError(Exception):
    """A failure that the user can do something about.

    Args:
        happened: what happened, in one sentence, without secrets and record contents.
        remedy: what to do next, in one sentence.
    """

    exit_code: ClassVar[int] = 1
    saved: ClassVar[str] = STATE_IS_SAVED

    def __init__(self, happened: str, remedy: str) -> None:
        super().__init__(" ".join(filter(None, (happened, self.saved, remedy))))
        self.happened = happened
        self.remedy = remedy


class FixConfiguration(TargetPosthogError):
    """A setting, a key or an address is wrong."""

    exit_code = 2
    saved = ""


class RunAgain(TargetPosthogError):
    """PostHog, the network, the disk or the ledger failed; the next run goes on from here."""


class BrokenInput(TargetPosthogError):
    """Standard input is not a Singer stream."""


class TooManyRejects(TargetPosthogError):
    """More records were rejected than `max_reject_ratio` allows."""

    exit_code = 3
