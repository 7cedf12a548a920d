"""Damaged archives of the Export API's stand-in are broken in one place and sound elsewhere."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest
import requests

from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.fakes.amplitude_reading import (
    LONG_AFTER,
    broken_members,
    get,
    hour,
    names_of,
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


class TestDamage:
    """Archives that arrive with 200 and are not sound."""

    def test_an_archive_is_cut_short_of_its_announced_length(self, api: AmplitudeExportApi) -> None:
        """HTTP itself shows that bytes are missing."""
        api.fail(Fault.TRUNCATED_ZIP)
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            get(api)

        assert api.hours_served() == {}

    @pytest.mark.parametrize(("length", "announced"), [("cut", True), ("none", False)])
    def test_an_archive_is_cut_and_http_does_not_show_it(
        self, api: AmplitudeExportApi, length: str, *, announced: bool
    ) -> None:
        """With a matching or a missing Content-Length only the zip itself is wrong."""
        whole = get(api)
        api.fail(Fault.TRUNCATED_ZIP, keep=0.9, length=length)
        response = get(api)

        assert ("Content-Length" in response.headers) is announced
        assert response.content.startswith(b"PK")
        assert 0.8 < len(response.content) / len(whole.content) < 0.95
        with pytest.raises(zipfile.BadZipFile):
            uuids_of(response.content)
        assert api.hours_served() == {hour(0): 1}

    def test_a_flipped_byte_breaks_one_members_checksum(self, api: AmplitudeExportApi) -> None:
        """Every other member of the zip is sound, and so is the zip's directory."""
        api.fail(Fault.CORRUPT_MEMBER)
        body = get(api, "20240101T00", "20240101T09").content
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            last = archive.namelist()[-1]

            assert archive.testzip() == last
        assert broken_members(body) == [last]
        assert api.hours_served() == {}

    def test_a_gzip_file_ends_early_in_a_sound_zip(self, api: AmplitudeExportApi) -> None:
        """The zip's checksums hold; only gunzip finds out."""
        api.fail(Fault.TRUNCATED_GZIP)
        body = get(api, "20240101T00", "20240101T09").content
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert archive.testzip() is None
        assert len(broken_members(body)) == 1
        assert api.hours_served() == {}

    @pytest.mark.parametrize("text", ['{"event_type": "cut of', "[1, 2]", ""])
    def test_a_line_is_no_json_object(self, api: AmplitudeExportApi, text: str) -> None:
        """One line more than the rows, which are all there."""
        api.fail(Fault.CORRUPT_LINE, text=text)
        lines = []
        with zipfile.ZipFile(io.BytesIO(get(api).content)) as archive:
            for name in archive.namelist():
                lines += gzip.decompress(archive.read(name)).decode().split("\n")[:-1]

        assert lines.count(text) == 1
        lines.remove(text)
        assert sorted(json.loads(line)["uuid"] for line in lines) == sorted(
            str(item["uuid"]) for item in rows_of(hour(0))
        )
        assert api.hours_served() == {}

    def test_what_follows_damage_is_a_repeat(self, api: AmplitudeExportApi) -> None:
        """A damaged download counts as one: the next is whole and in another order."""
        api.fail(Fault.CORRUPT_LINE)
        damaged, whole = get(api).content, get(api).content

        assert set(names_of(whole)) == set(names_of(damaged))
        assert names_of(whole) != names_of(damaged)
        assert len(uuids_of(whole)) == 10
