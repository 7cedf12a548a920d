"""The conversion against pairs written by hand from Amplitude's and PostHog's documentation."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from target_posthog.common.amplitude_columns import fields_of
from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.amplitude.fields import FIELDS, Field, platform_of
from target_posthog.formats.amplitude.foreign_rows import exported_row
from target_posthog.formats.names import STANDARD_EVENTS
from target_posthog.formats.options import Options
from target_posthog.model import Converted
from target_posthog.posthog.events import NO_STATE, state_of
from target_posthog.rejects.codes import CODES
from tests.support.golden_pairs import GoldenPair, as_json, load_all, options_of, outcome_of
from tests.support.rows import row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.model import Json

PAIRS = load_all()
_EVENT, _USER = "event_properties.", "user_properties."

#: What the converter answers for a row alone; the other codes belong to later steps.
CODES_OF_CONVERSION = {
    "missing_event_type",
    "event_name_too_long",
    "bad_object",
    "reserved_event_name",
    "no_distinct_id",
    "distinct_id_too_long",
    "bad_time",
}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_row_becomes_exactly_what_its_pair_says_and_why(pair: GoldenPair) -> None:
    """Event, link and groups, or the rejection or skip: whole, and to the type of each value.

    The row stays as it came, as it goes to the rejects file. An expectation without its fact is
    only a copy of the code.
    """
    before = copy.deepcopy(pair.row)
    outcome = outcome_of(Amplitude(options_of(pair.settings)).convert(pair.row))
    assert as_json(outcome) == as_json(pair.expected)
    assert as_json(pair.row) == as_json(before)
    assert list(pair.row) == list(before)
    assert pair.why
    assert all(reason.startswith("fact: ") for reason in pair.why)


@pytest.mark.parametrize(
    ("field", "source"),
    [(field, source) for field in FIELDS for source in field.sources],
    ids=lambda part: part if isinstance(part, str) else f"{part.name}-{part.when.value}",
)
def test_every_source_of_every_rename_fires_in_a_pair(field: Field, source: str) -> None:
    """No row of the table of renames is without an example that was written by hand."""
    shown = [value for value, original in _shown_by_pairs(field, source) if value is not None]
    assert shown, f"no pair shows {field.name} made of {source}"
    assert all(
        as_json(value) == as_json(field.convert(original))
        for value, original in _shown_by_pairs(field, source)
    )


def _shown_by_pairs(field: Field, source: str) -> Iterator[tuple[object, object]]:
    """Yield the expected value and the source's own, where the source is the one that counts."""
    earlier = field.sources[: field.sources.index(source)]
    later = [one for one in FIELDS[FIELDS.index(field) + 1 :] if one.name == field.name]
    for pair in PAIRS:
        wished = {"property_names", "skip_properties"} & pair.settings.keys()
        row, _ = exported_row(pair.row, fields_of(pair.row))
        platform = platform_of(row)
        if not pair.properties or wished or platform not in field.when:
            continue
        # An event's property goes before the user's.
        above = [name for one in later if platform in one.when for name in one.sources]
        values = {
            **row,
            **{_EVENT + k: v for k, v in (row["event_properties"] or {}).items()},
            **{_USER + k: v for k, v in (row["user_properties"] or {}).items()},
        }
        if _EVENT + field.name in values or any(values.get(one) for one in (*earlier, *above)):
            continue
        if values.get(source) not in (None, ""):
            yield pair.properties.get(field.name), values[source]


@pytest.mark.parametrize(("amplitude", "posthog"), sorted(STANDARD_EVENTS.items()))
def test_every_standard_name_fires_in_a_pair(amplitude: str, posthog: str) -> None:
    """No row of the table of event names is without an example that was written by hand."""
    shown = {
        pair.expected["event"]["event"]
        for pair in PAIRS
        if pair.row.get("event_type") == amplitude and pair.settings.get("standard_events")
    }
    assert shown == {posthog}


def test_every_rejection_of_the_conversion_has_a_pair() -> None:
    """Each code that the converter can answer is shown, and is on the closed list."""
    shown = {pair.expected["rejected"] for pair in PAIRS if "rejected" in pair.expected}
    assert shown == CODES_OF_CONVERSION
    assert shown <= CODES.keys()


@pytest.mark.parametrize(
    ("event_type", "user_properties", "state"),
    [
        ("viewed", None, None),
        ("viewed", {}, None),
        ("viewed", {"plan": "pro"}, b'{"plan":"pro"}'),
        ("$identify", {"$set": {"plan": "pro"}}, b'{"plan":"pro"}'),
        ("$identify", {"$set": {"plan": "pro"}, "$unset": {"b": "-"}}, b'{"plan":"pro"}'),
        ("$identify", {"$unset": {"plan": "-"}}, b"null"),
        ("$identify", {"$setOnce": {"plan": "pro"}}, None),
    ],
)
def test_a_row_that_sets_something_on_its_person_has_a_state(
    event_type: str, user_properties: Json | None, state: bytes | None
) -> None:
    """Of two rows of one moment it tells which one is the newer."""
    told = row(1, event_type=event_type, user_properties=user_properties)
    conversion = Amplitude(Options()).convert(told)
    assert isinstance(conversion, Converted)
    assert conversion.sets is (state is not None)
    assert conversion.order.endswith(NO_STATE if state is None else state_of(state))
    assert conversion.order.startswith(b"2024-01-01T00:00:01.000000Z" * 2)
