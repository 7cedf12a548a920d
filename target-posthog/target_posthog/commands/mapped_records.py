"""Rejected records once more through stream maps and flattening, as a run puts them.

A rejects file holds a record as it came, and the stream that it came out as. So a map that fixes
its cause acts, and no map acts twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from singer_sdk.mapper import PluginMapper

    from target_posthog.model import Json


class TakesMessages(Protocol):
    """A target, as far as it is needed here."""

    @property
    def mapper(self) -> PluginMapper:
        """The stream maps."""

    def take_message(self, message: Json) -> None:
        """Take a message as of a tap."""


class MappedRecords:
    """Passes records to a target as a tap does: the schema of their stream first."""

    def __init__(self, target: TakesMessages) -> None:
        self._target = target
        #: What is known of each stream: its properties, from the records that came so far.
        self._properties: dict[str, Json] = {}
        self._came_out_as: dict[str, str | None] = {}

    def send(
        self,
        stream: str,
        record: Json,
        *,
        schema: Json,
        key_properties: Sequence[str],
        mapped_to: str | None,
    ) -> None:
        """Send a record.

        `mapped_to` is the stream that the record was rejected as: other maps of its stream made
        events of it then.

        Raises:
            WrongStreamMap: a map does not fit it.
        """
        known = self._properties.setdefault(stream, dict(schema["properties"]))
        found = _properties_of(record, is_row=bool(schema["properties"]))
        is_known = self._came_out_as.get(stream, ...) == mapped_to and found.keys() <= known.keys()
        if not is_known:
            known.update(found)
            self._came_out_as[stream] = mapped_to
            self._make_maps(stream, list(key_properties), mapped_to)
        self._target.take_message({"type": "RECORD", "stream": stream, "record": record})

    def _make_maps(self, stream: str, keys: list[str], mapped_to: str | None) -> None:
        maps = self._target.mapper.stream_maps
        maps.pop(stream, None)
        properties = dict(self._properties[stream])
        schema = {"type": "object", "properties": properties}
        self._target.take_message(
            {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": keys}
        )
        # A map that has another name by now is one of those that there are.
        maps[stream] = [
            stream_map for stream_map in maps[stream] if stream_map.stream_alias == mapped_to
        ] or maps[stream]


def _properties_of(record: Mapping[str, Any], *, is_row: bool) -> Json:
    """Return a schema's properties for a record: flattening asks which are objects.

    No schema knows the inside of an Amplitude row's objects.
    """
    if is_row:
        return {name: {} for name in record}
    return {name: _schema_of(value) for name, value in record.items()}


def _schema_of(value: Any) -> Json:
    if isinstance(value, dict) and value:
        return {"type": "object", "properties": _properties_of(value, is_row=False)}
    return {}
