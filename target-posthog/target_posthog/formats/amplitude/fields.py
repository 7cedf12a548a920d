"""The table of names: which Amplitude field is which PostHog property.

One row is one rename. Everything else keeps its own name (`convert.py`). PostHog's names are from
posthog/taxonomy/taxonomy.py and the mobile and web SDKs; Amplitude's fields are described in
Amplitude docs, "Export API" and "Amazon S3 export". `docs/mapping.md` is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING, Any

from target_posthog.formats.amplitude import countries, values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Platform(Flag):
    """What sent the event. The same Amplitude field means different things on each."""

    WEB = auto()
    MOBILE = auto()
    SERVER = auto()
    ANY = WEB | MOBILE | SERVER


@dataclass(frozen=True)
class Field:
    """One rename.

    Attributes:
        sources: names of Amplitude fields, all of one kind; the first that holds something counts.
            A dotted `event_properties.` name is a property of the event, `user_properties.` one of
            the user. Of rows with the same name an event's property goes before a user's, and that
            before a field.
        name: PostHog's property name. It never replaces a property of the customer's own.
        when: the platforms on which the two mean the same.
        convert: value → value, or None when the value has no meaning in PostHog.
        note: why, for the reader of docs/mapping.md.
    """

    sources: tuple[str, ...]
    name: str
    when: Platform = Platform.ANY
    convert: Callable[[Any], Any] = values.as_is
    note: str = ""


WEB, MOBILE, SERVER, ANY = Platform.WEB, Platform.MOBILE, Platform.SERVER, Platform.ANY
#: A source of this prefix is a property of the event, or of the user at the time of the event.
EVENT_PREFIX, USER_PREFIX = "event_properties.", "user_properties."
_EVENT, _USER = EVENT_PREFIX, USER_PREFIX

# fmt: off
FIELDS: tuple[Field, ...] = (
    # Who and which row, as Amplitude had it.
    Field(("device_id",), "$device_id"),
    Field(("device_id",), "$amplitude_device_id", note="as the row had it, legal or not"),
    Field(("user_id",), "$amplitude_user_id", note="as the row had it, legal or not"),
    Field(("event_id",), "$amplitude_event_id"),
    Field(("session_id",), "$amplitude_session_id"),
    # Where.
    Field(("ip_address",), "$ip"),
    Field(("country",), "$geoip_country_name"),
    Field(("country",), "$geoip_country_code", convert=countries.country_code, note="PostHog's maps need it"),
    Field(("country",), "$geoip_continent_name", convert=countries.continent_name),
    Field(("country",), "$geoip_continent_code", convert=countries.continent_code),
    Field(("region",), "$geoip_subdivision_1_name"),
    Field(("city",), "$geoip_city_name"),
    Field(("location_lat",), "$geoip_latitude", convert=values.number),
    Field(("location_lng",), "$geoip_longitude", convert=values.number),
    # With what.
    Field(("library",), "$lib", convert=values.library_name),
    Field(("library",), "$lib_version", convert=values.library_version),
    Field(("version_name",), "$app_version"),
    Field(("os_name",), "$browser", WEB, values.browser, "on web Amplitude's os_name is the browser"),
    Field(("os_version",), "$browser_version", WEB, values.browser_version, "on web the browser's version"),
    Field(("device_family", "device_type"), "$os", WEB, values.web_os, "on web these carry the OS"),
    Field(("device_type", "device_family"), "$device_type", WEB, values.web_device_type),
    Field(("device_type", "device_family"), "$device", WEB, values.web_device, "the handheld that the browser runs on"),
    Field(("language",), "$browser_language", WEB, values.locale, "only a code such as en-US; the word stays in `language`"),
    Field(("language",), "$browser_language_prefix", WEB, values.locale_prefix),
    Field(("os_name",), "$os", MOBILE, values.os_name),
    Field(("os_name",), "$os_name", MOBILE, values.os_name),
    Field(("os_version",), "$os_version", MOBILE),
    Field(("device_type", "device_family", "device_model", "platform"), "$device_type", MOBILE, values.mobile_device_type),
    Field(("device_manufacturer", "device_brand"), "$device_manufacturer", MOBILE),
    Field(("device_model",), "$device_model", MOBILE),
    Field(("device_family", "device_type"), "$device_name", MOBILE, note="the marketing name"),
    Field(("device_carrier",), "$network_carrier", MOBILE, values.carrier),
    Field(("language",), "$locale", MOBILE, values.locale, "only a code such as en-US"),
    Field(("os_name",), "$os", SERVER, values.known_os, "only when it surely is an OS"),
    # The visit's campaign: PostHog's browser SDK says it on every event, Amplitude's on the user.
    Field((f"{_USER}utm_source",), "utm_source", WEB, values.campaign, "an event's own property of the name goes before it, here and below"),
    *(Field((f"{_USER}{name}",), name, WEB, values.campaign) for name in ("utm_medium", "utm_campaign", "utm_content", "utm_term")),
    Field((f"{_USER}gclid",), "gclid", WEB, values.campaign, "click ids: only those that PostHog knows"),
    *(Field((f"{_USER}{name}",), name, WEB, values.campaign) for name in ("dclid", "gbraid", "wbraid", "fbclid", "msclkid", "twclid", "ttclid", "li_fat_id")),
    Field((f"{_USER}rdt_cid", f"{_USER}rtd_cid"), "rdt_cid", WEB, values.campaign, "Amplitude's SDK swapped two letters for a time"),
    Field((f"{_USER}referrer",), "$referrer", WEB, values.campaign),
    Field((f"{_USER}referring_domain",), "$referring_domain", WEB, values.campaign),
    # What the browser and app SDKs collect by themselves.
    Field((f"{_EVENT}[Amplitude] Page Location", f"{_EVENT}[Amplitude] Page URL"), "$current_url", note="Amplitude's Page URL lacks the query"),
    Field((f"{_EVENT}[Amplitude] Page Domain",), "$host"),
    Field((f"{_EVENT}[Amplitude] Page Path",), "$pathname"),
    Field((f"{_EVENT}[Amplitude] Page Title",), "title"),
    Field((f"{_EVENT}referrer",), "$referrer"),
    Field((f"{_EVENT}referring_domain",), "$referring_domain"),
    Field((f"{_EVENT}[Amplitude] Viewport Height",), "$viewport_height"),
    Field((f"{_EVENT}[Amplitude] Viewport Width",), "$viewport_width"),
    Field((f"{_EVENT}[Amplitude] Screen Height",), "$screen_height"),
    Field((f"{_EVENT}[Amplitude] Screen Width",), "$screen_width"),
    Field((f"{_EVENT}[Amplitude] Screen Name",), "$screen_name"),
    Field((f"{_EVENT}[Amplitude] Build",), "$app_build"),
)
# fmt: on

#: Fields of the row that do not become properties of the same name, and where they go.
ELSEWHERE: Mapping[str, str] = {
    "event_type": "the event's name",
    "event_time": "the event's timestamp",
    "uuid": "the event's uuid",
    "user_id": "the event's distinct_id; `$amplitude_user_id`",
    "device_id": "the event's distinct_id without a user; `$device_id`, `$amplitude_device_id`",
    "event_properties": "each one a property under its own name",
    "user_properties": "person properties: `$set` of the newest row, the initial_* ones also `$set_once`",
    "group_properties": "`$groupidentify` of the newest row, once per group and change",
}

MOBILE_PLATFORMS = frozenset({"ios", "android", "ipados", "tvos", "watchos", "windows phone"})
WEB_LIBRARIES = (
    "amplitude-js",
    "amplitude-ts",
    "analytics-browser",
    "@amplitude/analytics-browser",
)
MOBILE_LIBRARIES = (
    "amplitude-ios",
    "amplitude-android",
    "amplitude-swift",
    "amplitude-kotlin",
    "amplitude-analytics-android",
    "amplitude-react-native",
    "@amplitude/analytics-react-native",
    "amplitude-flutter",
    "amplitude-unity",
    "amplitude-unreal",
)


def platform_of(row: Mapping[str, Any]) -> Platform:
    """Return the platform of an event, by `platform`, else by `library`."""
    platform = row.get("platform")
    if isinstance(platform, str) and platform:
        name = platform.lower()
        if name == "web":
            return WEB
        if name in MOBILE_PLATFORMS:
            return MOBILE
    library = row.get("library")
    if isinstance(library, str):
        # Of a wrapper and the SDK that it wraps, `amplitude-flutter/4.3.2_amplitude-ts/2.1`, the
        # latter knows what it runs on.
        wrapped = library.rpartition("_")[2]
        if library.startswith(WEB_LIBRARIES) or wrapped.startswith(WEB_LIBRARIES):
            return WEB
        if library.startswith(MOBILE_LIBRARIES) or wrapped.startswith(MOBILE_LIBRARIES):
            return MOBILE
    return SERVER
