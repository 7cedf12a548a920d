"""The form of PostHog's project token, and what else people put in its place. Pure."""

from __future__ import annotations

import re

from target_posthog.errors import FixConfiguration

_START = "phc_"
_TOKEN = re.compile(rf"{_START}[A-Za-z0-9_-]+", re.ASCII)
#: PostHog refuses longer ones (rust/capture token.rs, `validate_token`).
_MAX_LENGTH = 64
#: PostHog's other secrets, by how they begin (PostHog/posthog posthog/models, `generate_random_…`).
_OTHER_SECRETS = {
    "phx_": "a personal API key (phx_…), which cannot send events",
    "phs_": "a project secret API key (phs_…), which cannot send events",
    "pha_": "an OAuth access token (pha_…), which cannot send events",
    "phr_": "an OAuth refresh token (phr_…), which cannot send events",
}
#: A shell, Meltano or a template would have put a value in place of these.
_VARIABLE = re.compile(r"\$\{?\w+\}?|%\w+%|\{\{.*\}\}|<[^<>]*>")
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
_REMEDY = "Set `api_key` to the project token, `phc_…` (PostHog: Settings, Project)."


def token_in(text: str) -> str:
    """Return the token.

    Raises:
        FixConfiguration: it is not a project token; the text itself is not shown.
    """
    if not text.strip():
        raise FixConfiguration("`api_key` is not set.", _REMEDY)
    reason = _wrong(text)
    if reason is not None:
        raise FixConfiguration(f"`api_key` is not a valid project token: it {reason}.", _REMEDY)
    return text


def _wrong(text: str) -> str | None:
    """Return why a text is not a project token; None when it is one."""
    if _TOKEN.fullmatch(text):
        return f"has more than {_MAX_LENGTH} characters" if len(text) > _MAX_LENGTH else None
    inside = text.strip()
    if inside != text:
        return "has blanks or line ends around it"
    if inside[0] in _QUOTES or inside[-1] in _QUOTES:
        return "has quotes around it"
    if re.match(r"bearer\b", inside, re.IGNORECASE):
        return 'begins with "Bearer", which belongs to a header'
    if _VARIABLE.fullmatch(inside):
        return "is the name of a variable that nothing was put in for"
    return _wrong_kind(inside)


def _wrong_kind(text: str) -> str:
    if text == _START:
        return "is the template's phc_ without the token behind it"
    for start, kind in _OTHER_SECRETS.items():
        if text.lower().startswith(start):
            return f"is {kind}"
    if re.fullmatch(r"[-+.\d]+", text):
        return "is a number, such as the project's id"
    if not text.startswith(_START):
        return "does not begin with phc_"
    return "has characters that no token has: only letters, digits, _ and - follow phc_"
