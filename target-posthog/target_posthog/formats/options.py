"""What the user decides about the conversion; see the settings of the same names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_posthog.formats.names import EventNames, PropertyNames

if TYPE_CHECKING:
    from target_posthog.settings import PersonProfiles, Settings, UserProperties


@dataclass(frozen=True)
class Options:
    """The user's decisions; names and globs are compiled, and note which of them something met."""

    names: EventNames = field(default_factory=EventNames)
    person_profiles: PersonProfiles = "always"
    user_properties: UserProperties = "set"
    properties: PropertyNames = field(default_factory=PropertyNames)

    @classmethod
    def of(cls, settings: Settings) -> Options:
        """Return what the settings say."""
        return cls(
            EventNames(
                settings.event_names,
                settings.skip_events,
                standard_events=settings.standard_events,
            ),
            settings.person_profiles,
            settings.user_properties,
            PropertyNames(settings.property_names, settings.skip_properties),
        )

    def makes_person(self, *, is_user: bool) -> bool:
        """Return True if PostHog is to make a person of an event (setting `person_profiles`)."""
        if self.person_profiles == "identified_only":
            return is_user
        return self.person_profiles == "always"
