"""What a worker has of the target's: its links, rejects, pace and log, over pipes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from typing_extensions import override

from target_posthog.memory import Recent
from target_posthog.sightings import News, Sighting
from target_posthog.worker_messages import Ask, Channel, NotTold, Reject, Said, Told, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_posthog.conversion import GroupState, Json, Link, Rejected

#: How long an answer may take before the worker sees to its older requests meanwhile. Seconds.
_SOON = 0.02
#: How many people are known to be known, at some 200 bytes each.
_REMEMBERED = 50_000


class AskedLinks:
    """`links.Links` in the target; what was asked before is not asked again.

    Args:
        main: to the target.
        before_wait: called before the answer is waited for.
    """

    def __init__(self, main: Channel, before_wait: Callable[[], None]) -> None:
        self._main = main
        self._before_wait = before_wait
        self._known: Recent[tuple[str | None, str | None], bool] = Recent(_REMEMBERED)
        self._is_asked = False

    def ask(self, sightings: Sequence[Sighting]) -> None:
        """Ask the target for what this worker has not asked yet."""
        new = [
            seen
            for seen in sightings
            if seen.groups or seen.joins or self._known.get(_who(seen)) is None
        ]
        self._is_asked = bool(new)
        if new:
            self._known.put({_who(seen): True for seen in new})
            self._main.send(Ask(new))

    def answer(self, *, wait: bool) -> News | None:
        """Return what the target said to it."""
        if not self._is_asked:
            return News()
        if not self._main.has_news(_SOON if wait else 0):
            if not wait:
                return None
            self._before_wait()
        self._is_asked = False
        answer: News = self._main.receive()
        return answer

    def accept(self, links: Sequence[Link], groups: Sequence[GroupState]) -> None:
        """Have it remembered that PostHog took links and group states."""
        self._main.send(Told(links, groups))

    def refuse(self, links: Sequence[Link]) -> None:
        """Have it remembered that PostHog refused links."""
        self._main.send(NotTold(links))


class SentRejects:
    """`rejects.Rejects` in the target."""

    place = ""

    def __init__(self, main: Channel) -> None:
        self._main = main

    def write(self, rejected: Rejected, stage: str, record: Json | str) -> None:
        """Have a record written down."""
        self._main.send(Reject(rejected, stage, record))

    def save(self) -> None:
        """Do nothing: the target saves before it writes a state."""


class AskedTurns:
    """`pace.Pace` in the target, which also knows which job may send."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.job = 0

    def wait(self, events: int, *, stopped: Callable[[], bool] = lambda: False) -> None:
        """Return when so many events may go."""
        if not stopped():
            self._channel.ask(Turn(self.job, events))


class _SaidByPipe(logging.Handler):
    """Sends what is logged to the target, which writes the one log."""

    def __init__(self, main: Channel) -> None:
        super().__init__()
        self._main = main

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._main.send(Said(record.name, record.levelno, record.getMessage()))


def log_to(main: Channel) -> None:
    """Send everything that is logged to the target."""
    root = logging.getLogger()
    root.handlers = [_SaidByPipe(main)]
    for name in list(root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True


def _who(seen: Sighting) -> tuple[str | None, str | None]:
    return seen.user, None if seen.link is None else seen.link.device_id
