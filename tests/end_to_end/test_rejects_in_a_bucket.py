"""`rejects_path` takes any address of fsspec; a local folder called `s3:` is none."""

from __future__ import annotations

import gzip
import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.common.remote_lines import keep_drivers_quiet
from tap_amplitude.errors import FixConfiguration as FixTapsConfiguration
from tap_amplitude.tap import TapAmplitude
from target_posthog.errors import FixConfiguration
from target_posthog.target import TargetPosthog
from tests.support.batches import batch
from tests.support.buckets import BUCKET, Bucket, s3_bucket
from tests.support.export_files import file_name, packed, write_files
from tests.support.processes import run_tap, start
from tests.support.rows import hour_rows, row
from tests.support.singer import record, schema, state
from tests.support.target import run_apart

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Finished
    from tests.support.target import Target

LONG = "n" * 201


@pytest.fixture(scope="module")
def bucket() -> Bucket:
    """A bucket of Amazon S3."""
    return s3_bucket()


def objects(bucket: Bucket, folder: str) -> dict[str, list[Any]]:
    """The objects below a folder of the bucket, each as its lines."""
    found = bucket.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/").get("Contents", [])
    return {
        one["Key"].rpartition("/")[2]: [
            json.loads(line) for line in bucket.get(one["Key"]).splitlines()
        ]
        for one in found
    }


def test_the_target_keeps_rejects_in_a_bucket_and_replays_them(
    target: Target, bucket: Bucket
) -> None:
    """They are there before the state moves; what is accepted later leaves them."""
    target.config.update(rejects_path=f"{bucket.url}/target", source_format="amplitude")
    named, unnamed = row(1, event_type=LONG), row(2, event_type=None)
    messages = [schema(), record(named), state({"at": 1}), record(unnamed), state({"at": 2})]
    done = run_apart(target, messages, bucket.environment)

    kept = objects(bucket, "target")
    codes = sorted(line["code"] for lines in kept.values() for line in lines)
    assert codes == ["event_name_too_long", "missing_event_type"], done.stderr
    summary = json.loads((target.folder / "target-posthog-summary.json").read_text())
    assert summary["rejects"].startswith("s3://amplitude-data/target/target-posthog-")
    assert not (target.folder / "s3:").exists()

    def command(name: str) -> Finished:
        config, variables = target.config, bucket.environment
        with start(name, config, target.folder, environment=variables) as running:
            return running.finish()

    listed = command("target-posthog-rejects")
    assert listed.exit_code == 3, listed.stderr
    assert listed.stdout.startswith("2 rejects in ")
    assert listed.stdout.count("target-posthog-") == 2 + 1 + 1  # examples, one run, what is next

    target.config["event_names"] = [{"from": LONG, "to": "short"}]
    replayed = command("target-posthog-replay")

    left = objects(bucket, "target")
    assert [one["event"] for one in target.capture.events] == ["short"], replayed.stderr
    assert [line["code"] for name in left if name.endswith(".jsonl") for line in left[name]] == [
        "missing_event_type"
    ]
    assert sum(name.endswith(".replayed") for name in left) == 1


def test_the_tap_keeps_rejects_in_a_bucket(tmp_path: Path, bucket: Bucket) -> None:
    """A line that is no event is there when the run ends."""
    broken = packed(hour_rows(0)[:1]) + gzip.compress(b"no event\n")
    export = write_files(tmp_path / "export", {file_name(0): broken})
    config = {
        "archive_path": str(export),
        "on_bad_line": "reject",
        "rejects_path": f"{bucket.url}/tap",
        "max_reject_ratio": 0.5,
    }
    run_tap(tmp_path, config, environment=bucket.environment).checked()

    assert [line["code"] for lines in objects(bucket, "tap").values() for line in lines] == [
        "bad_line"
    ]
    assert not (tmp_path / "s3:").exists()


def test_an_address_without_a_driver_is_refused_at_once() -> None:
    """Exit code 2 before the first event, in both plugins."""
    places = {"rejects_path": "nowhere://bucket/rejects"}
    with pytest.raises(FixConfiguration, match="`rejects_path` cannot be used"):
        TargetPosthog(config={"api_key": "phc_test", **places})
    with pytest.raises(FixTapsConfiguration, match="`rejects_path` cannot be used"):
        TapAmplitude(config={"archive_path": "tests", **places})


def test_a_driver_that_tries_again_writes_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Gcsfs logs each failed try as an error with its traceback; the last one is an exception."""
    keep_drivers_quiet()
    logging.getLogger("gcsfs").error("_request retries on exception", exc_info=OSError("refused"))
    assert caplog.records == []


@pytest.mark.parametrize("slip", ["s3:/bucket/rejects", "s3:bucket", "s3://", "GS:/x", "file:x"])
def test_an_address_with_a_slip_is_refused_and_makes_no_folder(
    slip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`s3:/bucket` is meant as an address; taken for a path it would be a folder called `s3:`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / file_name(0)).write_bytes(packed(hour_rows(0)))
    whole = re.escape(f"{slip.partition(':')[0].lower()}://")
    for name in ("rejects_path", "summary_path", "preview_path"):
        with pytest.raises(FixConfiguration, match=f"`{name}` .*({whole}|is an address)"):
            TargetPosthog(config={"api_key": "phc_test", name: slip})
    for name in ("rejects_path", "summary_path", "spool_path"):
        with pytest.raises(FixTapsConfiguration, match=f"`{name}` .*({whole}|is an address)"):
            TapAmplitude(config={"archive_path": "export", name: slip})
    with pytest.raises(FixTapsConfiguration, match=f"`batch_config.storage.root` .*{whole}"):
        TapAmplitude(config={"archive_path": "export", **batch(slip)})
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_other_folders_must_be_on_this_machine() -> None:
    """A preview in a bucket, or a spool, is refused: a folder called `s3:` is nobody's wish."""
    with pytest.raises(FixConfiguration, match="`preview_path`"):
        TargetPosthog(config={"api_key": "phc_test", "preview_path": "s3://bucket/preview"})
    with pytest.raises(FixTapsConfiguration, match="`spool_path`"):
        TapAmplitude(config={"archive_path": "tests", "spool_path": "s3://bucket/spool"})
