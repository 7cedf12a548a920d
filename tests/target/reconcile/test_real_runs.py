"""Real runs, compared with what a real ClickHouse holds of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.reconciling import reconcile
from tests.support.rows import row, uuid_of
from tests.target.books.test_book_of_runs import DAY, messages_of

if TYPE_CHECKING:
    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.singer import Json
    from tests.support.target import Target


def rows_of(hour: int, count: int = 12) -> list[Json]:
    """Return rows of an hour, some of the day before, of users with a device."""
    return [
        row(
            100 * hour + number,
            app=7,
            device_id=f"device-{number % 3}",
            user_id=f"user-{number % 3}",
            event_type=["viewed", "paid"][number % 2],
            server_upload_time=f"{DAY} {hour:02}:30:00.000000",
            event_time=f"{DAY if number % 4 else '2023-12-31'} {hour:02}:10:{number:02}.000000",
        )
        for number in range(count)
    ]


def run(target: Target, hours: dict[int, list[Json]], **settings: Any) -> None:
    """Send hours."""
    target.run(messages_of("records", target.folder, hours), **settings).checked()


HOURS = {5: rows_of(5), 6: [], 7: rows_of(7)}


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_what_was_sent_is_there(target: Target, protocol: str) -> None:
    """In a project in another time zone that took the times of uploads for dates; links too."""
    run(target, HOURS, protocol=protocol)
    compared = reconcile(target, "--json")
    assert compared.totals == (24, 24, 0, 0), compared.stdout
    assert compared.exit_code == 0
    assert compared.json["agrees"]
    assert compared.json["people"] == {"sampled": 3, "joined": 3, "separate": [], "unknown": []}
    assert compared.json["book"]["hours"] == 3
    assert "Both sides agree." in reconcile(target).stdout


def test_a_lost_event_is_missing_until_its_hour_is_sent_again(
    target: Target, api: PosthogQuery
) -> None:
    """By hour, day and name, with the command that sends just that hour."""
    run(target, HOURS)
    api.loses = {uuid_of(501), uuid_of(504)}
    compared = reconcile(target, "--json")
    assert (compared.exit_code, compared.totals) == (3, (24, 22, 2, 0))
    command = (
        "TAP_AMPLITUDE_START_DATE=2024-01-01T05:00:00Z "
        "TAP_AMPLITUDE_END_DATE=2024-01-01T06:00:00Z "
        "meltano run --no-state-update tap-amplitude target-posthog"
    )
    assert compared.json["commands"] == [command]
    differences = [
        (one["hour"], one["day"], one["event"], one["booked"], one["held"], one["command"])
        for one in compared.json["differences"]
    ]
    assert differences == [
        ("2024-01-01T05:00:00Z", "2023-12-31", "viewed", 3, 2, command),
        ("2024-01-01T05:00:00Z", "2024-01-01", "paid", 6, 5, command),
    ]
    text = reconcile(target).stdout
    assert "  2024-01-01T05Z  2024-01-01     6        5        1      0  paid" in text
    assert command in text
    assert "Both sides do not agree." in text
    api.loses = set()
    run(target, {5: rows_of(5)})
    assert reconcile(target, "--json").totals == (24, 24, 0, 0)


def test_a_link_that_was_lost_with_its_hour_is_sent_again_with_it(target: Target) -> None:
    """As when a quota took a whole hour: then its devices and users are people of their own."""
    run(target, HOURS)
    target.capture.events[:] = [
        one for one in target.capture.events if one["event"] != "$create_alias"
    ]
    lost = reconcile(target, "--json")
    assert (lost.exit_code, lost.totals) == (3, (24, 24, 0, 0))
    assert lost.json["people"]["joined"] == 0
    run(target, {5: rows_of(5)})
    assert reconcile(target, "--json").json["people"]["joined"] == 3


def test_repeats_count_once_before_and_after_they_are_merged(
    target: Target, api: PosthogQuery
) -> None:
    """Before it is said how many there are; both are no difference."""
    for _ in range(2):
        run(target, HOURS)
    api.merged = False
    before = reconcile(target, "--json")
    assert (before.exit_code, before.totals) == (0, (24, 24, 0, 0))
    assert before.json["totals"]["unmerged"] == 24
    assert "not merged yet" in reconcile(target).stdout
    api.merged = True
    after = reconcile(target, "--json")
    assert (after.totals, after.json["totals"]["unmerged"]) == ((24, 24, 0, 0), 0)


def foreign(number: int, **properties: Any) -> Json:
    """Return an event that another sender brings into the project."""
    return {
        "uuid": uuid_of(90_000 + number),
        "event": "viewed",
        "distinct_id": "user-1",
        "timestamp": f"{DAY}T05:20:00.000000Z",
        "properties": properties,
    }


def test_what_others_send_does_not_count(target: Target) -> None:
    """The project's live events, those of PostHog's own migration, and of another import."""
    run(target, HOURS)
    target.capture.events.extend(
        [
            foreign(1, **{"$lib": "web"}),
            foreign(2, server_upload_time=f"{DAY}T05:00:00.000000Z"),
            foreign(3, analytics_source="amplitude", **{"$import_job_id": "x"}),
            foreign(4, analytics_source="mixpanel", historical_migration=True),
        ]
    )
    compared = reconcile(target, "--json")
    assert (compared.exit_code, compared.totals) == (0, (24, 24, 0, 0))


def test_another_project_in_the_same_ledger_does_not_count(target: Target) -> None:
    """A trial in a scratch project leaves the book of the real one alone."""
    trial: Json = {"api_key": "phc_scratch", "check_api_key": False}
    run(target, {5: rows_of(5), 9: rows_of(9)}, **trial)
    run(target, {5: rows_of(5)})
    assert reconcile(target, "--json").totals == (12, 12, 0, 0)
    lost = reconcile(target, "--json", **trial)
    assert (lost.exit_code, lost.totals[0]) == (3, 24)


def test_hours_that_the_book_lacks_are_extra(target: Target) -> None:
    """Another ledger or an older version sent them; to send them again books them."""
    run(target, {8: rows_of(8)}, ledger_url=f"sqlite:///{target.folder}/other.db")
    run(target, HOURS)
    compared = reconcile(target, "--json")
    assert (compared.exit_code, compared.totals) == (3, (24, 36, 0, 12))
    assert "START_DATE=2024-01-01T08:00:00Z" in compared.json["commands"][0]
    assert "troubleshooting.md#more-in-posthog-than-in-the-book" in reconcile(target).stdout
    run(target, {8: rows_of(8)})
    assert reconcile(target, "--json").totals == (36, 36, 0, 0)
    assert len(target.capture.events) > 36


def test_hours_that_no_run_read_are_named(target: Target) -> None:
    """With the command that reads them."""
    run(target, {5: rows_of(5)})
    run(target, {9: rows_of(9)})
    compared = reconcile(target, "--json")
    assert (compared.exit_code, compared.totals) == (3, (24, 24, 0, 0))
    assert compared.json["book"]["gaps"] == [
        {"first": "2024-01-01T06:00:00Z", "last": "2024-01-01T08:00:00Z"}
    ]
    (command,) = compared.json["commands"]
    assert "START_DATE=2024-01-01T06:00:00Z TAP_AMPLITUDE_END_DATE=2024-01-01T09" in command
    text = reconcile(target).stdout
    assert "The book has no line of 2024-01-01T06Z to 2024-01-01T08Z" in text
    part = reconcile(target, "--json", "--from", f"{DAY}T09", "--to", "2024-01-02")
    assert (part.exit_code, part.totals) == (0, (12, 12, 0, 0))


def test_a_part_can_be_compared_alone(target: Target, api: PosthogQuery) -> None:
    """By hours and names of events, on both sides."""
    run(target, HOURS)
    api.loses = {uuid_of(500)}
    late = reconcile(target, "--json", "--from", f"{DAY}T06")
    assert (late.exit_code, late.totals) == (0, (12, 12, 0, 0))
    early = reconcile(target, "--json", "--to", f"{DAY}T06:00:00Z")
    assert (early.exit_code, early.totals) == (3, (12, 11, 1, 0))
    named = reconcile(target, "--json", "--event", "paid")
    assert (named.exit_code, named.totals) == (0, (12, 12, 0, 0))


def test_what_a_replay_sent_is_not_extra(target: Target) -> None:
    """The book has it as accepted, and as rejected once its hour is read without the remedy."""
    sent = rows_of(5)
    sent[3]["event_time"] = sent[3]["server_upload_time"] = "never"
    sent[4]["event_type"] = "n" * 201
    run(target, {5: sent})
    target.command("replay", event_names=[{"from": "n" * 201, "to": "short"}]).checked()
    compared = reconcile(target, "--json")
    assert (compared.exit_code, compared.totals) == (0, (11, 11, 0, 0))
    assert compared.json["totals"]["replayed"] == 0
    run(target, {5: sent})
    again = reconcile(target, "--json")
    assert (again.exit_code, again.totals) == (0, (10, 11, 0, 0))
    assert again.json["totals"]["replayed"] == 1


def test_hours_that_the_settings_hide_are_compared_by_day(
    target: Target, api: PosthogQuery
) -> None:
    """And renamed they are found under their new name."""
    hidden: Json = {"skip_properties": ["server_*"]}
    run(target, HOURS, **hidden)
    assert reconcile(target, "--json", **hidden).totals == (24, 24, 0, 0)
    refused = reconcile(target, "--from", DAY, **hidden)
    assert (refused.exit_code, "`skip_properties`" in refused.failure) == (2, True)
    renamed: Json = {"property_names": [{"from": "server_upload_time", "to": "uploaded"}]}
    run(target, HOURS, **renamed)
    api.loses = {uuid_of(701)}
    compared = reconcile(target, "--json", **renamed)
    assert compared.totals == (24, 23, 1, 0)
    assert compared.json["differences"][0]["hour"] == "2024-01-01T07:00:00Z"


def test_an_event_that_came_in_two_hours_is_not_missing(target: Target) -> None:
    """PostHog keeps the later version, in its hour."""
    twice = rows_of(5)[1] | {"server_upload_time": f"{DAY} 07:59:00.000000"}
    run(target, {5: rows_of(5), 6: [], 7: [*rows_of(7), twice]})
    compared = reconcile(target, "--json")
    assert (compared.exit_code, compared.totals) == (0, (24, 24, 0, 0)), compared.stdout
    assert compared.json["totals"]["moved"] == 2


def test_times_out_of_the_ordinary_are_found(target: Target) -> None:
    """Clocks without a battery, names with quotes, a customer's own field."""
    odd = rows_of(5)
    odd[0]["event_time"] = "1969-12-31 23:00:00.000000"
    odd[1]["event_time"] = "1904-01-01 00:00:00.000000"
    odd[2]["event_type"] = "it's a \\ 'quoted' {name} ü"
    odd[3]["event_properties"] = {"server_upload_time": "mine", "analytics_source": "mine"}
    odd[5]["event_properties"] = {"server_upload_time": 17}
    run(target, {5: odd})
    compared = reconcile(target, "--json")
    assert (compared.exit_code, compared.totals) == (0, (12, 12, 0, 0)), compared.stdout
    named = reconcile(target, "--json", "--event", odd[2]["event_type"])
    assert named.totals == (1, 1, 0, 0)
