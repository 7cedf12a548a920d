"""(f) An ordinary target for other taps' records: a `BatchSink`, and the mapping by hand.

python -m benchmarks.plain --config=ENV

It posts a thousand events at once with `json`, `gzip` and `requests`. An event's id is made of the
whole record, as target-posthog's is, so that no two records share one.
"""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import datetime
from typing import Any

import requests
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink
from typing_extensions import override

_HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
#: zlib's usual level; Python's gzip takes 9 by itself, which costs half as much again.
_LEVEL = 6
_NAMESPACE = uuid.UUID("5b8f2f5e-5d0c-4c0e-9d5b-0f6c2a7d1e34")
_PROPERTIES = (
    "id",
    "number",
    "total",
    "items",
    "paid",
    "currency",
    "note",
    "updated_at",
    "shipping",
)
_LIB = {"$geoip_disable": True, "$lib": "target-plain", "$lib_version": "0"}


class PosthogSink(BatchSink):
    """Sends the orders."""

    max_size = 1000

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._session = requests.Session()

    @override
    def process_batch(self, context: dict[str, Any]) -> None:
        batch = [_event(record) for record in context["records"]]
        body = {"api_key": "phc_benchmark", "historical_migration": True, "batch": batch}
        self._session.post(
            f"{self.config['host']}/batch/",
            data=gzip.compress(json.dumps(body, default=_plain).encode(), _LEVEL),
            headers=_HEADERS,
            timeout=60,
        ).raise_for_status()


def _event(record: dict[str, Any]) -> dict[str, Any]:
    whole = json.dumps(record, sort_keys=True, default=_plain)
    properties = {name: record[name] for name in _PROPERTIES if record[name] is not None}
    person = {"email": record["email"], "country": record["shipping"]["country"]}
    return {
        "uuid": str(uuid.uuid5(_NAMESPACE, whole)),
        "event": record["kind"],
        "distinct_id": record["customer_id"],
        "timestamp": record["placed_at"],
        "properties": {**properties, "$set": person, **_LIB},
    }


def _plain(value: Any) -> Any:
    """Undo what the SDK's reader makes of times and of floats."""
    return value.isoformat() if isinstance(value, datetime) else float(value)


class TargetPlain(Target):
    """Sends orders to PostHog."""

    name = "target-plain"
    config_jsonschema = th.PropertiesList(
        th.Property("host", th.StringType, required=True)
    ).to_dict()
    default_sink_class = PosthogSink


if __name__ == "__main__":
    TargetPlain.cli()
