"""What the SDK logs at level INFO that says nothing to the user; at level DEBUG it stays."""

from __future__ import annotations

import logging

from singer_sdk.metrics import get_metrics_logger

from tap_amplitude.common.peer_words import one_line

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
