"""Who asks, and which project: `project_id` and `personal_api_key`, as PostHog makes them. Pure."""

from __future__ import annotations

import re

from target_posthog.errors import FixConfiguration

_NUMBER = re.compile(r"[0-9]+", re.ASCII)
#: Newer keys begin with phx_, those of before 2022 have no prefix (posthog/models/utils.py,
#: `generate_random_token_personal`).
_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_FIND_ID = "It is the number in the address of any page of the project, /project/12345/."
_MAKE_KEY = (
    "Set it to a personal API key, phx_…, with the scope Query Read (PostHog: Settings, Personal "
    "API keys)."
)
#: What cannot ask, by how it begins.
_OTHER_SECRETS = {
    "phc_": "the project token (phc_…), which can only send events",
    "pha_": "an OAuth access token (pha_…)",
    "phr_": "an OAuth refresh token (phr_…)",
}


def project_id_of(given: str | int) -> str:
    """Return the project's number.

    Raises:
        FixConfiguration: it is missing, or is not one.
    """
    text = str(given).strip()
    if not text:
        raise FixConfiguration("`project_id` is not set.", _FIND_ID)
    if not _NUMBER.fullmatch(text):
        raise FixConfiguration("`project_id` is not the number of a project.", _FIND_ID)
    return text


def personal_key_of(given: str) -> str:
    """Return the key that may ask.

    Raises:
        FixConfiguration: it is missing, or is not one; the error has the reason, and not the value.
    """
    if not given.strip():
        raise FixConfiguration("`personal_api_key` is not set.", _MAKE_KEY)
    for start, kind in _OTHER_SECRETS.items():
        if given.strip().lower().startswith(start):
            raise FixConfiguration(f"`personal_api_key` is {kind}.", _MAKE_KEY)
    if not _KEY.fullmatch(given):
        raise FixConfiguration(
            "`personal_api_key` has blanks, quotes or other characters that no key has.", _MAKE_KEY
        )
    return given
