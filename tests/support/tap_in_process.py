"""Runs the tap in this process, where a process is not the subject: a start takes its time."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

from tap_amplitude.errors import TapError
from tap_amplitude.output.messages import MessageWriter
from tap_amplitude.tap import TapAmplitude
from tests.support.batches import batch, contents, lines_in
from tests.support.processes import Finished
from tests.support.rows import ids

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def run_here(
    config: Mapping[str, Any],
    *,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
) -> Finished:
    """Run the tap to its end.

    Args:
        config: Its settings.
        state: The state of the last run.
        catalog: Which streams are selected; by default the events.

    Returns:
        What it gave.
    """
    output, log = io.BytesIO(), io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("| %(levelname)s | %(message)s"))
    logger = logging.getLogger("tap-amplitude")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    code = 0
    try:
        writer = MessageWriter()
        writer._out = output
        TapAmplitude(
            config=dict(config),
            state=dict(state) if state else None,
            catalog=dict(catalog) if catalog else None,
            message_writer=writer,
        ).sync_all()
    except TapError as failure:
        logger.error("%s", failure)  # noqa: TRY400 - as `command` does
        code = failure.exit_code
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return Finished(code, output.getvalue().decode(), log.getvalue())


def both_ways(folder: Path, config: Mapping[str, Any]) -> tuple[Finished, Finished]:
    """Run the tap by records and by batch files.

    Args:
        folder: Where the batch files go.
        config: The settings.

    Returns:
        Both runs.
    """
    return run_here(config), run_here({**config, **batch(folder / "batch")})


def batch_ids(run: Finished) -> list[str]:
    """The uuids in the files of BATCH messages, in order."""
    return [one for files in contents(run) for content in files for one in ids(lines_in(content))]
