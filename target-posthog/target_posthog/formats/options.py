"""What the user decides about the conversion; see the settings of the same names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from target_posthog.formats.names import EventNames, PropertyNames

if TYPE_CHECKING:
    from collections.abc import Mapping

PersonProfiles = Literal["always", "identified_only", "never"]
UserProperties = Literal["set", "set_once", "ignore"]


@dataclass(frozen=True)
class Options:
    """The user's decisions; names and globs are compiled, and note which of them something met."""

    names: EventNames = field(default_factory=EventNames)
    person_profiles: PersonProfiles = "always"
    user_properties: UserProperties = "set"
    properties: PropertyNames = field(default_factory=PropertyNames)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Options:
        """Return the options for settings as a user writes them."""
        return cls(
            EventNames(
                _renames(config["event_names"]),
                config["skip_events"],
                standard_events=config["standard_events"],
            ),
            config["person_profiles"],
            config["user_properties"],
            PropertyNames(_renames(config["property_names"]), config["skip_properties"]),
        )

    def makes_person(self, *, is_user: bool) -> bool:
        """Return True if PostHog is to make a person of an event (setting `person_profiles`)."""
        if self.person_profiles == "identified_only":
            return is_user
        return self.person_profiles == "always"


def _renames(setting: list[dict[str, str]]) -> dict[str, str]:
    return {rename["from"]: rename["to"] for rename in setting}
