"""What an event is called: its Amplitude name, unless the user maps it; and which are left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class EventNames:
    """The user's renames and skips, compiled once.

    Attributes:
        renames: Amplitude name → PostHog name.
        skipped: one expression for all names and globs of `skip_events`, or None.
        met: the old names and the globs that an event came for.
        globs: each of `skip_events`, by itself.
    """

    renames: Mapping[str, str]
    skipped: re.Pattern[str] | None = None
    met: set[str] = field(default_factory=set, compare=False)
    globs: Mapping[str, re.Pattern[str]] = field(default_factory=dict, compare=False)

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
        return cls({**standard, **renames}, any_of(skip_events), globs=each_of(skip_events))

    def name_of(self, event_type: str) -> str:
        """Return the name to send."""
        name = self.renames.get(event_type)
        if name is None:
            return event_type
        self.met.add(event_type)
        return name

    def skips(self, event_type: str) -> bool:
        """Tell whether the user leaves this event out."""
        if self.skipped is None or self.skipped.fullmatch(event_type) is None:
            return False
        note_met(self.met, self.globs, event_type)
        return True


def any_of(globs: Sequence[str]) -> re.Pattern[str] | None:
    """Return one expression for names and globs (`*`, `?`), or None when there are none."""
    return re.compile("|".join(map(_glob, globs))) if globs else None


def each_of(globs: Sequence[str]) -> dict[str, re.Pattern[str]]:
    """Return the expression of each name or glob."""
    return {name: re.compile(_glob(name)) for name in globs}


def note_met(met: set[str], globs: Mapping[str, re.Pattern[str]], name: str) -> None:
    """Note which names and globs a name was left out by."""
    met.update([glob for glob, one in globs.items() if glob not in met and one.fullmatch(name)])


def _glob(name: str) -> str:
    """Return the expression of a name or glob. `[` starts most of Amplitude's own names, so it is
    only a letter here; `*` and `?` are the wildcards."""  # noqa: D205, D209
    return translate(name.replace("[", "[[]"))
