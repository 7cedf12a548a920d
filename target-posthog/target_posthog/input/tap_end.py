"""What the states of a tap tell: whether earlier runs were, and whether the tap came to its end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from target_posthog.progress.counts import Hours

#: What taps write before their first record, in the first run, too: which stream and table version
#: it is, and where it begins (Singer SDK, `starting_replication_value`; tap-postgres, `version`).
_OF_ANY_RUN = frozenset(
    {
        "currently_syncing",
        "initial_full_table_complete",
        "last_replication_method",
        "lsn",
        "replication_key",
        "replication_method",
        "starting_replication_value",
        "version",
    }
)


def tells_of_an_earlier_run(state: Any) -> bool:
    """Tell whether a STATE that comes before all records goes on from an earlier run.

    It does when it holds more than a first run's, too: tap-postgres has `lsn` at once, and `xmin`,
    though null, once a table is read. Not the bookmark of tap-amplitude: it writes one after an
    hour of this run, and an hour may be empty.
    """
    if isinstance(state, dict):
        return "next_export_hour" not in state and any(
            name == "xmin" or (name not in _OF_ANY_RUN and tells_of_an_earlier_run(value))
            for name, value in state.items()
        )
    if isinstance(state, list):
        return any(map(tells_of_an_earlier_run, state))
    return not (state is None or isinstance(state, bool) or state == "")


_ONE_HOUR = timedelta(hours=1)


class TapEnd(NamedTuple):
    """How a tap ended, as far as its output tells.

    Attributes:
        is_good: whether it came to its end; None when nothing tells.
        doubt: what speaks against it, in words.
    """

    is_good: bool | None
    doubt: str | None = None


def tap_end_of(
    *, is_closed: bool, has_states: bool, has_records: bool, hours: Hours | None
) -> TapEnd:
    """Return how a tap ended.

    `is_closed`: a STATE came behind everything else. `hours` is how far tap-amplitude's last STATE
    is.
    """
    if hours is not None and hours.next_hour < hours.until:
        return TapEnd(
            is_good=False,
            doubt=f"The tap ended early: {_missing(hours)} missing. See its log, and run again.",
        )
    if is_closed:
        return TapEnd(is_good=True)
    if not has_records:
        return TapEnd(is_good=False, doubt="The tap sent no record and no STATE: see its log.")
    # Some taps never write one, and to run those again for ever would not change it.
    return TapEnd(
        is_good=False if has_states else None,
        doubt="The tap wrote no STATE after its last records: see its log for whether it finished.",
    )


def _missing(hours: Hours) -> str:
    first, last = hours.next_hour, hours.until - _ONE_HOUR
    if first == last:
        return f"the hour {first:%Y-%m-%dT%HZ} is"
    return f"the hours from {first:%Y-%m-%dT%HZ} to {last:%Y-%m-%dT%HZ} are"
