"""A bucket is looked at before a run: what it holds, and what it weighs, of a few of its files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.buckets import BUCKET, Bucket, s3_bucket
from tests.support.export_files import file_name, packed
from tests.support.processes import run_tap
from tests.support.rows import hour_rows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bucket() -> Bucket:
    """A bucket of Amazon S3 with two files in each of 30 hours, one of which nobody can read."""
    made = s3_bucket()
    files = {
        f"exports/{file_name(n, part)}": packed(hour_rows(n)) for n in range(30) for part in (1, 2)
    }
    # Whoever reads more than a sample meets it.
    files[f"exports/{file_name(1, 2)}"] = b"\x1f\x8bdamaged"
    made.put(files)
    return made


def test_a_check_lists_a_bucket_and_reads_one_hour(tmp_path: Path, bucket: Bucket) -> None:
    """Files, hours and app; credentials are not shown."""
    config = {"archive_path": f"{bucket.url}/exports", "spool_path": str(tmp_path / "spool")}
    run = run_tap(tmp_path, config, "--test", environment=bucket.environment).checked()
    assert "60 files of app 123 would be read" in run.stdout
    assert "30 hours with events" in run.stdout
    assert "The first hour, 2024-01-01T00:00:00Z: 6 events" in " ".join(run.stdout.split())
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "keys", "told"),
    [
        ("nobody", {}, ("does not exist", "`archive_path`")),
        (
            BUCKET,
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            ("no usable credentials",),
        ),
    ],
    ids=["no bucket", "no keys"],
)
def test_a_bucket_that_cannot_be_read_is_told(
    tmp_path: Path, bucket: Bucket, name: str, keys: dict[str, str], told: tuple[str, ...]
) -> None:
    """With the setting that names it, or what it needs."""
    environment = {**bucket.environment, **keys, "AWS_EC2_METADATA_DISABLED": "true"}
    config = {"archive_path": f"s3://{name}/exports"}
    run = run_tap(tmp_path, config, "--test", environment=environment)
    assert run.exit_code == 2
    assert all(words in run.stdout for words in told)


def test_an_estimate_reads_a_file_of_each_sample_hour(tmp_path: Path, bucket: Bucket) -> None:
    """The listing tells what all of them weigh."""
    config = {"archive_path": f"{bucket.url}/exports"}
    run = run_tap(tmp_path, config, "--estimate=3", environment=bucket.environment).checked()
    told = json.loads(run.stdout)
    assert told["listed"]["files"] == 60
    assert [one["read"]["rows"] for one in told["samples"]] == [3, 3, 3]
    assert all(one["read"]["packed_bytes"] < one["packed_bytes"] for one in told["samples"])
