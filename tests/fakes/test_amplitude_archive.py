"""Archives of the Export API's stand-in look like Amplitude's, and never twice the same."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.fakes.amplitude_reading import (
    LONG_AFTER,
    files_of,
    get,
    hour,
    row,
    rows_of,
    uuids_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """A project with ten rows in each of the hours 0, 1 and 9."""
    with AmplitudeExportApi(rows_of(hour(0), hour(1), hour(9)), now=LONG_AFTER) as running:
        yield running


class TestArchive:
    """The form of what is served."""

    def test_an_archive_has_amplitudes_names_and_stored_gzip_members(
        self, api: AmplitudeExportApi
    ) -> None:
        """Hours are not padded, partitions do not count up, members are not deflated again."""
        response = get(api, "20240101T00", "20240101T09")
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            members = archive.infolist()

        assert response.headers["Content-Type"] == "application/zip"
        assert int(response.headers["Content-Length"]) == len(response.content)
        assert [member.filename for member in members] == [
            f"203138/203138_2024-01-01_{number}#{partition}.json.gz"
            for number in (0, 1, 9)
            for partition in (627, 70)
        ]
        assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}

    def test_rows_arrive_as_they_are(self, api: AmplitudeExportApi) -> None:
        """Nulls, text beyond ASCII and line separators inside text survive the way."""
        with zipfile.ZipFile(io.BytesIO(get(api).content)) as archive:
            text = b"".join(gzip.decompress(archive.read(name)) for name in archive.namelist())
        received = [json.loads(line) for line in text.split(b"\n")[:-1]]

        assert sorted(received, key=lambda item: item["uuid"]) == rows_of(hour(0))
        assert "ページ\u2028".encode() in text

    def test_a_lone_surrogate_arrives_as_an_escape(self) -> None:
        """A row that UTF-8 cannot write comes with JSON escapes, and none is lost."""
        odd = {**row(hour(0)), "event_type": "half \ud83d"}
        with AmplitudeExportApi([odd], now=LONG_AFTER) as api:
            (rows,) = files_of(get(api).content).values()

        assert rows == [odd]

    def test_a_busy_hour_has_more_files(self) -> None:
        """No file has more rows than its limit, and each has a name of its own."""
        rows = [row(hour(0), number) for number in range(2500)]
        with AmplitudeExportApi(rows, now=LONG_AFTER, rows_per_file=2) as api:
            files = files_of(get(api).content)

        assert len(files) == 1250
        assert {len(rows) for rows in files.values()} == {2}

    def test_repeats_bring_the_same_rows_in_another_order(self, api: AmplitudeExportApi) -> None:
        """Each download differs from the one before in rows and in members, not in content."""
        downloads = [get(api).content for _ in range(4)]
        orders = [list(files_of(body)) for body in downloads]

        assert len({frozenset(uuids_of(body)) for body in downloads}) == 1
        assert all(one != other for one, other in pairwise(orders))
        for one, other in pairwise(downloads):
            assert all(rows != files_of(other)[name] for name, rows in files_of(one).items()), (
                "a file came back as it was"
            )

    def test_an_hour_is_reordered_after_a_wider_range_held_it(
        self, api: AmplitudeExportApi
    ) -> None:
        """A repeat is a repeat of the hour, whatever the range it came in."""
        wide = files_of(get(api, "20240101T00", "20240101T09").content)
        narrow = files_of(get(api, "20240101T01").content)

        assert set(narrow) < set(wide)
        assert all(rows != wide[name] for name, rows in narrow.items())

    def test_the_same_seed_gives_the_same_order(self) -> None:
        """A failing run can be repeated to the byte; another seed gives other repeats."""
        repeats = []
        for seed in (1, 1, 2):
            with AmplitudeExportApi(rows_of(hour(0)), now=LONG_AFTER, seed=seed) as api:
                get(api)
                repeats.append(get(api).content)

        assert repeats[0] == repeats[1] != repeats[2]

    def test_days_before_hourly_files_come_whole(self) -> None:
        """Before 2014-11-12 one hour brings its whole day, in files without an hour."""
        last_day = datetime(2014, 11, 11, tzinfo=timezone.utc)
        rows = rows_of(*(last_day + timedelta(hours=n) for n in (0, 23, 24)), count=2)
        with AmplitudeExportApi(rows, now=LONG_AFTER) as api:
            old = files_of(get(api, "20141111T07").content)
            new = files_of(get(api, "20141112T00").content)

            assert list(old) == [f"203138/203138_2014-11-11#{n}.json.gz" for n in (627, 70)]
            assert list(new) == [f"203138/203138_2014-11-12_0#{n}.json.gz" for n in (627, 70)]
            assert set(api.hours_served()) == {last_day + timedelta(hours=n) for n in (0, 23, 24)}
