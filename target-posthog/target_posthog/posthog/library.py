"""Which library an event says that it came by, as PostHog's own SDKs say it of theirs."""

from __future__ import annotations

from importlib.metadata import version

from target_posthog.model import Json, Source, is_empty

NAME = "target-posthog"
OWN_LIB: Json = {"$lib": NAME, "$lib_version": version(NAME)}


def add_lib(properties: Json) -> None:
    """Have properties name a library: their own, else this program."""
    if is_empty(properties.get("$lib")):
        properties |= OWN_LIB


#: On every event: PostHog must not look up the place of our own address, and the import can be
#: distinguished from live events.
MIGRATION_MARKS: Json = {
    "$geoip_disable": True,
    "analytics_source": "amplitude",
    "historical_migration": True,
}


def marks_of(source: Source) -> Json:
    """Return what an event of this source says about itself."""
    return {"$geoip_disable": True, **OWN_LIB} if source is None else MIGRATION_MARKS
