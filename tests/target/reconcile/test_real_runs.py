"""Real runs, compared with what a real ClickHouse holds of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes import start
from tests.support.reconciling import reconcile
from tests.support.rows import row, uuid_of
from tests.support.target_in_process import run_here
from tests.target.books.test_book_of_runs import DAY, messages_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.singer import Json


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


def run(config: Json, folder: Path, hours: dict[int, list[Json]]) -> None:
    """Send hours."""
    run_here(config, messages_of("records", folder, hours), folder).checked()


HOURS = {5: rows_of(5), 6: [], 7: rows_of(7)}


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_what_was_sent_is_there(tmp_path: Path, config: Json, protocol: str) -> None:
    """In a project in another time zone that took the times of uploads for dates; links too."""
    run(config | {"protocol": protocol}, tmp_path, HOURS)
    compared = reconcile(config, tmp_path, "--json")
    assert compared.totals == (24, 24, 0, 0), compared.stdout
    assert compared.exit_code == 0
    assert compared.json["agrees"]
    assert compared.json["people"] == {"sampled": 3, "joined": 3, "separate": [], "unknown": []}
    assert compared.json["book"]["hours"] == 3
    assert "Both sides agree." in reconcile(config, tmp_path).stdout


def test_a_lost_event_is_missing_until_its_hour_is_sent_again(
    tmp_path: Path, config: Json, api: PosthogQuery
) -> None:
    """By hour, day and name, with the command that sends just that hour."""
    run(config, tmp_path, HOURS)
    api.loses = {uuid_of(501), uuid_of(504)}
    compared = reconcile(config, tmp_path, "--json")
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
    text = reconcile(config, tmp_path).stdout
    assert "  2024-01-01T05Z  2024-01-01     6        5        1      0  paid" in text
    assert command in text
    assert "Both sides do not agree." in text
    api.loses = set()
    run(config, tmp_path, {5: rows_of(5)})
    assert reconcile(config, tmp_path, "--json").totals == (24, 24, 0, 0)


def test_a_link_that_was_lost_with_its_hour_is_sent_again_with_it(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """As when a quota took a whole hour: then its devices and users are people of their own."""
    run(config, tmp_path, HOURS)
    capture.events[:] = [one for one in capture.events if one["event"] != "$create_alias"]
    lost = reconcile(config, tmp_path, "--json")
    assert (lost.exit_code, lost.totals) == (3, (24, 24, 0, 0))
    assert lost.json["people"]["joined"] == 0
    run(config, tmp_path, {5: rows_of(5)})
    assert reconcile(config, tmp_path, "--json").json["people"]["joined"] == 3


def test_repeats_count_once_before_and_after_they_are_merged(
    tmp_path: Path, config: Json, api: PosthogQuery
) -> None:
    """Before it is said how many there are; both are no difference."""
    for _ in range(2):
        run(config, tmp_path, HOURS)
    api.merged = False
    before = reconcile(config, tmp_path, "--json")
    assert (before.exit_code, before.totals) == (0, (24, 24, 0, 0))
    assert before.json["totals"]["unmerged"] == 24
    assert "not merged yet" in reconcile(config, tmp_path).stdout
    api.merged = True
    after = reconcile(config, tmp_path, "--json")
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


def test_what_others_send_does_not_count(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """The project's live events, those of PostHog's own migration, and of another import."""
    run(config, tmp_path, HOURS)
    capture.events.extend(
        [
            foreign(1, **{"$lib": "web"}),
            foreign(2, server_upload_time=f"{DAY}T05:00:00.000000Z"),
            foreign(3, analytics_source="amplitude", **{"$import_job_id": "x"}),
            foreign(4, analytics_source="mixpanel", historical_migration=True),
        ]
    )
    compared = reconcile(config, tmp_path, "--json")
    assert (compared.exit_code, compared.totals) == (0, (24, 24, 0, 0))


def test_another_project_in_the_same_ledger_does_not_count(tmp_path: Path, config: Json) -> None:
    """A trial in a scratch project leaves the book of the real one alone."""
    trial = config | {"api_key": "phc_scratch", "check_api_key": False}
    run(trial, tmp_path, {5: rows_of(5), 9: rows_of(9)})
    run(config, tmp_path, {5: rows_of(5)})
    assert reconcile(config, tmp_path, "--json").totals == (12, 12, 0, 0)
    lost = reconcile(trial, tmp_path, "--json")
    assert (lost.exit_code, lost.totals[0]) == (3, 24)


def test_hours_that_the_book_lacks_are_extra(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """Another ledger or an older version sent them; to send them again books them."""
    elsewhere = config | {"ledger_url": f"sqlite:///{tmp_path}/other.db"}
    run(elsewhere, tmp_path, {8: rows_of(8)})
    run(config, tmp_path, HOURS)
    compared = reconcile(config, tmp_path, "--json")
    assert (compared.exit_code, compared.totals) == (3, (24, 36, 0, 12))
    assert "START_DATE=2024-01-01T08:00:00Z" in compared.json["commands"][0]
    assert (
        "troubleshooting.md#more-in-posthog-than-in-the-book" in reconcile(config, tmp_path).stdout
    )
    run(config, tmp_path, {8: rows_of(8)})
    assert reconcile(config, tmp_path, "--json").totals == (36, 36, 0, 0)
    assert len(capture.events) > 36


def test_hours_that_no_run_read_are_named(tmp_path: Path, config: Json) -> None:
    """With the command that reads them."""
    run(config, tmp_path, {5: rows_of(5)})
    run(config, tmp_path, {9: rows_of(9)})
    compared = reconcile(config, tmp_path, "--json")
    assert (compared.exit_code, compared.totals) == (3, (24, 24, 0, 0))
    assert compared.json["book"]["gaps"] == [
        {"first": "2024-01-01T06:00:00Z", "last": "2024-01-01T08:00:00Z"}
    ]
    (command,) = compared.json["commands"]
    assert "START_DATE=2024-01-01T06:00:00Z TAP_AMPLITUDE_END_DATE=2024-01-01T09" in command
    text = reconcile(config, tmp_path).stdout
    assert "The book has no line of 2024-01-01T06Z to 2024-01-01T08Z" in text
    part = reconcile(config, tmp_path, "--json", "--from", f"{DAY}T09", "--to", "2024-01-02")
    assert (part.exit_code, part.totals) == (0, (12, 12, 0, 0))


def test_a_part_can_be_compared_alone(tmp_path: Path, config: Json, api: PosthogQuery) -> None:
    """By hours and names of events, on both sides."""
    run(config, tmp_path, HOURS)
    api.loses = {uuid_of(500)}
    late = reconcile(config, tmp_path, "--json", "--from", f"{DAY}T06")
    assert (late.exit_code, late.totals) == (0, (12, 12, 0, 0))
    early = reconcile(config, tmp_path, "--json", "--to", f"{DAY}T06:00:00Z")
    assert (early.exit_code, early.totals) == (3, (12, 11, 1, 0))
    named = reconcile(config, tmp_path, "--json", "--event", "paid")
    assert (named.exit_code, named.totals) == (0, (12, 12, 0, 0))


def test_what_a_replay_sent_is_not_extra(tmp_path: Path, config: Json) -> None:
    """The book has it as accepted, and as rejected once its hour is read without the remedy."""
    sent = rows_of(5)
    sent[3]["event_time"] = sent[3]["server_upload_time"] = "never"
    sent[4]["event_type"] = "n" * 201
    run(config, tmp_path, {5: sent})
    renamed = config | {"event_names": [{"from": "n" * 201, "to": "short"}]}
    with start("target-posthog-replay", renamed, tmp_path) as command:
        assert command.finish().exit_code == 0
    compared = reconcile(config, tmp_path, "--json")
    assert (compared.exit_code, compared.totals) == (0, (11, 11, 0, 0))
    assert compared.json["totals"]["replayed"] == 0
    run(config, tmp_path, {5: sent})
    again = reconcile(config, tmp_path, "--json")
    assert (again.exit_code, again.totals) == (0, (10, 11, 0, 0))
    assert again.json["totals"]["replayed"] == 1


def test_hours_that_the_settings_hide_are_compared_by_day(
    tmp_path: Path, config: Json, api: PosthogQuery
) -> None:
    """And renamed they are found under their new name."""
    hidden = config | {"skip_properties": ["server_*"]}
    run(hidden, tmp_path, HOURS)
    assert reconcile(hidden, tmp_path, "--json").totals == (24, 24, 0, 0)
    refused = reconcile(hidden, tmp_path, "--from", DAY)
    assert (refused.exit_code, "`skip_properties`" in refused.failure) == (2, True)
    renamed = config | {"property_names": [{"from": "server_upload_time", "to": "uploaded"}]}
    run(renamed, tmp_path, HOURS)
    api.loses = {uuid_of(701)}
    compared = reconcile(renamed, tmp_path, "--json")
    assert compared.totals == (24, 23, 1, 0)
    assert compared.json["differences"][0]["hour"] == "2024-01-01T07:00:00Z"


def test_an_event_that_came_in_two_hours_is_not_missing(tmp_path: Path, config: Json) -> None:
    """PostHog keeps the later version, in its hour."""
    twice = rows_of(5)[1] | {"server_upload_time": f"{DAY} 07:59:00.000000"}
    run(config, tmp_path, {5: rows_of(5), 6: [], 7: [*rows_of(7), twice]})
    compared = reconcile(config, tmp_path, "--json")
    assert (compared.exit_code, compared.totals) == (0, (24, 24, 0, 0)), compared.stdout
    assert compared.json["totals"]["moved"] == 2


def test_times_out_of_the_ordinary_are_found(tmp_path: Path, config: Json) -> None:
    """Clocks without a battery, names with quotes, a customer's own field."""
    odd = rows_of(5)
    odd[0]["event_time"] = "1969-12-31 23:00:00.000000"
    odd[1]["event_time"] = "1904-01-01 00:00:00.000000"
    odd[2]["event_type"] = "it's a \\ 'quoted' {name} ü"
    odd[3]["event_properties"] = {"server_upload_time": "mine", "analytics_source": "mine"}
    odd[5]["event_properties"] = {"server_upload_time": 17}
    run(config, tmp_path, {5: odd})
    compared = reconcile(config, tmp_path, "--json")
    assert (compared.exit_code, compared.totals) == (0, (12, 12, 0, 0)), compared.stdout
    named = reconcile(config, tmp_path, "--json", "--event", odd[2]["event_type"])
    assert named.totals == (1, 1, 0, 0)
