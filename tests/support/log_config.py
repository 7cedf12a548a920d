"""A configuration of the log, as the SDK's documentation shows it ("Logging")."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_METRICS_TO_A_FILE = """\
version: 1
disable_existing_loggers: false
handlers:
  metrics: {class: logging.FileHandler, filename: metrics.log}
  console: {class: logging.StreamHandler, stream: ext://sys.stderr}
loggers:
  singer_sdk.metrics: {level: INFO, handlers: [metrics], propagate: %s}
root: {level: INFO, handlers: [console]}
"""


def metrics_to_a_file(folder: Path, *, in_the_log_too: bool) -> dict[str, str]:
    """Send metrics to `metrics.log` in a folder; return the variables that say so."""
    (folder / "log.yml").write_text(_METRICS_TO_A_FILE % str(in_the_log_too).lower())
    return {"SINGER_SDK_LOG_CONFIG": "log.yml"}
