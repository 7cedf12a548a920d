"""What the SDK logs at level INFO that says nothing to the user; at level DEBUG it stays."""

from __future__ import annotations

import logging
import sys

from singer_sdk.exceptions import AbortedSyncExceptionBase
from singer_sdk.metrics import get_metrics_logger

from tap_amplitude.common.peer_words import one_line
from tap_amplitude.errors import TapError

_SMALL_TALK = (
    "Parsing env var for settings",
    "Parsing '%s' config from env variable",
    "Skipping parse of env var settings",
    "Skipping deselected stream",
    "Beginning sync of",
    "METRIC",
)

#: Who says it; streams have loggers of their own.
_SPEAKERS = ("tap-amplitude", "singer_sdk.configuration._dict_config")


def leave_out() -> None:
    """Keep the small talk to level DEBUG, once the logging is set up, and each line one line.

    The metrics not by their logger's level, which the SDK sets itself. When somebody has given
    that logger a level or a handler, as `SINGER_SDK_LOG_CONFIG` can, they stay.
    """
    for handler in logging.getLogger().handlers:
        handler.addFilter(one_line)
    for name in _SPEAKERS:
        logging.getLogger(name).addFilter(says_something)
    metrics = get_metrics_logger()
    if metrics.level == logging.NOTSET and not metrics.handlers:
        metrics.addFilter(says_something)


def says_something(record: logging.LogRecord) -> bool:
    """Tell, as a filter of a logger, whether a record is more than small talk."""
    return (
        record.levelno != logging.INFO
        or not str(record.msg).startswith(_SMALL_TALK)
        or logging.getLogger().isEnabledFor(logging.DEBUG)
    )


def is_news(record: logging.LogRecord) -> bool:
    """Filter a stream's log: no small talk, and no "unhandled error" for one that is handled.

    That is by `cli`, or by `--test`.
    """
    return says_something(record) and not (
        isinstance(sys.exc_info()[1], (TapError, AbortedSyncExceptionBase))
        and str(record.msg).startswith("An unhandled error occurred while syncing")
    )
