"""What the outputs of a preview share: values and totals as texts, and all of it as JSON. Pure."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.model import Json
    from target_posthog.preview.found import Found
    from target_posthog.preview.pairs import Pair
    from target_posthog.progress.counts import Counts

#: Categories of characters that a terminal acts on, or that turn or hide the text around them.
_ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    r"""Return a text with what would act on a terminal or page written out, such as `\u001b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in _ACTING else char for char in text
    )


def value_of(value: Any) -> str:
    """Return a value in one line, as JSON."""
    return visible(json.dumps(value, ensure_ascii=False, default=str))


def totals(found: Found, counts: Counts) -> Iterator[tuple[str, int, str]]:
    """Yield what became of all records that came, whether shown or not: what, how many, why."""
    yield "records", counts.exported, ""
    yield "kept", counts.accepted, ""
    if counts.superseded:
        yield "superseded", counts.superseded, "a later version of the event stands for it"
    for rule, count in sorted(counts.skipped.items()):
        yield "skipped", count, rule
    for code, count in sorted(counts.rejected.items()):
        yield "rejected", count, f"{code}: {visible(found.reasons.get(code, ''))}"
    yield "links", counts.links, "devices joined to their user"
    yield "groups", counts.groups, "group updates"


def as_json(found: Found, counts: Counts) -> Json:
    """Return it all for a machine."""
    return {
        "pairs": [_pair_as_json(pair) for pair in found.pairs],
        "totals": counts.as_json(),
        "reasons": found.reasons,
    }


def _pair_as_json(pair: Pair) -> Json:
    return {
        "stream": pair.stream,
        "fate": pair.fate,
        "rule": pair.rule or None,
        "reason": pair.reason or None,
        "is_sent": pair.is_sent,
        "record": pair.record,
        "event": pair.event,
        "added": [{"event": added.event, "why": added.why} for added in pair.added],
        "why": [
            {"source": line.source or None, "property": line.name, "rule": line.why}
            for line in pair.lines()
        ],
    }
