"""The bar that a person sees who runs the target in a terminal; log lines stand above it."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

#: How often it is drawn. Seconds.
_INTERVAL = 0.25


class Bar:
    """A bar on standard error; without a thread, so that workers can still be copies.

    Nothing of it stays when it is closed.
    """

    def __init__(self) -> None:
        # Only for a terminal: most runs have none, and it is a tenth of the start.
        from rich.console import Console  # noqa: PLC0415
        from rich.file_proxy import FileProxy  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415
        from rich.table import Column  # noqa: PLC0415

        self.next = 0.0
        self._console = Console(file=sys.stderr)
        text = TextColumn(
            "{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)
        )
        self._progress = Progress(
            BarColumn(bar_width=20),
            text,
            console=self._console,
            auto_refresh=False,
            # The states go to standard output.
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("", total=None)
        self._streams = list(_streams_to_the_terminal())
        self._progress.start()
        for handler in self._streams:
            # Else a line would be written into the bar.
            handler.setStream(FileProxy(self._console, sys.stderr))

    @classmethod
    def of_terminal(cls) -> Self | None:
        """Return a bar if standard error is a terminal that shows the log as it is."""
        is_shown = sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
        if not is_shown or "SINGER_SDK_LOG_CONFIG" in os.environ:
            return None
        return cls()

    def show(self, now: float, share: float | None, text: str) -> None:
        """Draw it anew.

        `share` is how much is done, from 0 to 1; `now` is in seconds, of the clock of `next`.
        """
        self.next = now + _INTERVAL
        known: dict[str, Any] = {} if share is None else {"total": 1.0, "completed": share}
        self._progress.update(self._task, description=text, **known)
        self._progress.refresh()

    def close(self) -> None:
        """Take it away, and let the log go to the terminal itself."""
        for handler in self._streams:
            handler.setStream(sys.stderr)
        self._streams = []
        self._progress.stop()


def _streams_to_the_terminal() -> Iterator[logging.StreamHandler[Any]]:
    """Yield the handlers that write to standard error."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
            yield handler
