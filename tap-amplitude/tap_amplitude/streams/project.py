"""What the streams of one project share: settings, API, and a list that two of them need."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_amplitude.api.connection import Connection
from tap_amplitude.api.project import ProjectApi
from tap_amplitude.settings import Settings

if TYPE_CHECKING:
    from singer_sdk.tap_base import Tap


class Project:
    """A project of Amplitude; nothing is read before it is needed.

    Args:
        tap: The tap, for its settings.
    """

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    @cached_property
    def settings(self) -> Settings:
        """The settings of the tap."""
        return Settings.read(self._tap.config)

    @cached_property
    def api(self) -> ProjectApi:
        """The client: one for all streams, because Amplitude's limits hold for all of them."""
        user_agent = f"{self._tap.name}/{self._tap.plugin_version}"
        connection = Connection.of(self.settings, user_agent)
        return ProjectApi(connection, retry_seconds=self.settings.retry_seconds)

    @cached_property
    def planned_events(self) -> list[dict[str, Any]]:
        """The event types of the tracking plan, asked for once: their properties need them, too."""
        return self.api.rows(
            "/api/2/taxonomy/event", {}, inside="data", key="event_type", what="taxonomy_events"
        )
