"""Rows that PostHog cannot have are accounted for, one by one, and keep nothing else from it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.faithful import assert_migrated
from tools.sample_export import Outcome, SampleExport, generate, write_folder, write_zip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.support.pipeline import Day
    from tools.sample_export import Row

#: What each kind of trouble that must be rejected is called in the rejects.
_CODES = {
    "no_event_type": "missing_event_type",
    "no_time": "bad_time",
    "long_user_id": "distinct_id_too_long",
    "long_device_id": "distinct_id_too_long",
    "no_id": "no_distinct_id",
    "oversize": "event_too_large",
}


@pytest.fixture(scope="module")
def troublesome() -> SampleExport:
    """A day with rows that must be rejected, skipped or mended."""
    return generate(days=1, people=60, troublesome=True)


@pytest.mark.parametrize("write", [write_zip, write_folder], ids=["zip", "folder"])
def test_every_troublesome_row_is_accounted_for(
    write: Callable[[Iterable[Row], Path], None],
    tmp_path: Path,
    day: Day,
    troublesome: SampleExport,
) -> None:
    """Exported = accepted + rejected + skipped, and each row is where the truth wants it."""
    write(troublesome.rows, tmp_path / "export.zip")
    day.tap = {"archive_path": str(tmp_path / "export.zip")}
    end = day.run_well()

    rejected = {
        trouble.insert_id: _CODES[trouble.kind]
        for trouble in troublesome.truth.troubles
        if trouble.outcome is Outcome.REJECTED
    }
    rejects = day.rejects()
    assert {one["record"]["$insert_id"]: one["code"] for one in rejects} == rejected
    assert len(rejects) == len(rejected)
    for one in rejects:
        assert one["reason"]
        assert one["stage"] in {"convert", "check"}

    counts = {
        word: int(number.replace(",", ""))
        for word, number in re.findall(
            r"\s(\w+)\s+([\d,]+)(?= |$)", end.target.stderr, re.MULTILINE
        )
    }
    assert counts["exported"] == len(troublesome.rows)
    assert counts["rejected"] == troublesome.count(Outcome.REJECTED)
    assert counts["skipped"] == troublesome.count(Outcome.SKIPPED)
    assert counts["accepted"] == troublesome.count(Outcome.ACCEPTED)
    assert "duplicate 1" in end.target.stderr
    for code, times in Counter(rejected.values()).items():
        assert f"{code} {times}" in end.target.stderr

    kept = [row for row in _once(troublesome) if row["$insert_id"] not in rejected]
    assert_migrated(day.posthog, kept, troublesome.truth)


def _once(export: SampleExport) -> Iterator[Row]:
    """Give all rows but the second copy of the one that comes twice."""
    seen: set[str] = set()
    for row in export.rows:
        number = row.get("uuid") or row["$insert_id"]
        if number not in seen:
            yield row
        seen.add(number)
