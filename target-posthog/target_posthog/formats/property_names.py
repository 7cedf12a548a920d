"""What the user wants of property names: some called otherwise, some left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from target_posthog.formats.event_names import any_of, each_of, note_met

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Mapping, Sequence

#: Old name and new name of each property that stays, or None when all stay as they are.
Wishes = tuple[tuple[str, str], ...] | None


@dataclass(frozen=True)
class PropertyNames:
    """The user's renames and drops of properties, compiled once.

    Attributes:
        renames: Amplitude name → name in PostHog.
        skipped: one expression for all names and globs of `skip_properties`, or None.
        met: the old names and the globs that a property came for.
        globs: each of `skip_properties`, by itself.
    """

    renames: Mapping[str, str]
    skipped: re.Pattern[str] | None = None
    met: set[str] = field(default_factory=set, compare=False)
    globs: Mapping[str, re.Pattern[str]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, renames: Mapping[str, str], skip_properties: Sequence[str] = ()) -> PropertyNames:
        """Compile the settings."""
        return cls(renames, any_of(skip_properties), globs=each_of(skip_properties))

    def skips(self, name: str) -> bool:
        """Tell whether the user leaves this property out."""
        if self.skipped is None or self.skipped.fullmatch(name) is None:
            return False
        note_met(self.met, self.globs, name)
        return True

    def wishes(self, names: Iterable[str]) -> Wishes:
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

    def applied(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the properties as the user wants them."""
        return granted(self.wishes(properties), properties)


def granted(wishes: Wishes, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return properties with their new names, without those that are left out."""
    if wishes is None:
        return properties
    return {new: properties[old] for old, new in wishes}
