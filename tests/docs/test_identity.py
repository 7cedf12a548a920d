"""docs/identity.md tells the truth: its examples are replayed, its lists compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from target_posthog.identity import ledger
from target_posthog.posthog.people import ILLEGAL_IDS
from tests.support.documented_people import Story, people_after
from tests.support.documents import document
from tests.support.person_model import World, old_people
from tests.support.reference_delivery import ReferenceDelivery

if TYPE_CHECKING:
    from pathlib import Path

    from target_posthog.model import Json

#: How the page writes an event without a user.
NOBODY = "\N{EN DASH}"
PAGE = document("docs/identity.md")
EXAMPLES = [
    heading.strip()
    for heading in re.findall(
        r"^### (.+)$",
        PAGE.text.partition("\n## Worked examples\n")[2].partition("\n## ")[0],
        re.MULTILINE,
    )
]


@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_ends_with_the_people_that_it_shows(heading: str, tmp_path: Path) -> None:
    """Each way of telling PostHog leads to the people in its line of the table."""
    rows = PAGE.rows(f"### {heading}")
    story: Story = [
        (None if user == NOBODY else user, device) for _, user, device in rows_of(rows, 3)
    ]
    shown = {way.strip("`"): people for way, people in rows_of(rows, 2)}
    assert {"alias", "identify", "none"} <= shown.keys()
    for way, people in shown.items():
        expected = {" ".join(ids.split(", ")) for ids in re.findall(r"{([^}]*)}", people)}
        assert people_after(story, way, tmp_path) == expected, way


def test_all_examples_are_found() -> None:
    """The examples above are those of the page, so none is passed over."""
    assert len(EXAMPLES) == 5


def test_the_page_lists_every_illegal_id() -> None:
    """Its list is the code's, no more and no less."""
    section = PAGE.text.partition("\n## Illegal ids\n")[2].partition("\n## ")[0]
    line = next(line for line in section.splitlines() if line.startswith("`anonymous`"))
    assert set(re.findall(r"`([^`]+)`", line)) == ILLEGAL_IDS


def test_the_page_lists_every_table_of_the_ledger() -> None:
    """What the ledger remembers is what the page says."""
    named = {row[0].strip("`") for row in PAGE.rows("## The ledger")}
    assert named == set(ledger._METADATA.tables)


def test_the_person_ends_with_its_newest_row_as_the_page_shows() -> None:
    """The example of a device whose newest row is newer than its user's."""
    section = "## The final state of a person"
    shown = rows_of(PAGE.rows(section), 5)
    plans = {number: plan for number, *_, plan in shown}
    rows: list[Json] = [
        {
            "event_type": "Play",
            "uuid": f"00000000-0000-4000-8000-{int(number):012}",
            "user_id": None if user == NOBODY else user,
            "device_id": device,
            "event_time": "2024-01-01 10:00:00.000000",
            "server_upload_time": f"2024-01-01 {uploaded}:00.000000",
            "event_id": int(number),
            "user_properties": {"plan": plan},
        }
        for number, user, device, uploaded, plan in shown
    ]
    world = World()
    assert ReferenceDelivery(world).read([rows], dies_at=None, saves=True)
    links = [event for event in world.events if event["event"] == "$create_alias"]
    assert [event["properties"].get("$set") for event in links] == [None, {"plan": plans["2"]}]
    assert world.events[-1]["properties"]["user_properties"] == {"plan": plans["3"]}
    assert old_people(world, rows) == []
    assert world.people.person_properties("u1") == {"plan": plans["2"]}


def rows_of(rows: list[list[str]], cells: int) -> list[list[str]]:
    """Return the rows of the table that has so many columns."""
    return [row for row in rows if len(row) == cells]
