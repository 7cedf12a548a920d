"""Whatever the rows are: each event of a preview is shown whole, and each line has its reason."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.commands.preview import PreviewTarget
from target_posthog.preview.wanted import Wanted
from tests.support.any_amplitude_rows import GOOD_ROWS, ROWS
from tests.support.examples import examples
from tests.support.processes import encoded
from tests.support.singer import records, schema

if TYPE_CHECKING:
    from target_posthog.preview.pairs import Pair
    from tests.support.singer import Json

#: What the newer protocol has where it wants it (docs/decisions/0008-two-protocols.md).
_OF_V1 = {"options", "$lib", "$lib_version", "lib", "lib_version"}
SETTINGS = st.sampled_from(
    [
        {},
        {"protocol": "v1"},
        {"user_properties": "ignore", "skip_properties": ["c*"]},
        {"person_profiles": "identified_only", "standard_events": True},
    ]
)


@examples(25)
@given(st.lists(GOOD_ROWS | ROWS, min_size=1, max_size=5), SETTINGS)
def test_every_part_of_what_is_sent_is_shown_with_its_reason(
    rows: list[Json], settings: dict[str, Any]
) -> None:
    """Also of what the newest rows, the ledger and the protocol changed."""
    with tempfile.TemporaryDirectory() as folder:
        config = {**settings, "source_format": "amplitude"}
        target = PreviewTarget(Wanted(20), Path(folder), config=config)
        with redirect_stdout(io.StringIO()):
            target.run(io.BytesIO(encoded([schema(key=None), *records(rows)])))
        target.close()
    assert len(target.found.pairs) == len(rows)
    for pair in target.found.pairs:
        if pair.event is not None:
            _hold(pair, pair.event)


def _hold(pair: Pair, event: Json) -> None:
    lines = [line for line in pair.lines() if line.name is not None]
    assert all(line.why for line in pair.lines())
    shown = {str(line.name).partition(".")[0] for line in lines} | {line.name for line in lines}
    assert event.keys() - {"properties"} | event["properties"].keys() <= shown
    by_protocol = [str(line.name) for line in lines if line.why == "`protocol`"]
    assert {one.removeprefix("source_") for one in by_protocol} <= _OF_V1
