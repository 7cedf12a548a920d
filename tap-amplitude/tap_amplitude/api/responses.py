"""What a response means: one table from status to action, and what it says in words (pure)."""

from __future__ import annotations

import enum
import html
import json
import re
from dataclasses import dataclass

from tap_amplitude.files.row_kinds import is_event

_LONGEST = 300
_MARKUP = re.compile(r"<(head|script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


class Action(enum.Enum):
    """What a response asks for."""

    READ = "what was asked for: read it"
    EMPTY = "no events in these hours: go on"
    SPLIT = "too much at once: ask for less"
    WAIT = "not now: wait and ask again"
    CHECK_ADDRESS = "not the Export API: ask a few times, then stop"
    ABSENT = "this project has no such thing, or may not see it: ask a few times, then stop"
    UNAUTHORIZED = "the keys are wrong: stop"
    REFUSED = "refused for good: stop with the body's message"


@dataclass(frozen=True)
class Rule:
    """Statuses, and what the body must say, for an action."""

    first: int
    last: int
    action: Action
    says: re.Pattern[str] | None = None


#: What each endpoint means by these.
_EVERYWHERE = (
    Rule(200, 200, Action.READ),
    Rule(201, 299, Action.WAIT),  # not the whole of it: something in between changed the response
    Rule(401, 401, Action.UNAUTHORIZED),
    *(Rule(status, status, Action.WAIT) for status in (408, 425, 429)),
)
#: The first rule that fits decides. Amplitude documents: 400 "The file size of the exported data
#: is too large", 404 "No data available for the time range requested" (in fact "Raw data files
#: were not found"), 504 "The amount of data is large causing a timeout". The other statuses are
#: not documented, and real.
_TOO_LARGE = re.compile(
    r"too (?:large|big)|shorten the time|size limit|limit size|\b4\s?GB\b", re.IGNORECASE
)
_NO_DATA = re.compile(r"raw data files were not found|no data available", re.IGNORECASE)
RULES = (
    *_EVERYWHERE,
    Rule(400, 400, Action.SPLIT, says=_TOO_LARGE),
    Rule(403, 403, Action.UNAUTHORIZED),
    Rule(404, 404, Action.EMPTY, says=_NO_DATA),
    Rule(404, 404, Action.CHECK_ADDRESS),
    Rule(504, 504, Action.SPLIT),
    Rule(500, 599, Action.WAIT),
)

#: The same once this run has got a response with these keys from this address: whatever does not
#: speak of the keys, or of data, is then a page of something in between, and passes.
_NAMES_KEYS = re.compile(r"api.?key|secret.?key|credential", re.IGNORECASE)
PROVEN_RULES = (
    Rule(403, 403, Action.UNAUTHORIZED, says=_NAMES_KEYS),
    Rule(403, 403, Action.WAIT),
    Rule(404, 404, Action.EMPTY, says=_NO_DATA),
    Rule(404, 404, Action.WAIT),
    Rule(407, 407, Action.WAIT),
    *RULES,
)

#: The same for the endpoints that answer with JSON. Amplitude documents: 400 with the reason, and
#: 429 for more than 5 requests at once or more cost than an hour, or five minutes, may have. A 404
#: is what projects without the Taxonomy API get. Keys that are wrong get a 403 that says so
#: (observed); any other 403 is about the plan or about rights. No window to split, no archive.
_ABOUT_KEYS = re.compile(rf"{_NAMES_KEYS.pattern}|^$", re.IGNORECASE)
JSON_RULES = (
    *_EVERYWHERE,
    Rule(403, 403, Action.UNAUTHORIZED, says=_ABOUT_KEYS),
    Rule(403, 404, Action.ABSENT),
    Rule(500, 599, Action.WAIT),
)


def action_for(status: int, body: str, rules: tuple[Rule, ...] = RULES) -> Action:
    """Return what a response asks for: the action of the first rule that fits, else `REFUSED`.

    Only the beginning of the body is read, for statuses that mean several things.
    """
    for rule in rules:
        if rule.first <= status <= rule.last and (rule.says is None or rule.says.search(body)):
            return rule.action
    return Action.REFUSED


def message_in(body: str) -> str:
    """Find the message of an error response.

    Args:
        body: Amplitude's JSON envelope (`{"error": {"message": …, "metadata": {"details": …}}}`,
            of the Taxonomy API `{"errors": [{"message": …}]}`), a page of a proxy, or plain text.

    Returns:
        One line, bounded in length; empty when the body says nothing.
    """
    return " ".join(_message(body).split())[:_LONGEST]


def _message(body: str) -> str:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return html.unescape(_MARKUP.sub(" ", body))
    error = content.get("error", content) if isinstance(content, dict) else content
    errors = error.get("errors") if isinstance(error, dict) else None
    if isinstance(errors, list) and errors:
        error = errors[0]
    if not isinstance(error, dict):
        return str(error)
    metadata = error.get("metadata")
    details = metadata.get("details") if isinstance(metadata, dict) else None
    parts = [part for part in (error.get("message"), details) if isinstance(part, str)]
    return " - ".join(parts) or body


def error_in(body: str) -> str:
    """Return the message of an error that came with status 200, in place of what was asked for.

    Like `message_in`; empty when the body is no error, so that no event gets into a log.
    """
    if body.lstrip().startswith("<"):
        return message_in(body)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(content, dict) or is_event(content):
        return ""
    return "" if {"error", "errors", "message"}.isdisjoint(content) else message_in(body)


def sentence(text: str) -> str:
    """Return a text that ends with a full stop, if it had no end yet."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
