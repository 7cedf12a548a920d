"""The converters of the table of renames, each with what it keeps and what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.formats.amplitude import values
from target_posthog.formats.amplitude.fields import (
    FIELDS,
    MOBILE,
    SERVER,
    WEB,
    Platform,
    platform_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CONVERTERS = sorted({field.convert for field in FIELDS}, key=lambda one: one.__name__)


@pytest.mark.parametrize("convert", CONVERTERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    "value",
    [None, "", " ", "\ud800", "\0", "NaN", 0, -1, 2**70, 1e308, True, [], ["x"], {}, {"a": 1}],
    ids=repr,
)
def test_no_converter_raises_on_any_json_value(convert: Callable[[Any], Any], value: Any) -> None:
    """A value that makes no sense is left out, and never stops a run."""
    assert convert(value) == convert(value)


@pytest.mark.parametrize(
    ("convert", "value", "expected"),
    [
        # Old exports carry coordinates as text.
        *((values.number, value, value) for value in (53.8, 0)),
        (values.number, "52.5200", 52.52),
        (values.number, "-1.5", -1.5),
        *((values.number, text, None) for text in ("north", "NaN", "inf", "1e999", "1_000")),
        *((values.number, value, None) for value in (True, [1])),
        # So that history and live events are one row in a chart.
        *((values.browser, name, name) for name in ("Chrome", "Mobile Safari", "Ladybird")),
        (values.browser, "Chrome Mobile", "Chrome"),
        (values.browser, "Chrome Mobile iOS", "Chrome iOS"),
        (values.browser, "Edge", "Microsoft Edge"),
        (values.browser, "IE", "Internet Explorer"),
        (values.browser, "Samsung Browser", "Samsung Internet"),
        # PostHog's browser SDK sends numbers.
        (values.browser_version, "137", 137),
        (values.browser_version, "13.1", 13.1),
        *((values.browser_version, text, text) for text in ("121.0.2277.83", "beta", "1" * 20)),
        (values.browser_version, 107, 107),
        # Amplitude's app SDKs run on computers, too: none of them is called a phone.
        (values.mobile_device_type, "Apple iPhone 14 Pro", "Mobile"),
        (values.mobile_device_type, "Samsung Galaxy S21", "Mobile"),
        (values.mobile_device_type, "Apple iPad", "Tablet"),
        (values.mobile_device_type, "Samsung Galaxy Tablet", "Tablet"),
        *((values.mobile_device_type, one, "Desktop") for one in ("macOS", "Mac", "Windows")),
        (values.mobile_device_type, "MacBookPro18,3", "Desktop"),
        *((values.mobile_device_type, one, "TV") for one in ("Apple TV", "tvOS")),
        *((values.mobile_device_type, one, "Wearable") for one in ("Apple Watch", "watchOS")),
        # `--` is what iOS says when there is none.
        *((values.carrier, name, name) for name in ("Telekom.de", "A-1")),
        *((values.carrier, text, None) for text in ("--", "-", " ")),
        *((one, 7, None) for one in (values.browser, values.mobile_device_type, values.carrier)),
    ],
)
def test_a_value_has_the_form_that_posthog_knows(
    convert: Callable[[Any], Any], value: Any, expected: Any
) -> None:
    """Or it is left out; of a number the type counts, too."""
    found = convert(value)
    assert (found, type(found)) == (expected, type(expected))


#: Two properties that are made of one field: their converters, and each value with what they give.
PAIRS: dict[tuple[Callable[[Any], Any], ...], list[tuple[Any, ...]]] = {
    # PostHog keeps the two apart.
    (values.library_name, values.library_version): [
        ("amplitude-ts/2.16.1", "amplitude-ts", "2.16.1"),
        ("http/2.0", "http", "2.0"),
        ("segment", "segment", None),
        ("a/b/c", "a", "b/c"),
        ("/1", None, "1"),
        ("amplitude-flutter/4.3.2_amplitude-swift/1.13.6", "amplitude-flutter", "4.3.2"),
        (
            "amplitude-flutter/4.6.0_amplitude-analytics-android/1.27.0",
            "amplitude-flutter",
            "4.6.0",
        ),
        ("amplitude-flutter/unknown_@amplitude/browser/2.1", "amplitude-flutter", "unknown"),
        ("a/1_b/2_c/3", "a", "1"),
        ("amplitude-react-native-ts/1.4.4", "amplitude-react-native-ts", "1.4.4"),
        ("@amplitude/analytics-react-native/1.0", "@amplitude/analytics-react-native", "1.0"),
        ("@amplitude/analytics-browser", "@amplitude/analytics-browser", None),
        ("@", "@", None),
        ("our_sdk/1.0_beta", "our_sdk", "1.0_beta"),
        ("our_sdk/1.0_2/3", "our_sdk", "1.0_2/3"),
        (7, None, None),
    ],
    # What is not surely known is left out.
    (values.web_os, values.web_device_type): [
        ("Mac", "Mac OS X", "Desktop"),
        ("Mac OS X", "Mac OS X", "Desktop"),
        ("Mac OS", "Mac OS X", "Desktop"),
        ("Windows", "Windows", "Desktop"),
        ("Windows Phone", "Windows Phone", "Mobile"),
        ("Linux", "Linux", "Desktop"),
        ("Ubuntu", "Linux", "Desktop"),
        ("Chrome OS", "Chrome OS", "Desktop"),
        ("Chromium OS", "Chrome OS", "Desktop"),
        ("Android", "Android", "Mobile"),
        ("Android Tablet", "Android", "Tablet"),
        ("Apple iPhone", "iOS", "Mobile"),
        ("iPad", "iOS", "Tablet"),
        ("Apple iPad", "iOS", "Tablet"),
        ("iOS", "iOS", "Mobile"),
        ("Samsung Galaxy S21", None, None),
        ("", None, None),
        (7, None, None),
    ],
    # On a server the name may be a browser's, so only a known one counts.
    (values.os_name, values.known_os): [
        ("ios", "iOS", "iOS"),
        ("Android", "Android", "Android"),
        ("mac os x", "Mac OS X", "Mac OS X"),
        ("ipados", "iPadOS", "iPadOS"),
        ("HarmonyOS", "HarmonyOS", None),
        ("Chrome", "Chrome", None),
        (7, None, None),
    ],
    # Amplitude mostly has the language's English name, of which no code can be made.
    (values.locale, values.locale_prefix): [
        ("en", "en", "en"),
        ("en-US", "en-US", "en"),
        ("de_DE", "de-DE", "de"),
        ("zh-Hans-CN", "zh-Hans-CN", "zh"),
        ("fil-PH", "fil-PH", "fil"),
        ("English", None, None),
        ("Thai", None, None),
        ("Lao", None, None),
        ("en-", None, None),
        ("", None, None),
        (7, None, None),
    ],
}


@pytest.mark.parametrize(
    ("converters", "value", "made"),
    [(converters, value, made) for converters, rows in PAIRS.items() for value, *made in rows],
    ids=lambda part: repr(part) if isinstance(part, str) else "",
)
def test_two_properties_are_made_of_one_field(
    converters: tuple[Callable[[Any], Any], ...], value: Any, made: list[Any]
) -> None:
    """Name and version, system and kind of device, what it is called and what PostHog knows."""
    assert [convert(value) for convert in converters] == made


@pytest.mark.parametrize(
    ("platform", "library", "expected"),
    [
        ("Web", "segment", WEB),
        ("web", None, WEB),
        ("iOS", "batch/1.0", MOBILE),
        ("Android", None, MOBILE),
        ("tvOS", None, MOBILE),
        (None, "amplitude-ts/2.16.1", WEB),
        (None, "amplitude-js/8.1.0", WEB),
        ("", "amplitude-swift/1.9.2", MOBILE),
        (None, "amplitude-react-native-ts/1.4", MOBILE),
        (None, "@amplitude/analytics-react-native/1.0", MOBILE),
        (None, "amplitude-flutter/4.3.2_amplitude-swift/1.13.6", MOBILE),
        (None, "amplitude-flutter/4.3.2_amplitude-ts/2.16.1", WEB),
        (None, "our-own/1_amplitude-kotlin/1.2", MOBILE),
        (None, "amplitude-node-ts/1.3", SERVER),
        (None, "amplitude-python/1.1", SERVER),
        (None, "http/2.0", SERVER),
        (None, "segment", SERVER),
        (None, None, SERVER),
        (7, ["x"], SERVER),
    ],
)
def test_platform_then_library_tell_what_sent_an_event(
    platform: Any, library: Any, expected: Platform
) -> None:
    """The same field means the browser on the web and the OS in an app."""
    assert platform_of({"platform": platform, "library": library}) is expected
