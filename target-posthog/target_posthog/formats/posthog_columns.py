"""PostHog's own exports: which column of an event has which place in what capture takes.

Batch exports to files, BigQuery, Snowflake, PostgreSQL and Redshift (PostHog/posthog
batch_exports/sql/events_*.sql; posthog.com, docs/cdp/batch-exports), the events API and the HogQL
table each name the parts of an event in their own way, objects often as text, Snowflake's names in
capitals where another tool made the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.json_codec import loads
from target_posthog.model import is_empty
from target_posthog.posthog.uuids import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.model import Json

#: What the event is, where PostHog reads it.
_PARTS = ("uuid", "event", "distinct_id", "timestamp", "properties", "$set", "$set_once")
#: Other names of these.
_SAME = {
    "set": "$set",
    "set_once": "$set_once",
    "people_set": "$set",
    "people_set_once": "$set_once",
}
#: Columns that are properties of the event under another name.
_PROPERTIES = {"elements_chain": "$elements_chain", "ip": "$ip"}
#: What the project that the event came from knew of it. It is true there only, so it stays together
#: under one name: another project has its own team, people and times of arrival.
SOURCE = "posthog_source"
_OF_SOURCE = frozenset(
    {
        *("team_id", "site_url", "created_at", "person_id", "person_created_at", "person_mode"),
        *("inserted_at", "_inserted_at", "_timestamp", "_offset", "_partition", "now", "sent_at"),
        *("bq_ingested_timestamp", "offset", "person", "elements"),
        *(f"$group_{number}" for number in range(5)),
        *(f"group{number}_properties" for number in range(5)),
        *(f"group{number}_created_at" for number in range(5)),
    }
)
#: All of them.
COLUMNS = frozenset({*_PARTS, *_SAME, *_PROPERTIES, *_OF_SOURCE, "person_properties", "id"})
#: What PostHog keeps of a person from the first event on.
_FIRST = "$initial_"
_CREATOR = "$creator_event_uuid"
#: How an export marks an event without a person profile.
_PERSONLESS = "propertyless"


class NoObjectError(ValueError):
    """A column that must hold an object holds something else."""


def placed(record: Mapping[str, Any]) -> Json:
    """Return an event as capture takes it, with every column in its place.

    Any other field is a property; the event's own property of the same name wins.

    Raises:
        NoObjectError: the properties, or those of the person, are no object.
    """
    columns = in_lower_case(record)
    others = {name: value for name, value in columns.items() if name not in COLUMNS}
    properties: Json = {**others, **object_of(columns.get("properties"))}
    for column, name in _PROPERTIES.items():
        _fill(properties, name, columns.get(column))
    _fill(properties, "$elements_chain", _chain(columns.get("elements")))
    if columns.get("person_mode") == _PERSONLESS:
        _fill(properties, "$process_person_profile", False)  # noqa: FBT003 - the property's value
    _place_person(properties, columns)
    _fill(properties, SOURCE, _of_source(columns, has_chain="$elements_chain" in properties))
    event = {name: columns.get(name) for name in ("uuid", "event", "distinct_id", "timestamp")}
    if is_empty(event["uuid"]):
        # The API's name for it; anybody else's is a property.
        event["uuid"] = canonical_uuid(columns.get("id"))
        if event["uuid"] is None:
            _fill(properties, "id", columns.get("id"))
    return {**event, "properties": properties}


def object_of(value: Any) -> Json:
    """Return an object, also one that is written as text, even twice; nothing is an empty one.

    Raises:
        NoObjectError: it is something else.
    """
    for _ in range(2):
        if isinstance(value, str) and value.strip():
            value = _read(value)
    found = value or {}
    if isinstance(found, str) and not found.strip():
        return {}
    if not isinstance(found, dict):
        raise NoObjectError
    return found


def in_lower_case(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record with the columns' own names, where a database gave them capitals."""
    if "event" in record:
        return record
    lower = {
        name: name.lower() for name in record if name not in COLUMNS and name.lower() in COLUMNS
    }
    taken = record.keys()
    return {
        lower[name] if name in lower and lower[name] not in taken else name: value
        for name, value in record.items()
    }


def _place_person(properties: Json, columns: Mapping[str, Any]) -> None:
    """Put the properties of the person where PostHog takes it from.

    What the event itself set goes before what the person had at the time.
    """
    had = object_of(columns.get("person_properties"))
    person = columns.get("person")
    if not had and isinstance(person, dict):
        had = object_of(person.get("properties"))
    first = {name for name in had if name.startswith(_FIRST) or name == _CREATOR}
    updates = {
        "$set": {name: value for name, value in had.items() if name not in first},
        "$set_once": {name: had[name] for name in had if name in first},
    }
    for key, of_person in updates.items():
        of_event = object_of(properties.get(key))
        for column in (name for name in (key, *_SAME) if _SAME.get(name, name) == key):
            # As PostHog merges them itself on /batch/ (nodejs, `sanitizeEvent`).
            of_event = {**of_event, **object_of(columns.get(column))}
        together = {**of_person, **of_event}
        if together or key in properties:
            properties[key] = together


def _of_source(columns: Mapping[str, Any], *, has_chain: bool) -> Json:
    """Return what only the project knew that the event came from."""
    found = {name: columns[name] for name in sorted(_OF_SOURCE & columns.keys())}
    if has_chain:
        # The same elements in another form.
        found.pop("elements", None)
    if isinstance(found.get("person"), dict):
        # Its properties are set on the person, under names by which they can be left out.
        found["person"] = {k: inner for k, inner in found["person"].items() if k != "properties"}
    return {name: value for name, value in found.items() if not _says_nothing(value)}


def _chain(elements: Any) -> str | None:
    """Return the chain of elements in the column `elements`, which some exports write as JSON."""
    for _ in range(2):
        if isinstance(elements, str) and elements.startswith('"'):
            try:
                elements = loads(elements)
            except ValueError:
                break
    is_chain = isinstance(elements, str) and not elements.lstrip().startswith(("[", "{"))
    return elements if is_chain else None


def _says_nothing(value: Any) -> bool:
    return is_empty(value) or value in ("[]", "{}")


def _fill(properties: Json, name: str, value: Any) -> None:
    if not is_empty(value) and is_empty(properties.get(name)):
        properties[name] = value


def _read(text: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise NoObjectError from error
