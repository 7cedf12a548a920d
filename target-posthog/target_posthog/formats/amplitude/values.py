"""The converters of the table in `fields.py`: one Amplitude value to PostHog's form, or None.

Each takes any JSON value and never raises. A value that PostHog would read as something else
gives None: the property is left out, and the Amplitude field keeps it under its own name.
"""

from __future__ import annotations

import re
from typing import Any

#: The language in lower case, or "Lao" would be a code.
_LOCALE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)


def as_is(value: Any) -> Any:
    """Return the value unchanged."""
    return value


#: What Amplitude's browser SDK writes where there is no value to remember
#: (Amplitude docs, Browser SDK 2, `initialEmptyValue`).
NO_VALUE = "EMPTY"


def campaign(value: Any) -> Any:
    """Return the value unless it is `EMPTY`, Amplitude's marker for none."""
    return None if value == NO_VALUE else value


def number(value: Any) -> float | int | None:
    """Return a number; old exports carry coordinates as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


#: Where a wrapper names the SDK that it wraps: `_amplitude-swift/` behind its own version.
_WRAPPED = re.compile(r"_@?[A-Za-z][^/_]*/", re.ASCII)


def library_name(value: Any) -> str | None:
    """Return `amplitude-ts` of `amplitude-ts/2.16.1`, and of a chain the first: the app uses it."""
    return _library(value)[0] or None if isinstance(value, str) else None


def library_version(value: Any) -> str | None:
    """Return `2.16.1` of `amplitude-ts/2.16.1`, and of a chain that of the first."""
    return _library(value)[1] or None if isinstance(value, str) else None


def _library(text: str) -> tuple[str, str]:
    """Return name and version of a library, of `@scope/name/1.0` and `wrapper/1.0_sdk/2.0`, too."""
    start = text.find("/") + 1 if text.startswith("@") else 0
    name, _, rest = text[start:].partition("/")
    wrapped = _WRAPPED.search(rest)
    return text[:start] + name, rest if wrapped is None else rest[: wrapped.start()]


#: Amplitude's browser names that PostHog's browser SDK calls something else
#: (posthog-js, browser-common user-agent-utils).
_BROWSERS = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome iOS",
    "Edge": "Microsoft Edge",
    "Edge Mobile": "Microsoft Edge",
    "Firefox Mobile": "Firefox",
    "IE": "Internet Explorer",
    "Samsung Browser": "Samsung Internet",
}


def browser(value: Any) -> Any:
    """Return PostHog's name of a browser; unknown ones keep their own."""
    return _BROWSERS.get(value, value) if isinstance(value, str) else None


def browser_version(value: Any) -> Any:
    """Return the version as a number when it is one, as PostHog's browser SDK sends it."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value


#: How Amplitude's device_family and device_type begin on the web, and PostHog's OS, device type and
#: device for it; computers have no name there (posthog-js, user-agent-utils, detectDevice).
_WEB_DEVICES = {
    "mac": ("Mac OS X", "Desktop", None),
    "windows phone": ("Windows Phone", "Mobile", "Windows Phone"),
    "windows": ("Windows", "Desktop", None),
    "chrome os": ("Chrome OS", "Desktop", None),
    "chromium os": ("Chrome OS", "Desktop", None),
    "linux": ("Linux", "Desktop", None),
    "ubuntu": ("Linux", "Desktop", None),
    "android tablet": ("Android", "Tablet", "Android"),
    "android": ("Android", "Mobile", "Android"),
    "ios": ("iOS", "Mobile", None),
    "iphone": ("iOS", "Mobile", "iPhone"),
    "ipad": ("iOS", "Tablet", "iPad"),
    "ipod": (None, None, "iPod Touch"),
    "apple iphone": ("iOS", "Mobile", "iPhone"),
    "apple ipad": ("iOS", "Tablet", "iPad"),
    "apple ipod": (None, None, "iPod Touch"),
}
_NONE = (None, None, None)


def web_os(value: Any) -> str | None:
    """Return the OS that a web event's device field stands for."""
    return _web_device(value)[0]


def web_device_type(value: Any) -> str | None:
    """Return Desktop, Mobile or Tablet for a web event."""
    return _web_device(value)[1]


def web_device(value: Any) -> str | None:
    """Return iPhone, iPad, iPod Touch, Android or Windows Phone; computers have no name."""
    return _web_device(value)[2]


def _web_device(value: Any) -> tuple[str | None, str | None, str | None]:
    name = value.lower() if isinstance(value, str) else ""
    return next((row for start, row in _WEB_DEVICES.items() if name.startswith(start)), _NONE)


def mobile_device_type(value: Any) -> str | None:
    """Return Tablet, TV, Wearable, Desktop or Mobile for an app's event."""
    if not isinstance(value, str):
        return None
    name = value.lower()
    for word, kind in (
        ("ipad", "Tablet"),
        ("tablet", "Tablet"),
        ("tvos", "TV"),
        ("apple tv", "TV"),
        ("watch", "Wearable"),
        ("mac", "Desktop"),
        ("windows", "Desktop"),
    ):
        if word in name:
            return kind
    return "Mobile"


_OS_NAMES = {
    "android": "Android",
    "ios": "iOS",
    "ipados": "iPadOS",
    "linux": "Linux",
    "mac os": "Mac OS X",
    "mac os x": "Mac OS X",
    "macos": "Mac OS X",
    "tvos": "tvOS",
    "watchos": "watchOS",
    "windows": "Windows",
}


def os_name(value: Any) -> str | None:
    """Return PostHog's spelling of an OS; unknown ones keep their own."""
    return _OS_NAMES.get(value.lower(), value) if isinstance(value, str) else None


def known_os(value: Any) -> str | None:
    """Return PostHog's spelling of an OS, or None when the name may be a browser's."""
    return _OS_NAMES.get(value.lower()) if isinstance(value, str) else None


def carrier(value: Any) -> str | None:
    """Return the carrier; `--` is what iOS says when there is none."""
    return value if isinstance(value, str) and value.strip("- ") else None


def locale(value: Any) -> str | None:
    """Return `en-US` of `en-US` or `en_US`; Amplitude mostly has a word such as `English`."""
    if isinstance(value, str) and _LOCALE.fullmatch(value):
        return value.replace("_", "-")
    return None


def locale_prefix(value: Any) -> str | None:
    """Return `en` of `en-US`."""
    code = locale(value)
    return None if code is None else code.split("-", 1)[0]
