"""What Amplitude knows about a project beside its events: lists, each read as a whole in each run.

All of them are off until they are selected, as are the figures of `daily_streams`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import StreamSchema
from singer_sdk.schema.source import SchemaDirectory
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_amplitude import schemas
from tap_amplitude.api.connection import Connection
from tap_amplitude.api.project import ProjectApi
from tap_amplitude.errors import FixConfiguration
from tap_amplitude.sdk import SdkStream, SdkTap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from singer_sdk.helpers.types import Context, Record


class Project:
    """A project of Amplitude; nothing is read before it is needed."""

    def __init__(self, tap: SdkTap) -> None:
        self._tap = tap

    @cached_property
    def api(self) -> ProjectApi:
        """The client: one for all streams, because Amplitude's limits hold for all of them."""
        settings = self._tap.settings
        connection = Connection.of(settings, self._tap.user_agent)
        return ProjectApi(connection, retry_seconds=settings.retry_seconds)

    @cached_property
    def planned_events(self) -> list[dict[str, Any]]:
        """The event types of the tracking plan, asked for once: their properties need them, too."""
        return self.api.rows(
            "/api/2/taxonomy/event", {}, inside="data", key="event_type", what="taxonomy_events"
        )


class ProjectStream(SdkStream):
    """A stream of one of the endpoints that answer with JSON."""

    selected_by_default = False
    schema = StreamSchema(SchemaDirectory(schemas))
    #: What must be set beside `archive_path`.
    needs: ClassVar[Sequence[str]] = ("api_key", "secret_key")

    def __init__(self, tap: SdkTap, project: Project) -> None:
        super().__init__(tap)
        self.project = project

    def check_needs(self) -> None:
        """Make sure, before anything is read, that the API can be asked.

        Raises:
            FixConfiguration: A setting is missing.
        """
        missing = [name for name in self.needs if not getattr(self.settings, name)]
        if missing:
            raise FixConfiguration(
                f"The stream `{self.name}` is read from Amplitude's API, also with "
                f"`archive_path`, and needs {' and '.join(f'`{name}`' for name in missing)}.",
                remedy="Set what is missing, or deselect the stream.",
            )

    def probe(self) -> str:
        """Ask for a little of the stream; return what came, in words.

        Raises:
            TapError: It cannot be read.
        """
        raise NotImplementedError

    def saved(self) -> str:
        """Return what is safe when the run fails now."""
        return f"`{self.name}` is incomplete in this run; the next one reads it as a whole."


class ListStream(ProjectStream):
    """A list that one response holds as a whole."""

    replication_method = REPLICATION_FULL_TABLE
    path: ClassVar[str]
    parameters: ClassVar[Mapping[str, str]] = {}
    inside: ClassVar[str] = "data"

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002
        """Return a record for each entry, as Amplitude sends it."""
        return self.rows()

    def rows(self, **parameters: str) -> list[dict[str, Any]]:
        """Ask for the list, with further parameters."""
        return self.project.api.rows(
            self.path,
            {**self.parameters, **parameters},
            inside=self.inside,
            key=self.primary_keys[-1],
            what=self.name,
        )

    def probe(self) -> str:
        """Ask for the list; see `ProjectStream.probe`."""
        number = len(self.rows())
        return "1 entry" if number == 1 else f"{number:,} entries"


class CohortsStream(ListStream):
    """Cohorts: their definition and size, not their members."""

    name = "cohorts"
    primary_keys = ("id",)
    path = "/api/3/cohorts"
    parameters: ClassVar[Mapping[str, str]] = {"includeSyncInfo": "true"}
    inside = "cohorts"


class AnnotationsStream(ListStream):
    """Notes on charts: releases, campaigns."""

    name = "annotations"
    primary_keys = ("id",)
    path = "/api/3/annotations"


class EventTypesStream(ListStream):
    """Events that are visible in Amplitude, with their totals of the current week."""

    name = "event_types"
    primary_keys = ("value",)
    path = "/api/2/events/list"


class TaxonomyEventsStream(ListStream):
    """Event types of the tracking plan, without hidden and deleted ones."""

    name = "taxonomy_events"
    primary_keys = ("event_type",)

    def rows(self, **_: str) -> list[dict[str, Any]]:
        """Ask for the list, unless another stream has."""
        return self.project.planned_events


class TaxonomyCategoriesStream(ListStream):
    """Categories of the event types."""

    name = "taxonomy_categories"
    primary_keys = ("id",)
    path = "/api/2/taxonomy/category"


class TaxonomyEventPropertiesStream(ListStream):
    """Properties of events: those that all events share, then those of each event type."""

    name = "taxonomy_event_properties"
    primary_keys = ("event_type", "event_property")
    path = "/api/2/taxonomy/event-property"

    def get_records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        """Read the lists, one request for each event type: no request gives them all.

        `event_type` is empty where all events share a property: a key must not be null.
        """
        for row in self.rows():
            yield {**row, "event_type": row.get("event_type") or ""}
        for event in self.project.planned_events:
            name = event["event_type"]
            for row in self.rows(event_type=name):
                yield {**row, "event_type": name}


class TaxonomyUserPropertiesStream(ListStream):
    """Properties of users; custom ones begin with `gp:`."""

    name = "taxonomy_user_properties"
    primary_keys = ("user_property",)
    path = "/api/2/taxonomy/user-property"


class TaxonomyGroupPropertiesStream(ListStream):
    """Properties of groups that all group types share; custom ones begin with `grp:`."""

    name = "taxonomy_group_properties"
    primary_keys = ("group_property",)
    path = "/api/2/taxonomy/group-property"


LISTS: Sequence[type[ProjectStream]] = (
    CohortsStream,
    AnnotationsStream,
    EventTypesStream,
    TaxonomyEventsStream,
    TaxonomyCategoriesStream,
    TaxonomyEventPropertiesStream,
    TaxonomyUserPropertiesStream,
    TaxonomyGroupPropertiesStream,
)
