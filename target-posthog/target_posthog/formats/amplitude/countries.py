"""Countries by the English names that Amplitude's geo look-up gives, with other spellings of them.

`countries.tsv` has a country a line. Codes are ISO 3166-1; continents and names are those of
GeoNames, which PostHog's own look-up (MaxMind) uses too. PostHog's maps know a country by its code
alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_LINES = Path(__file__).with_name("countries.tsv").read_text(encoding="utf-8").splitlines()[1:]
#: Name → (country code, continent code, continent name).
COUNTRIES: dict[str, tuple[str, str, str]] = {
    name: (code, continent, full_name)
    for code, continent, full_name, names in (line.split("\t") for line in _LINES)
    for name in names.split("|")
}


def country_code(value: Any) -> str | None:
    """Return the country's ISO code, such as `GB`."""
    return _known(value, 0)


def continent_code(value: Any) -> str | None:
    """Return the code of the country's continent, such as `EU`."""
    return _known(value, 1)


def continent_name(value: Any) -> str | None:
    """Return the name of the country's continent, such as `Europe`."""
    return _known(value, 2)


def _known(value: Any, part: int) -> str | None:
    country = COUNTRIES.get(value) if isinstance(value, str) else None
    return None if country is None else country[part]
