"""The event's own properties over all others; what is in their way moves aside."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.formats.amplitude.fields import EVENT_PREFIX
from target_posthog.formats.amplitude.notes import (
    MISPLACED,
    moved_aside,
    reasons_of_customer,
    table_note,
)
from target_posthog.formats.amplitude.values import as_is
from target_posthog.formats.names import apply_renames
from target_posthog.formats.trace import Reason, reasons_of_renames
from target_posthog.model import Json, is_empty
from target_posthog.posthog.names import ACTING_NAMES, OWN_NAMES, unused_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from target_posthog.formats.amplitude.row_plans import RowPlan
    from target_posthog.formats.trace import Reasons, Trace


def add_customer(
    row: Mapping[str, Any],
    row_plan: RowPlan,
    properties: Json,
    misplaced: Json,
    trace: Trace | None = None,
) -> None:
    """Add the event's own properties over all others, and move aside what is in their way."""
    customer = row.get("event_properties")
    sent: Mapping[str, Any] = {}
    special = row_plan.special
    reasons: Reasons = {}
    if isinstance(customer, dict):
        plan = row_plan.event_plan(customer)
        if plan.adds:
            note = None if trace is None else table_note(trace, EVENT_PREFIX)
            plan.add_to(properties, customer, note)
        sent = customer if plan.renames is None else apply_renames(plan.renames, customer)
        special = special or plan.special
        if trace is not None:
            reasons = reasons_of_customer(trace, customer, plan.renames)
    else:
        misplaced["event_properties"] = customer
    if misplaced:
        misplaced = {name: value for name, value in misplaced.items() if not is_empty(value)}
    if not special:
        properties.update(misplaced)
        properties.update(sent)
        if trace is not None:
            trace.properties.update({name: MISPLACED[name] for name in misplaced} | reasons)
        return
    fields = row_plan.fields_of(row)
    both = sorted(misplaced.keys() & fields.keys())
    covered = [_Moved(name, misplaced[name], MISPLACED[name]) for name in both]
    # A column that is empty has nothing that stands under its name.
    added = {name: MISPLACED[name] for name in misplaced.keys() - fields.keys()}
    why = {} if trace is None else reasons_of_renames(row_plan.renames) | added
    fields = {**misplaced, **fields}
    properties.update({**fields, **sent})
    if trace is not None:
        trace.properties.update({name: why[name] for name in fields} | reasons)
    moved = [_Moved(name, fields[name], why.get(name)) for name in fields.keys() & sent.keys()]
    moved += _set_aside(properties, row, fields.keys() | sent.keys(), trace)
    _add_beside(properties, moved, trace)
    _add_beside(properties, covered, trace)


class _Moved(NamedTuple):
    """A value whose name is taken, and why the event has it; that is told only to a trace."""

    name: str
    value: Any
    why: Reason | None


def _set_aside(
    properties: Json, row: Mapping[str, Any], names: AbstractSet[str], trace: Trace | None
) -> list[_Moved]:
    """Take out the values of names that are acted upon, and put in what this migration says."""
    acting = ACTING_NAMES & names
    why = {} if trace is None else {name: trace.properties.pop(name) for name in acting}
    moved = [_Moved(name, properties.pop(name), why.get(name)) for name in acting]
    for name, source in OWN_NAMES.items():
        if name in acting and not is_empty(row.get(source)):
            properties[name] = row[source]
            if trace is not None:
                table_note(trace)(name, source, as_is)
    return moved


def _add_beside(properties: Json, moved: list[_Moved], trace: Trace | None) -> None:
    """Add values whose names are taken under other names, always in the same order."""
    for name, value, why in sorted(moved, key=itemgetter(0)):
        free = unused_name(name, properties)
        properties[free] = value
        if trace is not None and why is not None:
            trace.properties[free] = Reason(why.sources, moved_aside(name))
