"""An ordinary tap of an exported .zip: a typed schema, and `get_records` over gzip and json."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from singer_sdk import Stream, Tap
from singer_sdk import typing as th
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context

_TEXTS = [
    "$insert_id",
    "$insert_key",
    "adid",
    "amplitude_event_type",
    "city",
    "country",
    "data_type",
    "device_brand",
    "device_carrier",
    "device_family",
    "device_id",
    "device_manufacturer",
    "device_model",
    "device_type",
    "dma",
    "event_type",
    "idfa",
    "ip_address",
    "language",
    "library",
    "os_name",
    "os_version",
    "partner_id",
    "platform",
    "region",
    "source_id",
    "start_version",
    "user_id",
    "uuid",
    "version_name",
    "amplitude_attribution_ids",
]
_NUMBERS = ["$schema", "amplitude_id", "app", "event_id", "session_id"]
_FLOATS = ["location_lat", "location_lng", "sample_rate"]
_FLAGS = ["is_attribution_event", "paying"]
_TIMES = [
    "client_event_time",
    "client_upload_time",
    "event_time",
    "processed_time",
    "server_received_time",
    "server_upload_time",
    "user_creation_time",
]
_OBJECTS = [
    "data",
    "event_properties",
    "global_user_properties",
    "group_properties",
    "groups",
    "plan",
    "user_properties",
]


def _properties() -> Iterator[th.Property[Any]]:
    for names, kind in (
        (_TEXTS, th.StringType()),
        (_NUMBERS, th.IntegerType()),
        (_FLOATS, th.NumberType()),
        (_FLAGS, th.BooleanType()),
        (_TIMES, th.DateTimeType()),
        (_OBJECTS, th.ObjectType(additional_properties=True)),
    ):
        for name in names:
            yield th.Property(name, kind)


class ExportedEvents(Stream):
    """The events of exported files."""

    name = "events"
    primary_keys = ("uuid",)
    schema = th.PropertiesList(*_properties()).to_dict()

    @override
    def get_records(self, context: Context | None) -> Iterator[dict[str, Any]]:
        with ZipFile(self.config["path"]) as files:
            for name in files.namelist():
                with files.open(name) as packed, gzip.open(packed, "rt", encoding="utf-8") as lines:
                    for line in lines:
                        yield json.loads(line)


class TapStock(Tap):
    """Reads exported files."""

    name = "tap-stock"
    config_jsonschema = th.PropertiesList(
        th.Property("path", th.StringType, required=True)
    ).to_dict()

    @override
    def discover_streams(self) -> list[Stream]:
        return [ExportedEvents(self)]
