"""Runs the target in the tests' own process: a start of its own would cost more than the run."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_posthog.errors import TargetPosthogError
from target_posthog.target import TargetPosthog
from tests.support.processes import encoded

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.singer import Json


@dataclass(frozen=True)
class End:
    """How a run ended.

    Attributes:
        failure: what stopped it; a bug is raised instead.
        events: what was previewed, links and group updates included.
        log: what was said at level INFO and above.
    """

    failure: TargetPosthogError | None
    events: list[Json]
    log: str

    @property
    def exit_code(self) -> int:
        """The exit code of the process that it would be."""
        return 0 if self.failure is None else self.failure.exit_code


def preview(messages: Iterable[Json | str | bytes], folder: Path, **settings: Any) -> End:
    """Preview messages with some settings."""
    places = {"preview_path": str(folder / "preview"), "rejects_path": str(folder / "rejects")}
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logger = logging.getLogger(TargetPosthog.name)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    failure = target = None
    try:
        target = TargetPosthog(config={**places, "max_reject_ratio": 1, **settings})
        with redirect_stdout(io.StringIO()):
            target.listen(io.BytesIO(encoded(messages)))  # type: ignore[arg-type] # our reader takes bytes
    except TargetPosthogError as error:
        failure = error
        if target is not None:
            target.close()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    bodies = [
        json.loads(line)
        for path in sorted((folder / "preview").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return End(failure, [event for body in bodies for event in body["batch"]], said.getvalue())
