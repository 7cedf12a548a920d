"""The tap: its settings, its streams and its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities

from tap_amplitude.common.checked_mapper import CheckedMapper
from tap_amplitude.errors import FixConfiguration
from tap_amplitude.output.messages import MessageWriter
from tap_amplitude.sdk import SdkTap
from tap_amplitude.settings import SETTINGS
from tap_amplitude.state.given_state import checked_state
from tap_amplitude.streams.base import HourlyStream
from tap_amplitude.streams.daily import FIGURES
from tap_amplitude.streams.events import EventsStream
from tap_amplitude.streams.lists import LISTS, Project, ProjectStream
from tap_amplitude.streams.merged_ids import MergedIdsStream
from tap_amplitude.streams.reject_share import RejectLimit, RejectShare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_sdk import Stream
    from singer_sdk.helpers.capabilities import CapabilitiesEnum


class TapAmplitude(SdkTap):
    """Raw events of an Amplitude project: every event of every export hour, nothing twice."""

    name = "tap-amplitude"
    config_jsonschema: ClassVar[dict[str, Any]] = SETTINGS.to_dict()
    message_writer_class = MessageWriter

    # Without ACTIVATE_VERSION: events are only ever added, no version replaces another.
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.BATCH,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def discover_streams(self) -> Sequence[Stream]:
        """Return the streams of the tap."""
        project = Project(self)
        return [
            EventsStream(self),
            MergedIdsStream(self),
            *(stream(self, project) for stream in (*LISTS, *FIGURES)),
        ]

    @property
    def streams(self) -> dict[str, Stream]:
        """The streams by name; events first, so that nothing else can keep them waiting."""
        found = super().streams
        name = EventsStream.name
        return {name: found[name]} | found if name in found else found

    def before_sync(self) -> None:
        """Refuse, before hours are exported, selected streams that cannot be read.

        Raises:
            FixConfiguration: A selected stream lacks a setting.
        """
        for stream in self.streams.values():
            if stream.selected and isinstance(stream, ProjectStream):
                stream.check_needs()

    def after_sync(self) -> None:
        """End the run by its rejects.

        Raises:
            TooManyRejects: More lines were rejected than the settings allow.
        """
        RejectLimit(self.settings).stop_at_the_end(self._reject_shares())

    def _reject_shares(self) -> list[RejectShare]:
        shares = (
            stream.reject_share
            for stream in self.streams.values()
            if isinstance(stream, HourlyStream)
        )
        return [share for share in shares if share is not None]

    def setup_mapper(self) -> None:
        """Make the stream maps.

        Raises:
            FixConfiguration: They do not fit the streams that there are.
        """
        mapper = CheckedMapper(self.config, self.logger)
        self.mapper = mapper
        mapper.register_raw_streams_from_catalog(self.catalog)
        if unmet := [key for key, _ in mapper.sources() if key not in mapper.met]:
            streams = ", ".join(sorted(entry.tap_stream_id for entry in self.catalog.streams))
            raise FixConfiguration(
                f"`stream_maps` has an entry for {', '.join(unmet)}, and there is no such stream.",
                remedy=f"There are {streams}.",
            )

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the state of the last run; see `checked_state`."""
        super().load_state(checked_state(state))
