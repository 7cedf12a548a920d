"""What a signal does to a run: it ends it once, with one message and exit code 1.

An exception that a signal handler raises can come up anywhere. Where Python cannot pass it on, in
a destructor or in a callback of C code, it would be printed and forgotten, and the run would go
on. So it is raised again until the run ends. Where nothing is there yet to say it, or nothing is
left to stop, the handler ends the process itself.

Loaded before all else, so it loads little: until then a signal does what Python does with it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import contextmanager, suppress
from enum import Enum, auto

TYPE_CHECKING = False  # `typing` would take as long as all else here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

#: What ends a run.
STOP = (signal.SIGTERM, signal.SIGINT)
#: How long the end may take before it is asked for again, and how often that is. Seconds.
_AGAIN_SECONDS, _TIMES = 2.0, 5
#: The same when it is known that nobody heard. Seconds.
_SOON = 0.01
_STOPPED = 1
_PLUGIN = __name__.partition(".")[0].replace("_", "-")
_EARLY = _PLUGIN + ": Stopped by {name} before it did anything. Run again to go on.\n"
_LATE = _PLUGIN + ": Stopped by {name}. Run again to go on.\n"


class StoppedBySignal(BaseException):
    """The operating system, Meltano or the user ended the run.

    Attributes:
        saved: What is safe, as a sentence, where somebody on the way knows it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum
        self.saved = ""


class _Phase(Enum):
    #: Somebody else's program, such as a test, who sees to its signals.
    OTHERS = auto()
    STARTING = auto()
    RUNNING = auto()
    #: Why the run ends is being said.
    ENDING = auto()
    ENDED = auto()


class Signals:
    """The signals of this process; there is one of these, `SIGNALS`."""

    def __init__(self) -> None:
        self._phase = _Phase.OTHERS
        self._exit_code = _STOPPED
        self._is_stopping = False
        self._times_left = _TIMES
        self._is_deferring = False
        self._deferred: StoppedBySignal | None = None
        self._give_up: Callable[[str], object] = lambda _: None

    def listen(self) -> None:
        """Begin with the start of the program."""
        self._phase = _Phase.STARTING
        for signum in STOP:
            signal.signal(signum, self.handle)
        # What is registered first is done last, when there is nothing left to wait for. Python
        # would give the signals their default back, and a finished run would look killed.
        atexit.register(ignore_signals)

    def begin(self, give_up: Callable[[str], object] | None = None) -> None:
        """Note that `StoppedBySignal` is caught from now on.

        `give_up` is called with the signal's name when nobody hears it and the process ends as it
        stands.
        """
        self._phase = _Phase.RUNNING
        self._give_up = give_up or self._give_up
        sys.unraisablehook = self._unraisable

    def end(self) -> None:
        """Note that the run ends: signals change nothing until that is said."""
        self._phase = _Phase.ENDING
        _set_timer(0)

    def leave_with(self, exit_code: int) -> None:
        """Note that all is said: a signal may end the process, with this exit code."""
        self._exit_code = exit_code
        self._phase = _Phase.ENDED

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Have a stop wait for the end of what must not be cut in two, such as a write.

        A second signal does not wait: what is under way may never come to its end.

        Raises:
            StoppedBySignal: one has waited.
        """
        self._is_deferring = True
        try:
            yield
        except StoppedBySignal:
            self._deferred = None
            raise
        finally:
            self._is_deferring = False
            stop, self._deferred = self._deferred, None
            if stop is not None:
                raise stop

    def handle(self, signum: int, _: FrameType | None) -> None:
        """Hear a signal.

        Raises:
            StoppedBySignal: it is the first, and the run goes on.
        """
        if self._phase is _Phase.STARTING:
            _leave(_EARLY, signum)
        if self._phase is _Phase.ENDED:
            os._exit(self._exit_code)
        waits = self._deferred is not None
        if self._phase is _Phase.ENDING or (self._is_stopping and not waits):
            return
        if self._phase is _Phase.RUNNING:
            self._is_stopping = True
            self._ask_again(signum, _AGAIN_SECONDS)
        self._stop(signum, at_once=waits)

    def _stop(self, signum: int, *, at_once: bool = False) -> None:
        stop = StoppedBySignal(signum)
        if not self._is_deferring or at_once:
            raise stop
        self._deferred = stop

    def _ask_again(self, signum: int, seconds: float) -> None:
        def again(_: int, __: FrameType | None) -> None:
            if self._phase is not _Phase.RUNNING:
                return
            if self._deferred is None:
                self._times_left -= 1
            if self._times_left < 0 and not self._is_deferring:
                with suppress(Exception):
                    self._give_up(signal.Signals(signum).name)
                _leave(_LATE, signum)
            _set_timer(_AGAIN_SECONDS)
            self._stop(signum)

        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, again)
            _set_timer(seconds)

    def _unraisable(self, lost: Any) -> None:
        """Hear of an exception that Python cannot pass on."""
        if isinstance(lost.exc_value, StoppedBySignal):
            self._ask_again(lost.exc_value.signum, _SOON)
        else:
            sys.__unraisablehook__(lost)


SIGNALS = Signals()


def ignore_signals() -> None:
    """Let signals change nothing from now on."""
    for signum in STOP:
        signal.signal(signum, signal.SIG_IGN)


def _set_timer(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _leave(words: str, signum: int) -> None:
    # Not by a log or a stream: the signal may have come while one of them was at work.
    os.write(2, words.format(name=signal.Signals(signum).name).encode())
    os._exit(_STOPPED)
