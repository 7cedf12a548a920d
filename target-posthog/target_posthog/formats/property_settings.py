"""The settings of properties and people, for events that are no Amplitude rows.

Amplitude rows have them on their way (`amplitude/convert.py`); here they come last, over what the
mapping of a stream or a PostHog event says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.json_codec import dumps, loads
from target_posthog.model import Converted, GroupState, Json, Rejected
from target_posthog.posthog.names import MERGE_NAMES, NEED_A_PERSON, problem_without_person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.formats.options import Options

#: What tells people, groups and their merges: it stays under its name, whatever is left out.
_STAYS = frozenset(
    {
        "$anon_distinct_id",
        "$cookieless_mode",
        "$geoip_disable",
        "$group_key",
        "$group_type",
        "$ignore_sent_at",
        "$process_person_profile",
    }
)
#: The names of both ids of a merge, which PostHog looks for in the properties.
_IDS_OF_A_MERGE = frozenset({"alias", "distinct_id"})
#: Objects that hold properties of a person or a group.
_HOLDERS = ("$set", "$set_once", "$group_set")
#: Names of the ids that browsers and devices have.
_ANONYMOUS = ("$device_id", "device_id", "anonymous_id")


class PropertySettings:
    """`skip_properties`, `property_names`, `user_properties` and `person_profiles`."""

    def __init__(self, options: Options) -> None:
        self._names = options.properties
        self._user = options.user_properties
        self._people = options.person_profiles
        self._has_paths = any("." in glob for glob in self._names.skipped)
        self._renames = bool(self._names.renames or self._names.skipped)

    def applied(self, converted: Converted) -> Converted:
        """Return an event, and what it tells about groups, as the user wants them."""
        if not self._renames and self._user == "set":
            return converted
        event = converted.event
        properties = dict(event["properties"])
        if self._renames:
            properties = self._named(properties, is_merge=event["event"] in MERGE_NAMES)
        if self._user != "set":
            _hold_back(properties, keep_on_event=self._user == "ignore")
        groups = tuple(
            GroupState(group.group_type, group.group_key, wanted, group.source)
            for group in converted.groups
            if (wanted := self._wanted(group.properties))
        )
        return converted._replace(event={**event, "properties": properties}, groups=groups)

    def with_person(self, converted: Converted) -> Converted | Rejected:
        """Return an event of PostHog's own form with the person that `person_profiles` wants.

        With `always` the event itself says it.
        """
        event = converted.event
        properties: Json = event["properties"]
        is_personal = self._people == "always" or (
            self._people == "identified_only" and _is_identified(event)
        )
        if is_personal:
            return converted
        problem = problem_without_person(event["event"])
        if problem is not None:
            return problem
        marked = {**properties, "$process_person_profile": False}
        return Converted({**event, "properties": marked})

    def _named(self, properties: Json, *, is_merge: bool) -> Json:
        """Return the properties without what is left out, and with their new names."""
        stays = _STAYS | _IDS_OF_A_MERGE if is_merge else _STAYS
        own = {name: value for name, value in properties.items() if name in stays}
        free = {
            name: value
            for name, value in properties.items()
            if name not in stays and name not in _HOLDERS
        }
        named = {**self._wanted(free), **own}
        for name in _HOLDERS:
            held = properties.get(name)
            if held is None or self._names.skips(name):
                continue
            named[name] = self._wanted(held) if isinstance(held, dict) else held
        return named

    def _wanted(self, properties: Mapping[str, Any]) -> Json:
        if self._has_paths:
            properties = {
                name: self._within(inner, f"{name}.") for name, inner in properties.items()
            }
        return dict(self._names.renamed(properties)) if self._renames else dict(properties)

    def _within(self, value: Any, inside: str) -> Any:
        """Return a value without the parts whose path is left out, such as `customer.email`.

        A text may be JSON, as databases hold objects.
        """
        if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
            whole = _parsed(value)
            wanted = self._within(whole, inside)
            return value if wanted == whole else dumps(wanted).decode()
        if isinstance(value, list):
            return [self._within(item, inside) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self._within(item, f"{inside}{name}.")
            for name, item in value.items()
            if not self._names.skips(f"{inside}{name}")
        }


def _hold_back(properties: Json, *, keep_on_event: bool) -> None:
    """Keep history from overwriting what a live project knows of a person.

    The properties are changed. With `keep_on_event` the person is told nothing, else only what it
    does not have yet.
    """
    state, first = (_object(properties.pop(name, None)) for name in ("$set", "$set_once"))
    gone = properties.pop("$unset", None)
    updates = {**state, **first}
    if keep_on_event:
        updates |= {} if gone is None else {"$unset": gone}
        name = "user_properties"
        while name in properties:
            name = f"${name}"
        if updates:
            properties[name] = updates
    elif updates:
        properties["$set_once"] = updates


def _is_identified(event: Json) -> bool:
    """Return True if a PostHog event is somebody's who is known, by what PostHog's SDKs write."""
    properties: Json = event["properties"]
    is_identified = properties.get("$is_identified")
    if isinstance(is_identified, bool) and event["event"] not in NEED_A_PERSON:
        return is_identified
    return event["distinct_id"] not in [properties.get(name) for name in _ANONYMOUS]


def _parsed(text: str) -> Any:
    """Return what a text says when it is JSON, else None."""
    try:
        return loads(text)
    except ValueError:
        return None


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
