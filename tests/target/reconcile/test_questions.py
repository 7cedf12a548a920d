"""Questions are HogQL, as PostHog's own grammar reads it, whatever stands in names."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.books.reconciled import Scope
from target_posthog.reconcile.questions import (
    Page,
    daily_counts,
    hour_property,
    hourly_counts,
    people_of,
    text,
)
from tests.fakes.posthog_hogql import Printer, parser
from tests.support.target_settings import settings_of

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(NAMES)
def test_a_text_is_read_as_it_was_written(name: str) -> None:
    """Quotes, backslashes, braces and line ends are letters in it."""
    tree = json.loads(parser()(f"SELECT {text(name)}"))
    assert tree["select"][0]["value"] == name


# The grammar takes a second for these four: what it makes of letters is tried above.
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("' OR team_id = 8 --", "\\"),
        ("\\' OR 1 = 1 OR '", "{team_id}"),
        ("'); SELECT 1; --", "/* $$ */"),
    ],
)
def test_no_name_can_ask_for_something_else(one: str, other: str) -> None:
    """Each question goes through PostHog's grammar and printer."""
    printer = Printer(7, "Europe/Amsterdam", {"server_upload_time"})
    page = Page("2024-01-01", "2024-01-02", one, other, ("2024-01-01",))
    scope = Scope("2024-01-01T05", "2024-01-01T06", {one, other})
    for query in (
        hourly_counts(page, scope, one),
        daily_counts(page, Scope(events={other}), None),
        daily_counts(Page(), Scope(), "server_upload_time"),
        people_of([one, other]),
    ):
        assert "team_id = 7" in printer.print(query)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "server_upload_time"),
        ({"skip_properties": ["ip_address"]}, "server_upload_time"),
        ({"skip_properties": ["server_*"]}, None),
        ({"property_names": [{"from": "server_upload_time", "to": "uploaded"}]}, "uploaded"),
        (
            {
                "property_names": [{"from": "server_upload_time", "to": "uploaded"}],
                "skip_properties": ["*upload*"],
            },
            None,
        ),
    ],
)
def test_the_hour_stands_where_the_settings_put_it(
    settings: dict[str, object], name: str | None
) -> None:
    """Under its own name, under a new one, or nowhere."""
    assert hour_property(settings_of(**settings)) == name
