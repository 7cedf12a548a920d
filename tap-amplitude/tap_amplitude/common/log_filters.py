"""The log as a person reads it: each entry in one line, without what the SDK says to itself."""

from __future__ import annotations

import logging
import os

from singer_sdk.metrics import get_metrics_logger

from tap_amplitude.common.peer_words import one_line

#: What the SDK logs at level INFO that says nothing to the user.
_CHATTER = (
    "Beginning sync of",
    "Found '%s' filter rule",  # with the expression, which may hold a secret
    "Parsing '%s' config from env",
    "Parsing env var",
    "Reader '%s' completed",
    "Schema has changed for stream",
    "Schema or key properties for",
    "Skipping deselected stream",
    "Skipping parse of env var",
)


def filter_log() -> None:
    """Have the handlers of the log leave out chatter; call it when the logging is set up.

    The metrics not by their logger's level, which the SDK sets itself. Where somebody has given
    that logger a level or a handler, as `SINGER_SDK_LOG_CONFIG` can, they stay.
    """
    for handler in logging.getLogger().handlers:
        handler.addFilter(is_no_chatter)
        handler.addFilter(one_line)
    metrics = get_metrics_logger()
    if metrics.level == logging.NOTSET and not metrics.handlers:
        metrics.addFilter(_is_no_metric)


def leave_out_unknown_levels(plugin: str) -> None:
    """Take log levels that are not valid out of the environment; call it before the SDK is used.

    It fails at them (singer_sdk/plugin_base.py, `_plugin_log_level`), and `LOGLEVEL` may be there
    for another program.
    """
    for variable in (f"{plugin.upper().replace('-', '_')}_LOGLEVEL", "LOGLEVEL"):
        level = os.environ.get(variable, "INFO")
        if not isinstance(logging.getLevelName(level.upper()), int):
            del os.environ[variable]
            logging.getLogger(plugin).warning(
                "The environment variable %s is ignored: %r is not a valid log level, such as "
                "debug, info, warning or error.",
                *(variable, level),
            )


def is_no_chatter(record: logging.LogRecord) -> bool:
    """Return True if a record says something to the user; at level DEBUG everything does."""
    is_chatter = record.levelno == logging.INFO and str(record.msg).startswith(_CHATTER)
    return not is_chatter or _is_verbose()


def _is_no_metric(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("METRIC") or _is_verbose()


def _is_verbose() -> bool:
    return logging.getLogger().isEnabledFor(logging.DEBUG)
