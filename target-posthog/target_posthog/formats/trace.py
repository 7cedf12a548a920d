"""Which rule made what of one record: the rules note it themselves while they work, if asked to.

A preview shows it. A run asks for no notes, and converts by the same rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What this target writes by itself, such as its marks.
NO_FIELD: tuple[str, ...] = ()
#: By which setting fields are left out.
SKIPPED = "`skip_properties`"
OWN_NAME = "under its own name"


class Reason(NamedTuple):
    """Why an event has something.

    Attributes:
        sources: the fields of the record that it was made of, by their paths, the one that counts
            first; none for what no field holds.
        rule: how, in words.
    """

    sources: tuple[str, ...]
    rule: str


Reasons = dict[str, Reason]


class Trace:
    """Takes the notes on one record.

    Attributes:
        parts: why `event`, `distinct_id`, `timestamp` and `uuid` are what they are.
        properties: why the event has each property.
        inside: the same of what stands in a property that PostHog acts on, such as
            `("$set", "plan")`.
        beside: fields of which other events tell, and how.
        left_out: fields that hold something and that the event does not have, and by which rule.
        columns: the columns of fields that have another name in this record.
    """

    def __init__(self) -> None:
        self.parts: Reasons = {}
        self.properties: Reasons = {}
        self.inside: dict[tuple[str, str], Reason] = {}
        self.beside: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.columns: dict[str, str] = {}

    def leave_out(self, fields: Iterable[str], rule: str) -> None:
        """Note fields that are left out."""
        self.left_out.update(dict.fromkeys(fields, rule))

    def path_of(self, source: str) -> str:
        """Return where a source stands in the record."""
        field, dot, rest = source.partition(".")
        return self.columns.get(source) or f"{self.columns.get(field, field)}{dot}{rest}"


def reasons_of_renames(renames: Iterable[tuple[str, str]], prefix: str = "") -> Reasons:
    """Return why properties have their names; `prefix` stands before the old in a path."""
    renamed = "renamed by `property_names` ({})"
    return {
        new: Reason((prefix + old,), OWN_NAME if old == new else renamed.format(old))
        for old, new in renames
    }


def note_left_out(
    trace: Trace,
    names: Mapping[str, object] | Iterable[str],
    renames: Iterable[tuple[str, str]],
    prefix: str = "",
) -> None:
    """Note which names are not among those that stay."""
    kept = {old for old, _ in renames}
    trace.leave_out((prefix + name for name in names if name not in kept), SKIPPED)
