"""The properties of an event of another tap: what is picked, and what updates people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.formats.ids import UnfitError
from target_posthog.formats.selectors import picker
from target_posthog.model import Json, Rejected
from target_posthog.posthog.library import add_lib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_posthog.formats.mappings import StreamMapping
    from target_posthog.formats.selectors import Picker
    from target_posthog.formats.stream_people import Group

#: What PostHog takes of a person and of groups from the properties.
_OBJECTS = ("$set", "$set_once", "$groups")


class RecordProperties:
    """Makes the properties of one stream's events.

    Attributes:
        picked: gives the properties that the mapping takes of a record, as an object of their own.
    """

    def __init__(self, mapping: StreamMapping) -> None:
        self.picked: Picker = dict if mapping.properties is None else picker(mapping.properties)
        parts = (("$set", mapping.set), ("$set_once", mapping.set_once))
        #: What the mapping tells of the person, and what gives it.
        self._tells = tuple((name, picker(picks)) for name, picks in parts if picks)

    def of(self, record: Mapping[str, Any], groups: Sequence[Group], *, personal: bool) -> Json:
        """Return the properties of an event.

        Raises:
            UnfitError: one that PostHog acts on is no object.
        """
        properties = self.picked(record)
        for name in _OBJECTS:
            there = properties.get(name)
            if there and not isinstance(there, dict):
                reason = "The record's $set, $set_once or $groups is no object."
                raise UnfitError(Rejected("bad_event", reason))
        for name, tell in self._tells:
            _add(properties, name, tell(record))
        if groups:
            _add(properties, "$groups", {group.mapped.group_type: group.key for group in groups})
        if not personal:
            properties["$process_person_profile"] = False
        properties["$geoip_disable"] = True
        add_lib(properties)
        return properties


def _add(properties: Json, name: str, more: Json) -> None:
    if more:
        properties[name] = {**(properties.get(name) or {}), **more}
