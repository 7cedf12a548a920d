"""Which library an event says that it came by, as PostHog's own SDKs say it of theirs."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from target_posthog.formats.amplitude.values import is_empty

if TYPE_CHECKING:
    from target_posthog.model import Json

NAME = "target-posthog"
OWN_LIB: Json = {"$lib": NAME, "$lib_version": version(NAME)}


def add_lib(properties: Json) -> None:
    """Have properties name a library: their own, else this program."""
    if is_empty(properties.get("$lib")):
        properties |= OWN_LIB
