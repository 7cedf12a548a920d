"""Which library an event says that it came by, as PostHog's own SDKs say it of theirs."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from target_posthog.amplitude.values import is_empty

if TYPE_CHECKING:
    from target_posthog.conversion import Json

NAME = "target-posthog"
OWN_LIB: Json = {"$lib": NAME, "$lib_version": version(NAME)}


def with_lib(properties: Json) -> Json:
    """Return properties that name a library: their own, else this program."""
    return properties if not is_empty(properties.get("$lib")) else {**properties, **OWN_LIB}
