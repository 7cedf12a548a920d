"""What an event does to the properties of its person in PostHog.

Rules of PostHog's nodejs service: `personInitialAndUTMProperties` (`common/utils/db/utils.ts`), the
lists in `common/persons/person-property-utils.ts`, and `computeEventPropertyUpdates` in
`ingestion/common/persons/person-update.ts`. Properties follow the order in which events arrive;
their timestamps play no part.
"""

from __future__ import annotations

from typing import Any

Properties = dict[str, Any]

# EVENT_TO_PERSON_PROPERTIES and CAMPAIGN_PROPERTIES of person-property-utils.ts.
LIFTED_PROPERTIES = (
    *("$app_build", "$app_name", "$app_namespace", "$app_version", "$browser", "$browser_version"),
    *("$device_type", "$current_url", "$pathname", "$os", "$os_name", "$os_version"),
    *("$referring_domain", "$referrer", "$screen_height", "$screen_width", "$viewport_height"),
    *("$viewport_width", "$raw_user_agent", "utm_source", "utm_medium", "utm_campaign"),
    *("utm_content", "utm_name", "utm_term", "gclid", "gad_source", "gclsrc", "dclid", "gbraid"),
    *("wbraid", "fbclid", "msclkid", "twclid", "li_fat_id", "mc_cid", "igshid", "ttclid"),
    *("rdt_cid", "irclid", "_kx", "epik", "qclid", "sccid"),
)


def lift(properties: Properties) -> tuple[Properties, Properties]:
    """Give the `$set` and `$set_once` of an event, with what the server adds from the event.

    Each listed property is copied to the person, and once more as `$initial_…` in `$set_once`,
    unless the event names it there itself.
    """
    set_now, set_once = _mapping(properties.get("$set")), _mapping(properties.get("$set_once"))
    host_os = properties.get("$is_server") is True
    for key in LIFTED_PROPERTIES:
        if key not in properties or (host_os and key in ("$os", "$os_version")):
            continue
        set_now.setdefault(key, properties[key])
        if properties[key] is not None:
            set_once.setdefault(f"$initial_{key.replace('$', '', 1)}", properties[key])
    if "$os_name" in properties and not host_os:
        # The server treats `$os_name` as another name of `$os`.
        if properties["$os_name"] is not None:
            set_once.setdefault("$initial_os", properties["$os_name"])
        set_now.pop("$os_name", None)
        set_once.pop("$initial_os_name", None)
    return set_now, set_once


def initial(properties: Properties) -> Properties:
    """Give the properties of a person made by this event; `$set` wins over `$set_once`."""
    set_now, set_once = lift(properties)
    return {**set_once, **set_now}


def updated(person: Properties, properties: Properties) -> Properties:
    """Give a person's properties after one more event.

    PostHog may leave out an update in which only URL, screen or device properties changed, as it
    writes persons in batches; the stand-in always applies it.
    """
    set_now, set_once = lift(properties)
    # A null on the person counts as absent, so that a real first value can still land.
    first_values = {
        key: value
        for key, value in set_once.items()
        if key not in person or (person[key] is None and value is not None)
    }
    after = {**person, **first_values, **set_now}
    for key in _unset_keys(properties.get("$unset")):
        # person-update.ts looks at the person as it was: a key this event brought stays.
        if key in person:
            after.pop(key, None)
    return after


def _mapping(value: Any) -> Properties:
    return dict(value) if isinstance(value, dict) else {}


def _unset_keys(value: Any) -> list[str]:
    keys = value if isinstance(value, list | dict) else []
    return [key for key in keys if isinstance(key, str)]
