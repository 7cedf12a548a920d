"""Every difference between our requests and those of PostHog's own Python package."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

#: How the SDK is told who is who: as PostHog's guide does, or the way that the target does.
Told = Literal["guide", "alias", "identify"]

_BOTH, _BATCH, _V1 = ("batch", "v1"), ("batch",), ("v1",)
_ALL_TOLD: tuple[Told, ...] = ("guide", "alias", "identify")
_EVENTS = ("event", "$create_alias", "$identify", "$groupidentify")
_CAPTURED, _OF_OTHERS = ("event", "$identify"), ("$create_alias", "$groupidentify")


@dataclass(frozen=True)
class Find:
    """A difference as it is found: where, how, and in which runs.

    Attributes:
        where: parts of a request or of an event, by name.
        how: only in `ours`, only in `theirs`, another `value`, or another `form` of one moment.
        protocols: those that show it.
        of: the kinds of event that show it, or `header` or `envelope`.
        told: the ways of telling who is who that show it.
    """

    where: tuple[str, ...]
    how: str
    protocols: tuple[str, ...] = _BOTH
    of: tuple[str, ...] = _EVENTS
    told: tuple[Told, ...] = _ALL_TOLD


_HEADER, _ENVELOPE = ("header",), ("envelope",)
_SYSTEM = ("properties $python_runtime", "properties $python_version")
_DISTRIBUTION = ("properties $os_distro",) if sys.platform == "linux" else ()
_OWN_NAME = ("properties $lib", "properties $lib_version")

#: Every difference that may be, under its name in docs/decisions/0001-own-http-client.md, and how
#: it shows. What is not here fails, and so does what is here and is not there.
DIFFERENCES: dict[str, tuple[Find, ...]] = {
    "`sent_at`; in v1 `options.disable_skew_correction`": (
        Find(("sent_at",), "theirs", _BATCH, _ENVELOPE),
        Find(("options disable_skew_correction",), "ours", _V1),
    ),
    "`uuid`": (Find(("uuid",), "value"),),
    "`timestamp`": (Find(("timestamp",), "form"),),
    "`$create_alias`: `distinct_id` and `alias`, when it is called as in PostHog's guide": (
        Find(
            ("distinct_id", "properties distinct_id", "properties alias"),
            *("value", _BOTH, ("$create_alias",), ("guide",)),
        ),
    ),
    "`$os`, `$os_version`, `$os_distro`, `$python_runtime`, `$python_version`": (
        Find((*_SYSTEM, *_DISTRIBUTION), "theirs", of=_CAPTURED),
        Find(("properties $os", "properties $os_version"), "value", of=("event",)),
        Find(("properties $os_version",), "theirs", of=("event",)),
        Find(("properties $os", "properties $os_version"), "theirs", of=("$identify",)),
    ),
    "`$lib`, `$lib_version`; in v1 `source_lib`, `source_lib_version`": (
        Find(_OWN_NAME, "value", _BATCH, ("event",)),
        Find(_OWN_NAME, "theirs", _BATCH, ("$create_alias", "$identify", "$groupidentify")),
        Find(
            ("properties source_lib", "properties source_lib_version"),
            *("ours", _V1, ("event",)),
        ),
    ),
    "`$is_server`": (Find(("properties $is_server",), "theirs"),),
    "`analytics_source`, `historical_migration` as properties of added events": (
        Find(
            ("properties analytics_source", "properties historical_migration"),
            *("ours", _BOTH, _OF_OTHERS),
        ),
    ),
    "`$session_id` in v1": (
        Find(("properties $session_id",), "ours", _V1, ("event",)),
        Find(("session_id",), "theirs", _V1, ("event",)),
    ),
    "`Content-Encoding`": (Find(("content-encoding",), "ours", of=_HEADER),),
    "`User-Agent`, in v1 `PostHog-Sdk-Info`": (
        Find(("user-agent",), "value", of=_HEADER),
        Find(("posthog-sdk-info",), "value", _V1, _HEADER),
    ),
    "`PostHog-Request-Id`, `PostHog-Request-Timestamp`, `created_at` in v1": (
        Find(("posthog-request-id", "posthog-request-timestamp"), "value", _V1, _HEADER),
        Find(("created_at",), "value", _V1, _ENVELOPE),
    ),
}


def known(protocol: str, told: Told) -> set[tuple[str, str]]:
    """Return the differences of the table that a run must show."""
    absent = "$create_alias" if told == "identify" else "$identify"
    return {
        (f"{kind} {where}", find.how)
        for finds in DIFFERENCES.values()
        for find in finds
        if protocol in find.protocols and told in find.told
        for kind in find.of
        if kind != absent
        for where in find.where
    }
