"""Names and data in a log line cannot act on a terminal, or look like another line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.processes import run_target
from tests.support.singer import record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json

#: Would colour the terminal, clear it, and begin a line that the plugin seems to have written.
ODD = "x\x1b[31m\x1b[2J\n2026-01-01 | INFO | all is well\u202e"


def test_a_streams_name_is_written_out_by_the_target(
    tmp_path: Path, capture: PosthogCapture
) -> None:
    """A tap can send any name."""
    config = {
        "api_key": capture.api_key,
        "host": capture.url,
        "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
    }
    fields: Json = {"properties": {"id": {}, "user_id": {}, "created_at": {}}}
    order = {"id": 1, "user_id": "ann", "created_at": "2024-01-01"}
    messages = [
        {"type": "SCHEMA", "stream": ODD, "schema": fields, "key_properties": ["id"]},
        record(order, ODD),
    ]

    done = run_target(config, messages, tmp_path)

    assert r"x\x1b[31m" in done.stderr
    assert "\x1b" not in done.stderr
    assert "\n2026-01-01 | INFO" not in done.stderr
