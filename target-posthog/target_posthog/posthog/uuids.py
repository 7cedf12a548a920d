"""Uuids in their canonical form; `common.derived_uuids` makes those that a record lacks. Pure."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The canonical form, and what gives it of any uuid in it.
_CANONICAL = b"00000000-0000-0000-0000-000000000000"
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789abcdef", b"000000000000000")
_WELL_FORMED = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}", re.ASCII | re.IGNORECASE
)


def canonical_uuid(value: object) -> str | None:
    """Return a uuid in lower case with hyphens, or None when the value is not one."""
    if not isinstance(value, str):
        return None
    if value.encode("utf-8", "replace").translate(_DIGITS_TO_ZERO) == _CANONICAL:
        return value
    return str(uuid.UUID(value)) if _WELL_FORMED.fullmatch(value) else None


def canonical_uuids(values: Sequence[str | None]) -> Sequence[str | None]:
    """Do `canonical_uuid` for each of these values; nearly as fast as for one of them."""
    texts = [value or "" for value in values]
    zeros = "".join(texts).encode("utf-8", "replace").translate(_DIGITS_TO_ZERO)
    if zeros == _CANONICAL * len(texts) and set(map(len, texts)) == {len(_CANONICAL)}:
        return texts
    return list(map(canonical_uuid, values))
