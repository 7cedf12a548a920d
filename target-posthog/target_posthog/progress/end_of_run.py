"""What a run says at its end: one block of counts, and what to do next. Pure."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

from target_posthog.common.quantities import count

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from target_posthog.progress.counts import Counts


def outcome_in_words(counts: Counts, destination: str, *, is_preview: bool, collects: bool) -> str:
    """Return what became of the events of a run that came to its end.

    `collects`: only people and groups were read.
    """
    if is_preview:
        return f"previewed in {destination}, nothing was sent"
    if collects:
        return "people and groups were collected, nothing was sent"
    if not counts.exported:
        return "there was nothing to send"
    return f"sent to {destination}" if counts.accepted else "nothing was delivered"


def block_of(
    counts: Counts,
    *,
    seconds: float,
    destination: str,
    source: str = "records from the tap",
    early: str | None = None,
) -> str:
    """Return the block at the end of a run.

    `early` is what speaks against a good end of the tap.
    """
    ended = "Done in" if early is None else "The input ended after"
    lines = [
        f"{ended} {_time(seconds)}: {destination}.",
        *([] if early is None else [early]),
        *_counts(counts, source),
    ]
    return "\n".join(lines)


def stopped_block_of(
    counts: Counts, *, seconds: float, destination: str, is_preview: bool, state: str | None
) -> str:
    """Return the block of a run that did not come to its end.

    `state` is the last state that was written, in words.
    """
    done = "previewed in" if is_preview else "accepted by"
    if not counts.open:
        how_far = ", before the run came to its end."
    elif counts.accepted or counts.superseded:
        how_far = f": not all records that came are {done} {destination}."
    else:
        how_far = f": no record is {done} {destination}."
    lines = [
        f"Stopped after {_time(seconds)}{how_far}",
        *_counts(counts, "records taken from the tap"),
    ]
    if is_preview:
        lines.append("Nothing was sent, and the state is as it was.")
    elif state is None:
        lines.append("No state was written: the next run begins where this one did.")
    else:
        lines.append(f"The state was written: {state}")
    if not is_preview and counts.accepted:
        lines.append("What was accepted and comes again, PostHog keeps once.")
    return "\n".join(lines)


def _time(seconds: float) -> timedelta:
    return timedelta(seconds=round(seconds))


def _counts(counts: Counts, source: str) -> list[str]:
    lines = [
        f"  exported {counts.exported:>12,}  {source}",
        f"  accepted {counts.accepted:>12,}",
        f"  superseded {counts.superseded:>10,}{_by_later(counts.superseded)}",
        f"  skipped  {counts.skipped.total():>12,}{_by_name(counts.skipped)}",
        f"  rejected {counts.rejected.total():>12,}{_by_name(counts.rejected)}",
    ]
    if counts.open:
        lines.append(f"  open     {counts.open:>12,}  not settled; the next run reads them")
    lines.append(f"  links    {counts.links:>12,}  devices joined to their user")
    if counts.groups:
        lines.append(f"  groups   {counts.groups:>12,}  group updates")
    if counts.shared_devices:
        lines.append(
            f"  shared   {counts.shared_devices:>12,}  further users of a device, not joined to it"
        )
    if counts.added_rejected:
        lines.append(f"  PostHog refused {counts.added_rejected.total():,} links or group updates.")
    if counts.warned:
        lines.append(f"  warnings {counts.warned.total():>12,}{_by_name(counts.warned)}")
    return lines


def next_step(
    counts: Counts,
    environment: Mapping[str, str],
    *,
    rejects: str,
    is_preview: bool = False,
    early: str | None = None,
    may_have_ended: bool = False,
    collects: bool = False,
    unsent: tuple[int, str] = (0, ""),
) -> str:
    """Return what to do after a run that came to its end, in one line.

    Meltano sets some variables of `environment` for its plugins. `early` is what speaks against a
    good end of the tap; with `may_have_ended` nothing tells whether that was one. `collects`:
    nothing was sent, as the run collects a people pass. `unsent` is how many hours of the pass are
    not sent, and the first of them.
    """
    steps = []
    if early is not None:
        steps.append("see the log of the tap.")
    has_rejects = counts.rejected or counts.added_rejected
    if has_rejects:
        # Without a file, the command takes those of runs that sent.
        is_trial = is_preview or collects
        command = command_for("rejects", environment, *([rejects] if is_trial else []))
        place = "" if is_trial else f" (file {rejects})"
        steps.append(f"see why records were rejected, and what to do: `{command}`{place}.")
    if early is None and collects:
        steps.append(
            "once every hour of the migration is collected, send them with `free_order: apply`, "
            "in any order and with another state id."
        )
    elif is_preview:
        steps.append("to send, take `preview_path` out. The preview left the state as it was.")
    elif early is not None:
        steps.append("run again if it did not finish." if may_have_ended else "run again.")
    elif unsent[0]:
        hours, first = count(unsent[0], "hour"), unsent[1]
        steps.append(f"send the other {hours} of the people pass, the first is {first}.")
    elif not counts.accepted:
        steps.append("run again at any time for what is new.")
    else:
        compare, show = (command_for(name, environment) for name in ("reconcile", "report"))
        steps.append(
            f"then compare with PostHog: `{compare}`."
            if has_rejects
            else f"compare with PostHog (`{compare}`), see it all (`{show}`), and run again at any "
            "time for what is new."
        )
    text = " ".join(f"{step[0].upper()}{step[1:]}" for step in steps)
    return f"{text[0].lower()}{text[1:]}"


def command_for(name: str, environment: Mapping[str, str], *arguments: str) -> str:
    """Return how to start one of the commands beside the target, such as `report`."""
    loader = environment.get("MELTANO_LOADER_NAME")
    if not loader:
        return shlex.join([f"target-posthog-{name}", *arguments])
    chosen = environment.get("MELTANO_ENVIRONMENT")
    options = [f"--environment={chosen}"] if chosen else []
    return shlex.join(["meltano", *options, "invoke", f"{loader}:{name}", *arguments])


def _by_later(superseded: int) -> str:
    return "  older versions of the same event" if superseded else ""


def _by_name(counter: Counter[str]) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in counter.most_common())
    return f"  {shown}" if shown else ""
