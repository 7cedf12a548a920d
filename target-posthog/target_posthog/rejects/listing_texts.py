"""What rejects files hold, for a person and for a machine. Pure."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from target_posthog.common.peer_words import escaped
from target_posthog.common.quantities import count
from target_posthog.rejects.codes import described
from target_posthog.rejects.listing import age_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from target_posthog.rejects.listing import Example, Listing

_WIDTH = 100
_INDENT = "    "
#: Of a record on the screen; a file may hold 900 kB of it.
_SHOWN = 4000
#: Of an event's name on a line.
_NAME = 80
#: So many runs, the newest: an hourly schedule makes thousands.
_MOST_RUNS = 20


def as_text(ours: Listing, others: Listing, *, shows_records: bool, shows_all: bool = False) -> str:
    """Return the listing for a person, with the newest runs or all."""
    parts = [_head(ours), *_codes(ours, shows_records=shows_records)]
    if ours.total:
        parts += [_table("stream", ours.streams), _runs(ours, shows_all=shows_all)]
    if ours.others:
        lines = count(ours.others, "line")
        parts.append([f"Not a line of a rejects file, cut off by a crash or edited: {lines}."])
    parts.append(_of_others(others, shows_all=shows_all))
    if ours.total:
        parts.append(_next())
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def as_json(ours: Listing, others: Listing, *, shows_records: bool) -> dict[str, Any]:
    """Return the same for a machine."""
    return {
        "rejected": ours.total,
        "files": ours.files,
        "unreadable_lines": ours.others,
        "codes": [
            {
                "code": code,
                "rejected": count,
                **described(code)._asdict(),
                "example": _example_as_json(ours.examples[code], shows_record=shows_records),
            }
            for code, count in ours.codes.most_common()
        ],
        "streams": _sums_as_json("stream", ours.streams),
        "runs": _sums_as_json("run", ours.runs),
        "of_others": {
            "rejected": others.total,
            "files": others.files,
            "runs": _sums_as_json("run", others.runs),
        },
    }


def _head(ours: Listing) -> list[str]:
    if not ours.total:
        return ["There are no rejects."]
    return [f"{count(ours.total, 'reject')} in {count(ours.files, 'file')}."]


def _codes(ours: Listing, *, shows_records: bool) -> Iterator[list[str]]:
    width = max((len(f"{rejected:,}") for rejected in ours.codes.values()), default=0)
    for code, rejected in ours.codes.most_common():
        lines = [f"{rejected:>{width},}  {code}  ({described(code).meaning})"]
        example = ours.examples[code]
        lines += _wrapped("example", _place_of(example))
        lines += _wrapped("reason", escaped(example.reason))
        lines += _wrapped("remedy", described(code).remedy)
        if shows_records:
            lines += _record_of(example)
        yield lines


def _place_of(example: Example) -> str:
    name = _cut(escaped(example.event), _NAME)
    event = f', event "{name}"' if name else ""
    return (
        f"line {example.line} of {escaped(example.file)}, stream {escaped(example.stream)}{event}"
    )


def shown_record(record: Any) -> str:
    """Return a record as JSON to look at; of a long one the beginning."""
    return _cut(json.dumps(record, ensure_ascii=False, indent=2, default=str), _SHOWN)


def _record_of(example: Example) -> Iterator[str]:
    yield f"{_INDENT}record"
    for line in shown_record(example.record).splitlines():
        yield f"{_INDENT * 2}{escaped(line)}"


def _table(kind: str, sums: Mapping[str, Counter[str]]) -> list[str]:
    rows = [(escaped(name), f"{codes.total():,}", _by_code(codes)) for name, codes in sums.items()]
    first = max(len(kind), *(len(row[0]) for row in rows))
    second = max(len("rejects"), *(len(row[1]) for row in rows))
    return [
        f"{kind:<{first}}  {'rejects':>{second}}  by code",
        *(f"{name:<{first}}  {count:>{second}}  {codes}" for name, count, codes in rows),
    ]


def _runs(listing: Listing, *, shows_all: bool) -> list[str]:
    """Return how many rejects each run had, in the order of their beginnings."""
    names = sorted(listing.runs, key=age_of)
    older = [] if shows_all else names[:-_MOST_RUNS]
    lines = _table("run", {name: listing.runs[name] for name in names[len(older) :]})
    if older:
        rejected = sum(listing.runs[name].total() for name in older)
        lines.append(
            f"and {count(len(older), 'older run')} with {count(rejected, 'reject')}: `--all` lists "
            "them."
        )
    return lines


def _of_others(others: Listing, *, shows_all: bool) -> list[str]:
    if not others.total:
        return []
    head = (
        f"Apart from these, {count(others.total, 'reject')} in {count(others.files, 'file')} of a "
        "preview or of another PostHog project; a replay leaves them:"
    )
    return [head, *_runs(others, shows_all=shows_all)]


def _next() -> list[str]:
    text = (
        "Next: fix the causes, then send them again with `target-posthog-replay`, those of one "
        "code with `--code`."
    )
    return textwrap.wrap(text, _WIDTH, break_on_hyphens=False)


def _sums_as_json(kind: str, sums: Mapping[str, Counter[str]]) -> list[dict[str, Any]]:
    return [
        {kind: name, "rejected": codes.total(), "codes": dict(codes.most_common())}
        for name, codes in sums.items()
    ]


def _example_as_json(example: Example, *, shows_record: bool) -> dict[str, Any]:
    place = {name: getattr(example, name) for name in ("file", "line", "stream", "event", "reason")}
    return {**place, "record": example.record} if shows_record else place


def _by_code(codes: Counter[str]) -> str:
    return ", ".join(f"{code} {count:,}" for code, count in codes.most_common())


def _wrapped(label: str, text: str) -> list[str]:
    start = f"{_INDENT}{label:<9}"
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[:size]}…"
