"""What events and properties are called: some are renamed, some left out, and some refused."""

from __future__ import annotations

import re
from fnmatch import translate
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.cache import Memo
from target_posthog.model import Rejected, Skipped
from target_posthog.posthog.names import MAX_EVENT_NAME_LENGTH, problem_of_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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

#: How many names of events are remembered.
_MOST_KNOWN = 10_000

#: Old name and new name of each property that stays, or None when all stay as they are.
Renames = tuple[tuple[str, str], ...] | None


class _Names:
    """Renames, and names and globs (`*`, `?`) that are left out; compiled once.

    Args:
        renames: old name → new name.
        skipped: what is left out.

    Attributes:
        renames, skipped: these.
        met: the old names, and the names and globs of `skipped`, that something came for.
    """

    def __init__(
        self, renames: Mapping[str, str] | None = None, skipped: Sequence[str] = ()
    ) -> None:
        self.renames = renames or {}
        self.skipped = skipped
        self.met: set[str] = set()
        self._patterns = {glob: re.compile(_pattern_of(glob)) for glob in skipped}
        one_for_all = re.compile("|".join(map(_pattern_of, skipped)))
        self._is_skipped = one_for_all.fullmatch if skipped else None

    def skips(self, name: str) -> bool:
        """Return True if the user leaves this name out."""
        if self._is_skipped is None or self._is_skipped(name) is None:
            return False
        patterns = self._patterns.items()
        self.met.update([glob for glob, pattern in patterns if pattern.fullmatch(name)])
        return True


class NamedEvent(NamedTuple):
    """What an event is called, and why it is left out or rejected."""

    name: str
    outcome: Skipped | Rejected | None


class EventNames(_Names):
    """What events are called: the user's own renames win over the standard ones.

    Args:
        renames: old name → new name.
        skipped: what is left out.
        standard_events: whether PostHog's own names count, too.

    Attributes:
        known: what was decided of names that were met before, for a loop to look into.
    """

    def __init__(
        self,
        renames: Mapping[str, str] | None = None,
        skipped: Sequence[str] = (),
        *,
        standard_events: bool = False,
    ) -> None:
        standard = STANDARD_EVENTS if standard_events else {}
        super().__init__({**standard, **(renames or {})}, skipped)
        self.known: Memo[str, NamedEvent] = Memo(_MOST_KNOWN)
        self._own = frozenset(renames or ())

    def named(self, event_type: str) -> NamedEvent:
        """Return what an event is called, and why it is left out, or is nothing to PostHog."""
        return self.known.get(event_type) or self._decided(event_type)

    def name_of(self, event_type: str) -> str | None:
        """Return what the user calls an event; None if it is left out."""
        name = self.renames.get(event_type, event_type)
        if event_type in self.renames:
            self.met.add(event_type)
        return None if self.skips(event_type) else name

    def _decided(self, event_type: str) -> NamedEvent:
        name = self.name_of(event_type)
        if name is None:
            named = NamedEvent(event_type, Skipped("skip_events"))
        else:
            named = NamedEvent(name, problem_of_name(name))
        # What a blank name means is decided by format.
        if event_type.strip() and len(event_type) <= MAX_EVENT_NAME_LENGTH:
            self.known.remember(event_type, named)
        return named

    def rule_of(self, event_type: str) -> str:
        """Return by which rule an event has the name that it has, in words."""
        if event_type not in self.renames:
            return "as it is"
        return "renamed by `event_names`" if event_type in self._own else "`standard_events`"


class PropertyNames(_Names):
    """What the user wants of properties."""

    def renames_for(self, names: Iterable[str]) -> Renames:
        """Return what becomes of properties that stand together.

        A rename gives way when its new name is taken, by another property or by an earlier
        rename: then both keep a name, and no value is lost.
        """
        before = list(names)
        kept = {name: name for name in before if not self.skips(name)}
        taken = set(kept)
        for old, new in self.renames.items():
            if old in kept:
                self.met.add(old)
                if new not in taken:
                    kept[old] = new
                    taken.add(new)
        return None if list(kept.values()) == before else tuple(kept.items())

    def renamed(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the properties as the user wants them."""
        return apply_renames(self.renames_for(properties), properties)


def apply_renames(renames: Renames, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return properties with their new names, without those that are left out."""
    if renames is None:
        return properties
    return {new: properties[old] for old, new in renames}


def _pattern_of(glob: str) -> str:
    """Return the expression of a name or glob, in which `[` is only a letter.

    It starts most of Amplitude's own names.
    """
    return translate(glob.replace("[", "[[]"))
