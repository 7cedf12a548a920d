"""An ordinary target: a `BatchSink` that converts, and posts a thousand events with requests."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import requests
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink
from typing_extensions import override

from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.options import Options
from target_posthog.model import Converted
from target_posthog.posthog.people import identity_event

_AMPLITUDE = Amplitude(Options())
_HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
#: zlib's usual level; Python's gzip takes 9 by itself, which costs half as much again.
_LEVEL = 6


class PosthogSink(BatchSink):
    """Sends the events of one stream."""

    max_size = 1000

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._session = requests.Session()
        self._joined: set[str] = set()

    @override
    def process_batch(self, context: dict[str, Any]) -> None:
        batch = [event for record in context["records"] for event in self._events(record)]
        body = {"api_key": "phc_benchmark", "historical_migration": True, "batch": batch}
        self._session.post(
            f"{self.config['host']}/batch/",
            data=gzip.compress(json.dumps(body, default=float).encode(), _LEVEL),
            headers=_HEADERS,
            timeout=60,
        ).raise_for_status()

    def _events(self, record: dict[str, Any]) -> list[dict[str, Any]]:
        converted = _AMPLITUDE.convert({name: _plain(value) for name, value in record.items()})
        if not isinstance(converted, Converted):
            return []
        link, event = converted.link, converted.event
        if link is None or link.device_id in self._joined:
            return [event]
        self._joined.add(link.device_id)
        return [identity_event("alias", link, event["timestamp"]), event]


def _plain(value: Any) -> Any:
    """Undo what the SDK's reader makes of times and of floats."""
    if isinstance(value, datetime):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


class TargetStock(Target):
    """Sends events to PostHog."""

    name = "target-stock"
    config_jsonschema = th.PropertiesList(
        th.Property("host", th.StringType, required=True)
    ).to_dict()
    default_sink_class = PosthogSink
