"""Countries by name, held against the ISO list."""

from __future__ import annotations

from typing import Any

import pycountry
import pytest

from target_posthog.formats.amplitude.countries import (
    COUNTRIES,
    continent_code,
    continent_name,
    country_code,
)

#: Kosovo has no ISO code; everybody uses this one, which ISO leaves free for that.
_NOT_ISO = {"XK"}


def test_every_country_of_the_iso_list_is_known_and_no_other() -> None:
    """A country that is missing would be a hole in the map."""
    codes = {code for code, _, _ in COUNTRIES.values()}
    assert codes == {one.alpha_2 for one in pycountry.countries} | _NOT_ISO


@pytest.mark.parametrize("country", list(pycountry.countries), ids=lambda one: one.alpha_2)
def test_no_name_stands_for_another_country(country: Any) -> None:
    """Where ISO's name is in the table, it has ISO's code."""
    for name in (country.name, getattr(country, "common_name", country.name)):
        assert country_code(name) in {country.alpha_2, None}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("United States", ("US", "NA", "North America")),
        ("Türkiye", ("TR", "AS", "Asia")),
        ("Turkey", ("TR", "AS", "Asia")),
        ("The Netherlands", ("NL", "EU", "Europe")),
        ("South Korea", ("KR", "AS", "Asia")),
        ("Ivory Coast", ("CI", "AF", "Africa")),
        ("Georgia", ("GE", "AS", "Asia")),
        ("Atlantis", (None, None, None)),
        ("united states", (None, None, None)),
        (7, (None, None, None)),
        (["Kenya"], (None, None, None)),
    ],
)
def test_a_name_gives_code_and_continent(name: object, expected: tuple[Any, ...]) -> None:
    """As the geo look-up spells it; what is unknown gives nothing."""
    assert (country_code(name), continent_code(name), continent_name(name)) == expected
