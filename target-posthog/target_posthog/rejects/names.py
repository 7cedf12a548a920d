"""Whose rejects a file holds, as its name says: those of one PostHog project, or of a preview.

A preview, a trial in a scratch project and the real run may share a folder. What one of them
rejected must not be sent again as if another had.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

PREVIEW = "preview"
#: What tells the objects of one run apart; see `RemoteLines`.
_NUMBER = re.compile(r"-\d{6,}\.jsonl$")
_OWNER = re.compile(r"target-posthog-\d{8}T\d{6}Z-\d+-(?P<owner>preview|[0-9a-f]{8})(?=[-.])")


def owner_of(api_key: str) -> str:
    """Return what the names of a project's files hold of it: a digest of its token."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:8]


def name_of(started: datetime, process: int, owner: str) -> str:
    """Return the name of a run's file, without an ending.

    For `owner` see `owner_of`; it is `PREVIEW` for a preview.
    """
    return f"target-posthog-{started:%Y%m%dT%H%M%S}Z-{process}-{owner}"


def remote_name_of(address: str) -> str:
    """Return what the names of a run's objects in a bucket begin with, of one of them."""
    return _NUMBER.sub("", address.rpartition("/")[2])


def is_of_another(name: str, owner: str | None) -> bool:
    """Return True if a file's name says that its lines are a preview's, or of another project.

    The name may be a whole address; `owner` is None when the project is not known.
    """
    found = _OWNER.match(name.rpartition("/")[2])
    if found is None:
        return False
    return found["owner"] == PREVIEW if owner is None else found["owner"] != owner
