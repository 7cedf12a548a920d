"""What an event is called: its Amplitude name, unless the user maps it; and which are left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: PostHog's own names, where the meaning is the same (setting `standard_events`): posthog-js for
#: the web, posthog-ios and posthog-android for apps.
STANDARD_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "[Amplitude] Page Viewed": "$pageview",
        "[Amplitude] Screen Viewed": "$screen",
        "[Amplitude] Application Installed": "Application Installed",
        "[Amplitude] Application Updated": "Application Updated",
        "[Amplitude] Application Opened": "Application Opened",
        "[Amplitude] Application Backgrounded": "Application Backgrounded",
        "[Amplitude] Deep Link Opened": "Deep Link Opened",
        "[Amplitude] Rage Click": "$rageclick",
        "[Amplitude] Dead Click": "$dead_click",
    }
)

#: Names on which PostHog acts instead of storing what they say: merges of people
#: (person-merge-service.ts) and lanes of their own (rust/capture events/analytics.rs).
#: An Amplitude event of such a name must be renamed by the user.
RESERVED_NAMES = frozenset(
    {
        "$create_alias",
        "$merge_dangerously",
        "$performance_event",
        "$snapshot",
        "$$heatmap",
        "$$client_ingestion_warning",
    }
)


@dataclass(frozen=True)
class EventNames:
    """The user's renames and skips, compiled once.

    Attributes:
        renames: Amplitude name → PostHog name.
        skipped: one expression for all names and globs of `skip_events`, or None.
    """

    renames: Mapping[str, str]
    skipped: re.Pattern[str] | None = None

    @classmethod
    def of(
        cls,
        renames: Mapping[str, str],
        skip_events: Sequence[str] = (),
        *,
        standard_events: bool = False,
    ) -> EventNames:
        """Compile the settings; the user's own renames win over the standard ones."""
        standard = STANDARD_EVENTS if standard_events else {}
        pattern = "|".join(_glob(name) for name in skip_events)
        return cls({**standard, **renames}, re.compile(pattern) if pattern else None)

    def name_of(self, event_type: str) -> str:
        """Return the name to send."""
        return self.renames.get(event_type, event_type)

    def skips(self, event_type: str) -> bool:
        """Tell whether the user leaves this event out."""
        return self.skipped is not None and self.skipped.fullmatch(event_type) is not None


def _glob(name: str) -> str:
    """Return the expression of a name or glob. `[` starts most of Amplitude's own names, so it is
    only a letter here; `*` and `?` are the wildcards."""  # noqa: D205, D209
    return translate(name.replace("[", "[[]"))
