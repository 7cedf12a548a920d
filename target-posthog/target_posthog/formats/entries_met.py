"""Which entries of the settings a run met something for: what met nothing has had no effect."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from target_posthog.formats.options import Options
    from target_posthog.settings import Settings

#: A setting, and one of its entries.
Entry = tuple[str, str]

#: What an entry is for.
_WANTED = {
    "event_names": "no event had the name",
    "skip_events": "no event had a name like",
    "property_names": "no property had the name",
    "skip_properties": "no property had a name like",
}
#: Not settings, but which streams had records of the two kinds, where only a record tells which it
#: is.
AMPLITUDE_ROWS, OTHER_RECORDS = "Amplitude rows", "other records"


class EntriesMet:
    """The entries of lists in the settings, and which of them met something.

    Args:
        options: they note themselves what they met.

    Attributes:
        mapped: streams with an entry of their own in `streams` that says something.
    """

    def __init__(self, wanted: Iterable[Entry], options: Options) -> None:
        self._wanted = set(wanted)
        self._options = options
        self.mapped: set[str] = set()
        self._met: set[Entry] = set()

    @classmethod
    def of(cls, settings: Settings, options: Options) -> EntriesMet:
        """Return the entries of all lists."""
        lists: dict[str, Iterable[str]] = {
            "event_names": settings.event_names,
            "skip_events": settings.skip_events,
            "property_names": settings.property_names,
            "skip_properties": settings.skip_properties,
        }
        wanted = [(name, entry) for name, entries in lists.items() for entry in entries]
        return cls(wanted, options)

    def want(self, setting: str, entries: Iterable[str]) -> None:
        """Take in more entries."""
        self._wanted.update((setting, entry) for entry in entries)

    def meet(self, setting: str, entry: str) -> None:
        """Note that an entry met something."""
        self._met.add((setting, entry))

    def of_setting(self, setting: str) -> set[str]:
        """Return the entries of a setting that met something here."""
        return {entry for name, entry in self.met() if name == setting}

    def met(self) -> frozenset[Entry]:
        """Return the entries that met something so far."""
        names, properties = self._options.names.met, self._options.properties.met
        found = [
            *((setting, name) for setting in ("event_names", "skip_events") for name in names),
            *(
                (setting, name)
                for setting in ("property_names", "skip_properties")
                for name in properties
            ),
        ]
        return frozenset(self._met.union(found))

    def warnings(self, met_elsewhere: Iterable[Entry]) -> Iterator[str]:
        """Yield a sentence for each setting some entries of which met nothing."""
        met = self.met().union(met_elsewhere)
        unmet = sorted(self._wanted - met)
        for setting, why in _WANTED.items():
            entries = [entry for name, entry in unmet if name == setting]
            if entries:
                yield f"`{setting}` did not act everywhere: {why} {', '.join(entries)}."
        of_rows = {stream for name, stream in met if name == AMPLITUDE_ROWS}
        only_rows = {stream for stream in of_rows if (OTHER_RECORDS, stream) not in met}
        parts = [entry for name, entry in unmet if name == "streams"]
        heads = tuple(f"{stream}: " for stream in only_rows)
        fields = [part for part in parts if not part.startswith(heads)]
        if fields:
            shown = ", ".join(fields)
            yield f"`streams` did not act everywhere: no record had a field for {shown}."
        for stream in sorted(of_rows & self.mapped):
            yield (
                f"`streams` did not act everywhere: what is set for {stream} does nothing for its "
                "Amplitude rows, which have a mapping of their own."
            )


def unmet_streams(
    setting: str, names: Iterable[str], met: Container[str], came: Sequence[str]
) -> Iterator[str]:
    """Yield a sentence if some entries of a setting are for streams that did not come.

    `met` are the names for which a stream came. Where no stream `came` at all, the tap alone has a
    problem.
    """
    unmet = [name for name in names if name not in met]
    if unmet and came:
        yield (
            f"`{setting}` did not act everywhere: no stream came for {', '.join(unmet)}. There "
            f"were: {', '.join(came)}."
        )


def hint(name: str, there: Iterable[str]) -> str:
    """Return the end of a sentence about a name, with the nearest one that there is.

    Warehouses have the names of streams in capitals.
    """
    names = {name.lower(): name for name in there}
    like = difflib.get_close_matches(name.lower(), names, n=1)
    return f". Did you mean `{names[like[0]]}`?" if like else "."
