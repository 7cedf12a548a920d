"""Records of other taps, which have no export hour, compared by day and name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.reconciling import reconcile
from tests.support.singer import record, schema, state
from tests.target.books.test_book_of_runs import order
from tests.target.reconcile.test_real_runs import HOURS, foreign, run

if TYPE_CHECKING:
    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.singer import Json
    from tests.support.target import Target


def run_shop(target: Target, *orders: Json) -> None:
    """Send records of a shop's tap."""
    streams = {"orders": {"distinct_id": "customer", "timestamp": "created_at"}}
    head = schema("orders", key="id", id={}, customer={}, created_at={})
    written = [head, *(record(one, "orders") for one in orders), state({"bookmarks": {"at": 1}})]
    target.run(written, streams=streams).checked()


def test_other_taps_are_compared_by_day_and_name(target: Target, api: PosthogQuery) -> None:
    """Beside hours of Amplitude and the live events of the same name."""
    run(target, HOURS)
    run_shop(target, *map(order, range(12)))
    live = {**foreign(1, **{"$lib": "web"}), "event": "orders"}
    target.capture.events.append({**live, "timestamp": "2024-01-02T09:00:00.000000Z"})
    compared = reconcile(target, "--json")
    assert (compared.exit_code, compared.totals) == (0, (36, 36, 0, 0)), compared.stdout
    assert compared.json["totals"]["one_sided"] == 0
    shop = next(one for one in target.capture.events if one["event"] == "orders")
    api.loses = {shop["uuid"]}
    lost = reconcile(target, "--json")
    assert (lost.exit_code, lost.totals) == (3, (36, 35, 1, 0))
    (difference,) = lost.json["differences"]
    assert (difference["hour"], difference["day"]) == (None, "2024-01-02")
    assert difference["command"] == "meltano run --full-refresh TAP target-posthog"


def test_events_that_name_another_library_are_there_or_missing_and_never_extra(
    target: Target, api: PosthogQuery
) -> None:
    """PostHog's own exports keep what they name, as the project's live events do."""
    exported = [{**foreign(number, **{"$lib": "web"}), "event": "opened"} for number in range(5)]
    target.config["source_format"] = "posthog"
    head = schema("exported", key="uuid", **{key: {} for key in exported[0]})
    written = [head, *(record(one, "exported") for one in exported)]
    target.run(written).checked()
    target.capture.events.append({**foreign(99, **{"$lib": "web"}), "event": "opened"})
    compared = reconcile(target, "--json")
    assert (compared.exit_code, compared.totals) == (0, (5, 5, 0, 0)), compared.stdout
    assert compared.json["totals"]["one_sided"] == 5
    assert "  missing only  5  look like events of other senders" in reconcile(target).stdout
    api.loses = {exported[0]["uuid"], exported[1]["uuid"]}
    lost = reconcile(target, "--json")
    assert (lost.exit_code, lost.totals) == (3, (5, 4, 1, 0))
