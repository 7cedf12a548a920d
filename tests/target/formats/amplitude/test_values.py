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
    ("value", "expected"),
    [
        (53.8, 53.8),
        (0, 0),
        ("52.5200", 52.52),
        ("-1.5", -1.5),
        ("north", None),
        ("NaN", None),
        ("inf", None),
        ("1e999", None),
        ("1_000", None),
        (True, None),
        ([1], None),
    ],
)
def test_a_coordinate_is_a_number(value: Any, expected: Any) -> None:
    """Old exports carry coordinates as text."""
    assert values.number(value) == expected


@pytest.mark.parametrize(
    ("value", "name", "version"),
    [
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
)
def test_a_library_is_a_name_and_a_version(
    value: Any, name: str | None, version: str | None
) -> None:
    """PostHog keeps the two apart."""
    assert (values.library_name(value), values.library_version(value)) == (name, version)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Chrome", "Chrome"),
        ("Chrome Mobile", "Chrome"),
        ("Chrome Mobile iOS", "Chrome iOS"),
        ("Edge", "Microsoft Edge"),
        ("IE", "Internet Explorer"),
        ("Samsung Browser", "Samsung Internet"),
        ("Mobile Safari", "Mobile Safari"),
        ("Ladybird", "Ladybird"),
        (7, None),
    ],
)
def test_a_browser_has_posthogs_name(value: Any, expected: str | None) -> None:
    """So that history and live events are one row in a chart."""
    assert values.browser(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("137", 137),
        ("13.1", 13.1),
        ("121.0.2277.83", "121.0.2277.83"),
        ("beta", "beta"),
        ("1" * 20, "1" * 20),
        (107, 107),
    ],
)
def test_a_browser_version_is_a_number_when_it_is_one(value: Any, expected: Any) -> None:
    """PostHog's browser SDK sends numbers."""
    version = values.browser_version(value)
    assert version == expected
    assert type(version) is type(expected)


@pytest.mark.parametrize(
    ("value", "system", "kind"),
    [
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
)
def test_a_web_device_field_tells_the_os_and_the_kind_of_device(
    value: Any, system: str | None, kind: str | None
) -> None:
    """What is not surely known is left out."""
    assert (values.web_os(value), values.web_device_type(value)) == (system, kind)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Apple iPhone 14 Pro", "Mobile"),
        ("Samsung Galaxy S21", "Mobile"),
        ("Apple iPad", "Tablet"),
        ("Samsung Galaxy Tablet", "Tablet"),
        ("Apple TV", "TV"),
        ("tvOS", "TV"),
        ("Apple Watch", "Wearable"),
        ("watchOS", "Wearable"),
        (7, None),
    ],
)
def test_an_apps_device_is_a_phone_unless_it_says_otherwise(
    value: Any, expected: str | None
) -> None:
    """PostHog's app SDKs send Mobile, Tablet, TV or Wearable."""
    assert values.mobile_device_type(value) == expected


@pytest.mark.parametrize("value", ["macOS", "Mac", "MacBookPro18,3", "Windows"])
def test_a_computer_is_never_called_a_phone(value: str) -> None:
    """Amplitude's app SDKs run on macOS and Windows too."""
    assert values.mobile_device_type(value) in ("Desktop", None)


@pytest.mark.parametrize(
    ("value", "named", "known"),
    [
        ("ios", "iOS", "iOS"),
        ("Android", "Android", "Android"),
        ("mac os x", "Mac OS X", "Mac OS X"),
        ("ipados", "iPadOS", "iPadOS"),
        ("HarmonyOS", "HarmonyOS", None),
        ("Chrome", "Chrome", None),
        (7, None, None),
    ],
)
def test_an_os_is_spelled_as_posthog_spells_it(
    value: Any, named: str | None, known: str | None
) -> None:
    """On a server the name may be a browser's, so only a known one counts."""
    assert (values.os_name(value), values.known_os(value)) == (named, known)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Telekom.de", "Telekom.de"),
        ("--", None),
        ("-", None),
        (" ", None),
        ("A-1", "A-1"),
        (7, None),
    ],
)
def test_dashes_are_no_carrier(value: Any, expected: str | None) -> None:
    """`--` is what iOS says when there is none."""
    assert values.carrier(value) == expected


@pytest.mark.parametrize(
    ("value", "code", "prefix"),
    [
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
)
def test_a_language_counts_only_as_a_code(value: Any, code: str | None, prefix: str | None) -> None:
    """Amplitude mostly has the language's English name, of which no code can be made."""
    assert (values.locale(value), values.locale_prefix(value)) == (code, prefix)


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
