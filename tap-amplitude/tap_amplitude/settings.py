"""What a user can set; a long file, as most of it is the table of settings and their texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th
from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig, StorageTarget

from tap_amplitude.times import parse
from tap_amplitude.windows import ceil_to_hour, floor_to_hour

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_GIB = 1024**3
#: Amplitude's addresses, by region.
REGION_URLS = {"us": "https://amplitude.com", "eu": "https://analytics.eu.amplitude.com"}

#: The texts are documentation: `--about`, the Hub and docs/settings.md show them.
SETTINGS = th.PropertiesList(
    th.Property(
        "api_key",
        th.StringType,
        secret=True,
        title="API key",
        description="The API key of the Amplitude project, from Settings > Projects > General. "
        "Not needed with `archive_path`.",
    ),
    th.Property(
        "secret_key",
        th.StringType,
        secret=True,
        title="Secret key",
        description="The secret key of the same project. Not needed with `archive_path`.",
    ),
    th.Property(
        "region",
        th.StringType,
        default="us",
        allowed_values=["us", "eu"],
        title="Region",
        description="Where the Amplitude project lives: `us` or `eu`. Keys of one region are "
        "refused by the other.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        title="API address",
        description="The base address of Amplitude's API, instead of the one that belongs to "
        "`region`: for a proxy, or for tests. `/api/2/export` and the like are added to it.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="The first hour to export, by the time when Amplitude received an event "
        "(`server_upload_time`), such as `2024-01-01` or `2024-01-01T05:00:00Z`; UTC when it names "
        "no zone. Required, but for `archive_path`. Later runs go on where the last one stopped, "
        "whatever it says; of exported files it also bounds projects that are new to the state.",
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="Where to stop, exclusive: `2024-02-01` exports all of January. By default, "
        "and at most, the last hour that Amplitude has finished loading, about three hours ago.",
    ),
    th.Property(
        "archive_path",
        th.StringType,
        title="Archive path",
        description="Read exported files instead of the API: a `.zip` from Amplitude's user "
        "interface, a `.json.gz` file, a folder of them, searched in depth, or the bucket of a "
        "bucket export: `s3://bucket/folder`, `gs://bucket/folder` or `az://container/folder`. A "
        "bucket needs an extra of the tap (`s3`, `gcs`, `azure`), and credentials in the cloud's "
        "own way, for example AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS or "
        "AZURE_STORAGE_CONNECTION_STRING.",
    ),
    th.Property(
        "max_window_hours",
        th.IntegerType(minimum=1, maximum=8760),
        default=24,
        title="Longest window",
        description="The most hours to ask for in one request. The tap finds a good size by "
        "itself, from one hour up to this bound, and remembers it in the state.",
    ),
    th.Property(
        "parallel_downloads",
        th.IntegerType(minimum=1, maximum=4),
        default=3,
        title="Parallel downloads",
        description="How many windows to ask for at once, ahead of the one that is being read. "
        "Events still come out in the order of their hours. Amplitude allows five requests at a "
        "time for a whole project; lower it when other programs use the same keys.",
    ),
    th.Property(
        "lookback_hours",
        th.IntegerType(minimum=0, maximum=8760),
        default=0,
        title="Look back",
        description="Read this many hours before the bookmark again in each run, for events that "
        "Amplitude may have added since; never hours before `start_date`. The state does not move "
        "back. Events that were read before come again, with the same `uuid`. Figures by day are "
        "read again for as many whole days, rounded up.",
    ),
    th.Property(
        "on_bad_line",
        th.StringType,
        default="fail",
        allowed_values=["fail", "reject"],
        title="On a bad line",
        description="What to do with a line that is not a JSON object: `fail` stops before its "
        "hour is done, `reject` keeps the line in `rejects_path`, counts it and goes on. Files "
        "that are handed over by `batch_config` are not read here: the BATCH message tells the "
        "target what to do, and `target-posthog` does it.",
    ),
    th.Property(
        "rejects_path",
        th.StringType,
        default="rejects/",
        title="Rejects folder",
        description="Where rejected lines go, one `.jsonl` file a run: a folder, or an address "
        "such as `s3://bucket/rejects` whose driver is installed (an extra of the tap: `s3`, "
        "`gcs`, `azure`).",
    ),
    th.Property(
        "max_reject_ratio",
        th.NumberType,
        default=0.1,
        title="Largest share of rejects",
        description="The run ends with exit code 3 when more than this share of the lines of a "
        "stream was rejected: it stops when that is so after the first 10,000, and is judged at "
        "its end however short it was. 1 allows any. The lines of files that are handed over by "
        "`batch_config` are judged by the target's own `max_reject_ratio`.",
    ),
    th.Property(
        "summary_path",
        th.StringType,
        title="Summary file",
        description="Where each run writes how it ended, as JSON: exit code, its class, the error "
        "and what to do next (https://github.com/amplitude-to-posthog/amplitude-to-posthog/blob/"
        "main/docs/summary.md). Without it there is no file.",
    ),
    th.Property(
        "spool_path",
        th.StringType,
        title="Spool folder",
        description="The folder where downloaded archives wait until they are read, at most "
        "`max_spool_gb` together. By default a temporary folder. It is emptied at the end of the "
        "run.",
    ),
    th.Property(
        "max_spool_gb",
        th.IntegerType(minimum=1),
        default=16,
        title="Largest spool",
        description="The most gigabytes of disk that all downloaded archives may take together. "
        "When the spool is full, the tap waits until an archive is read. Each download under way "
        "sets 4 GB aside, the most that Amplitude sends at once, so a small spool means fewer "
        "parallel downloads. With `batch_config`, files that the target has not taken yet may "
        "take as much again.",
    ),
    th.Property(
        "max_member_gb",
        th.IntegerType(minimum=1),
        default=20,
        title="Largest file, unpacked",
        description="The most gigabytes that one file of an archive may unpack to. It guards "
        "against hostile archives; one hour of a very large project may need more.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.IntegerType(minimum=1, maximum=86400),
        default=600,
        title="Request time-out",
        description="How many seconds to wait for Amplitude's answer. A longer wait counts as "
        "too large, and the window is halved.",
    ),
    th.Property(
        "batch_config",
        th.ObjectType(
            th.Property(
                "encoding",
                th.ObjectType(
                    th.Property("format", th.StringType, allowed_values=["jsonl", "records"]),
                    th.Property("compression", th.StringType, allowed_values=["gzip", "none"]),
                ),
            ),
            th.Property(
                "storage",
                th.ObjectType(
                    th.Property("root", th.StringType),
                    th.Property("prefix", th.StringType),
                    th.Property("params", th.ObjectType(additional_properties=True)),
                ),
            ),
        ),
        title="Batch files",
        description="Hand Amplitude's files over as they are, by Singer BATCH messages, instead "
        "of records: `{encoding: {format: jsonl, compression: gzip}, storage: {root, prefix, "
        "params}}`. `root` is a folder that the target can read (`file:///var/batch`) or any "
        "fsspec address, `params` the options of its driver. The target must remove the files "
        "that it has taken, as target-posthog does; for other targets `format: records` turns "
        "it off. Stream maps, flattening, deselected fields "
        "and tests get records all the same.",
    ),
    th.Property(
        "max_retry_seconds",
        th.IntegerType(minimum=0),
        default=1800,
        title="Longest retry",
        description="How many seconds to go on trying one request after its first failure: rate "
        "limits, server errors, cut connections. Then the run stops with its state saved.",
    ),
)

SECRETS = frozenset({"api_key", "secret_key"})


# What is shown of it, as in a traceback, must hold no key and no password of an address.
@dataclass(frozen=True, repr=False)
class Settings:
    """The settings in the types that the tap works with; valid once `problems` found nothing.

    Attributes:
        base_url: What `api_url` says, or else `region`.
        rejects_path: None when a bad line is to fail.
        batch: Where BATCH files go; None when records are to be written.
    """

    region: str
    base_url: str
    api_key: str
    secret_key: str
    start_date: datetime | None
    end_date: datetime | None
    archive_path: str | None
    max_window_hours: int
    parallel_downloads: int
    lookback_hours: int
    on_bad_line: str
    rejects_path: str | None
    max_reject_ratio: float
    spool_path: Path | None
    max_spool_bytes: int
    max_member_bytes: int
    answer_seconds: int
    retry_seconds: int
    batch: BatchConfig | None

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Settings:
        """Read a valid configuration, with the defaults filled in."""
        spool, on_bad_line = config.get("spool_path"), config["on_bad_line"]
        return cls(
            region=config["region"],
            base_url=config.get("api_url") or REGION_URLS[config["region"]],
            api_key=config.get("api_key") or "",
            secret_key=config.get("secret_key") or "",
            start_date=date_in(config, "start_date"),
            end_date=date_in(config, "end_date"),
            archive_path=config.get("archive_path") or None,
            max_window_hours=config["max_window_hours"],
            parallel_downloads=config["parallel_downloads"],
            lookback_hours=config["lookback_hours"],
            on_bad_line=on_bad_line,
            rejects_path=(config["rejects_path"] or None) if on_bad_line == "reject" else None,
            max_reject_ratio=config["max_reject_ratio"],
            spool_path=Path(spool).expanduser() if spool else None,
            max_spool_bytes=config["max_spool_gb"] * _GIB,
            max_member_bytes=config["max_member_gb"] * _GIB,
            answer_seconds=config["request_timeout_seconds"],
            retry_seconds=config["max_retry_seconds"],
            batch=_batch_in(config),
        )

    @property
    def start(self) -> datetime | None:
        """The first hour."""
        return floor_to_hour(self.start_date) if self.start_date else None

    @property
    def end(self) -> datetime | None:
        """The first hour that is not wanted."""
        return ceil_to_hour(self.end_date) if self.end_date else None

    @property
    def place(self) -> str:
        """Where events come from, for messages."""
        return self.archive_path or self.base_url


def _batch_in(config: Mapping[str, Any]) -> BatchConfig | None:
    batch = config.get("batch_config") or {}
    encoding, storage = batch.get("encoding") or {}, batch.get("storage") or {}
    if encoding.get("format") == "records" or not storage.get("root"):
        return None
    return BatchConfig(
        encoding=BaseBatchFileEncoding(
            format=encoding.get("format") or "jsonl",
            compression=encoding.get("compression") or "gzip",
        ),
        storage=StorageTarget(
            root=storage["root"],
            prefix=storage.get("prefix"),
            params=storage.get("params") or {},
        ),
    )


def date_in(config: Mapping[str, Any], name: str) -> datetime | None:
    """Return a date of a configuration; None when it is not set, or no date."""
    value = config.get(name)
    return parse(value) if value else None
