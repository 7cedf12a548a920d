"""Listing a bucket of exported files: only the days that are asked for, page by page.

Amplitude writes `<project>_<YYYY-MM-DD>_<H>#<n>.json.gz` under any prefix, in Google Cloud Storage
also in a folder for each project (https://amplitude.com/docs/data/destination-catalog/amazon-s3,
…/google-cloud-storage). Years of them are a quarter of a million objects, 250 pages. S3 and GCS
cut names at any delimiter, not only at `/`: at `_` they give the projects, then at `-` the years
and months, then the days. So an hourly run asks for five short pages, not for all of them.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol

from tap_amplitude.files.stores import Listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_amplitude.state.reach import Days

_PROJECT = re.compile(r"-?\d+_", re.ASCII)
#: A name that is cut behind its year, its month or its day, and where it is cut.
_LEVELS = (
    (re.compile(r"-?\d+_(\d{4})-", re.ASCII), "-"),
    (re.compile(r"-?\d+_(\d{4})-(\d{2})-", re.ASCII), "-"),
    (re.compile(r"-?\d+_(\d{4})-(\d{2})-(\d{2})_", re.ASCII), "_"),
)


class Pages(Protocol):
    """Lists a bucket as the cloud's own protocol does."""

    def __call__(self, prefix: str, delimiter: str) -> Iterator[Listed | str]:
        """Yield objects whose name has no delimiter behind the prefix, and cut names as text."""


def list_exports(pages: Pages, prefix: str, days_of: Callable[[str], Days]) -> Iterator[Listed]:
    """Yield the objects of some days, and all whose day the name does not tell, not in order.

    Objects of other days may come as well.
    """
    for found in pages(prefix, "_"):
        if isinstance(found, Listed):
            yield found
        elif _PROJECT.fullmatch(_base(found)):
            yield from _dated(pages, found, days_of(_base(found)[:-1]), 0)
        else:  # a folder with `_` in its name, or a file of another form
            yield from _all(pages, found)


def _dated(pages: Pages, prefix: str, days: Days, level: int) -> Iterator[Listed]:
    """Cut names at the year, the month or the day, and go on where a day is wanted."""
    pattern, delimiter = _LEVELS[level]
    for found in pages(prefix, delimiter):
        if isinstance(found, Listed):  # a file of another form, or of a whole day
            yield found
            continue
        span = _span(pattern, found)
        # Of a single day, none is wanted or all, so that nothing is cut further.
        if span is None or days.cover(*span):
            yield from _all(pages, found)
        elif days.touch(*span):
            yield from _dated(pages, found, days, level + 1)


def _all(pages: Pages, prefix: str) -> Iterator[Listed]:
    return (found for found in pages(prefix, "") if isinstance(found, Listed))


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _span(pattern: re.Pattern[str], name: str) -> tuple[date, date] | None:
    """Return the first and the last day of a year, a month or a day; None when it is none."""
    match = pattern.fullmatch(_base(name))
    if not match:
        return None
    numbers = [int(part) for part in match.groups()]
    try:
        first = date(*[*numbers, 1, 1][:3])
        after = (
            first + timedelta(days=1)
            if len(numbers) == 3  # noqa: PLR2004 - year, month, day
            else first.replace(month=first.month + 1)
            if len(numbers) == 2 and first.month < 12  # noqa: PLR2004 - year, month; December
            else first.replace(year=first.year + 1, month=1)
        )
    except ValueError:
        return None
    return first, after - timedelta(days=1)


def s3_pages(fs: Any, bucket: str, prefix: str, delimiter: str) -> Iterator[Listed | str]:
    """List a bucket with S3's ListObjectsV2, by an `s3fs.S3FileSystem`; see `Pages`."""
    more: dict[str, str] = {"Delimiter": delimiter} if delimiter else {}
    while True:
        page = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
        for item in page.get("Contents", ()):
            yield Listed(item["Key"], item["Size"], item.get("LastModified"))
        yield from (item["Prefix"] for item in page.get("CommonPrefixes", ()))
        if not page.get("IsTruncated"):
            return
        more["ContinuationToken"] = page["NextContinuationToken"]


def gcs_pages(fs: Any, bucket: str, prefix: str, delimiter: str) -> Iterator[Listed | str]:
    """List a bucket with Google's `objects.list`, by a `gcsfs.GCSFileSystem`; see `Pages`."""
    more: dict[str, str] = {"delimiter": delimiter} if delimiter else {}
    while True:
        page = fs.call("GET", "b/{}/o", bucket, prefix=prefix, json_out=True, **more)
        for item in page.get("items", ()):
            yield Listed(
                item["name"],
                int(item["size"]),
                _moment(item.get("updated")),
                # Google's servers or the driver unpack such an object on its way.
                is_decoded=item.get("contentEncoding") == "gzip",
            )
        yield from page.get("prefixes", ())
        if not page.get("nextPageToken"):
            return
        more["pageToken"] = page["nextPageToken"]


def any_pages(fs: Any, bucket: str, prefix: str, delimiter: str) -> Iterator[Listed]:
    """List a bucket of any kind through fsspec, which cuts names at `/` only; see `Pages`."""
    del delimiter  # every object is given as one: nothing is cut, nothing is missing
    folder, _, _ = prefix.rpartition("/")
    root = f"{bucket}/{folder}".rstrip("/")
    found = fs.find(root, detail=True)
    if not isinstance(found, dict):  # how adlfs says that this is no folder but a file
        return
    if not found:
        fs.ls(bucket)  # raises when there is no such bucket, which is not said before
    for name, item in found.items():
        key = name.lstrip("/").partition("/")[2]
        if key.startswith(prefix):
            settings = item.get("content_settings") or {}
            yield Listed(
                key,
                int(item["size"] or 0),
                _moment(item.get("last_modified")),
                is_decoded=settings.get("content_encoding") == "gzip",
            )


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
