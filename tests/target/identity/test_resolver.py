"""Which identity and group events go out, and before which record."""

from __future__ import annotations

import json
import pickle
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.delivery.identity_stage import IdentityStage
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.observations import observations_of
from target_posthog.identity.resolver import IdentityResolver
from target_posthog.model import GroupState, Link
from target_posthog.progress.counts import Counts
from tests.support import deliveries
from tests.support.deliveries import OLD, WIRE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from target_posthog.model import Json
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.settings import IdentityEvents

D1, D2 = Link("u1", "d"), Link("u2", "d")


@contextmanager
def opened(folder: Path, kind: IdentityEvents = "alias") -> Iterator[IdentityResolver]:
    """Give the links of one run."""
    with closing(Ledger(f"sqlite:///{folder}/ledger.db", "phc_test")) as ledger:
        yield IdentityResolver(ledger, kind)


@pytest.fixture
def links(tmp_path: Path) -> Iterator[IdentityResolver]:
    """The links of the first run."""
    with opened(tmp_path) as found:
        yield found


def item(number: int, link: Link | None = None, **groups: Any) -> OutgoingEvent:
    """Return an event that shows a link, and groups of type `org`."""
    states = tuple(GroupState("org", key, properties) for key, properties in groups.items())
    return deliveries.item(number, link=link, groups=states)


def added_to(links: IdentityResolver, *items: OutgoingEvent) -> tuple[list[OutgoingEvent], int]:
    """Return what goes out for a stretch, and how many shared devices are new in it."""
    counts = Counts()
    completed = IdentityStage(links, WIRE, counts).completed(list(items))
    return completed, counts.shared_devices


def sent(links: IdentityResolver, *items: OutgoingEvent) -> list[OutgoingEvent]:
    """Return what goes out for a stretch, once PostHog took all of it."""
    result, _ = added_to(links, *items)
    told = [one for one in result if one.is_derived]
    links.accept(
        [one.link for one in told if one.link is not None],
        [group for one in told for group in one.groups],
    )
    return result


def event_of(sent: OutgoingEvent) -> Json:
    """Return the event that goes out."""
    event: Json = json.loads(sent.body)
    return event


def copied(value: object) -> object:
    """Return a value as another process gets it."""
    copy: object = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own
    return copy


def names(items: Sequence[OutgoingEvent]) -> list[str]:
    """Return what is sent, in short."""
    return [sent.name for sent in items]


def test_a_link_goes_out_once_just_before_the_record_that_shows_it(links: IdentityResolver) -> None:
    """At the record's time, and with the record as its origin."""
    items = [item(1), item(2, D1), item(3, D1)]
    result = sent(links, *items)
    assert [result[0], result[2], result[3]] == items
    added = result[1]
    assert added.is_derived
    assert (added.link, added.record) == (D1, event_of(added))
    assert (added.name, added.person, added.timestamp) == ("$create_alias", "u1", OLD)
    assert event_of(added)["properties"]["alias"] == "d"
    assert names(sent(links, item(4, D1))) == ["viewed"]


def test_a_careful_run_tells_a_link_just_after_the_record(links: IdentityResolver) -> None:
    """PostHog then knows the user already, and refuses to give it another user's device."""
    links.defer_links()
    result = sent(links, item(1), item(2, D1), item(3, D1))
    assert names(result) == ["viewed", "viewed", "$create_alias", "viewed"]
    assert [one.record for one in result if not one.is_derived] == [{"row": n} for n in (1, 2, 3)]


def test_the_next_run_does_not_tell_it_again(tmp_path: Path) -> None:
    """What PostHog took is in the ledger."""
    with opened(tmp_path) as links:
        sent(links, item(1, D1))
    with opened(tmp_path) as links:
        assert names(sent(links, item(1, D1))) == ["viewed"]


def test_a_link_that_was_not_accepted_goes_out_again_in_the_next_run(tmp_path: Path) -> None:
    """With the same uuid; not in the same run, whose answer may come behind the next stretch."""
    with opened(tmp_path) as links:
        first, _ = added_to(links, item(1, D1))
        assert names(added_to(links, item(2, D1))[0]) == ["viewed"]
    with opened(tmp_path) as links:
        second, _ = added_to(links, item(1, D1))
    assert names(second) == ["$create_alias", "viewed"]
    assert first[0].body == second[0].body


def test_a_refused_link_is_not_tried_again_before_the_next_run(tmp_path: Path) -> None:
    """Whoever told it, such as a replay: every batch would be halved because of it."""
    with opened(tmp_path) as links:
        links.refuse([D1])
        assert names(added_to(links, item(2, D1))[0]) == ["viewed"]
    with opened(tmp_path) as links:
        assert names(added_to(links, item(3, D1))[0]) == ["$create_alias", "viewed"]


def test_what_links_take_and_give_can_go_to_another_process(links: IdentityResolver) -> None:
    """Workers ask their parent, which keeps the ledger."""
    seen = observations_of([item(1, D1, acme={"plan": "a"})])
    assert copied(seen) == seen
    derived = links.resolve(seen)
    assert len(derived.events) == 2
    assert copied(derived) == derived


def test_a_record_that_shows_nothing_is_not_asked_about() -> None:
    """Most rows of an anonymous visit show neither a pair nor a group."""
    assert observations_of([item(1), item(2, D1), item(3)])[0].index == 1


def test_a_further_user_of_a_device_is_counted_once_and_not_linked(tmp_path: Path) -> None:
    """Linking both would make one person of two."""
    with opened(tmp_path) as links:
        result, shared = added_to(links, item(1, D1), item(2, D2), item(3, D2))
        assert names(result) == ["$create_alias", "viewed", "viewed", "viewed"]
        assert shared == 1
        assert added_to(links, item(4, D2))[1] == 0
    with opened(tmp_path) as links:
        assert added_to(links, item(5, D2))[1] == 0
        assert added_to(links, item(6, Link("u3", "d")))[1] == 1


def test_the_first_user_of_a_stretch_owns_the_device(links: IdentityResolver) -> None:
    """Whatever the order in which devices are claimed."""
    result = sent(links, item(1, Link("u9", "b")), item(2, Link("u1", "a")), item(3, D1))
    users = [added.person for added in result if added.is_derived]
    assert users == ["u9", "u1", "u1"]
    assert names(sent(links, item(4, Link("u1", "b")))) == ["viewed"]


def test_several_devices_of_a_user_are_all_linked(links: IdentityResolver) -> None:
    """Each with an event of its own."""
    result = sent(links, item(1, D1), item(2, Link("u1", "e")))
    devices = [event_of(added)["properties"]["alias"] for added in result if added.is_derived]
    assert devices == ["d", "e"]


def test_identify_joins_by_posthogs_other_event(tmp_path: Path) -> None:
    """The device is the anonymous id of the user."""
    with opened(tmp_path, "identify") as links:
        event = event_of(sent(links, item(1, D1))[0])
        assert event["event"] == "$identify"
        assert event["distinct_id"] == "u1"
        assert event["properties"]["$anon_distinct_id"] == "d"


def test_none_tells_no_links_but_groups_all_the_same(tmp_path: Path) -> None:
    """Groups are not identities."""
    with opened(tmp_path, "none") as links:
        result, shared = added_to(links, item(1, D1), item(2, D2), item(3, acme={"plan": "a"}))
        assert names(result) == ["viewed", "viewed", "$groupidentify", "viewed"]
        assert shared == 0


def test_a_group_goes_out_when_it_changes(tmp_path: Path) -> None:
    """The order of its properties is no change; going back is one."""
    with opened(tmp_path) as links:
        steps = [
            sent(links, item(1, acme={"plan": "a", "size": 1})),
            sent(links, item(2, acme={"size": 1, "plan": "a"})),
            sent(links, item(3, acme={"plan": "b"}), item(4, acme={"plan": "b"})),
            sent(links, item(5, acme={"plan": "a", "size": 1}, other={})),
        ]
    assert [names(step).count("$groupidentify") for step in steps] == [1, 0, 1, 2]
    with opened(tmp_path) as links:
        assert names(sent(links, item(6, acme={"plan": "a", "size": 1}))) == ["viewed"]


def test_a_group_that_was_not_accepted_goes_out_again_in_the_next_run(tmp_path: Path) -> None:
    """Not in the same one, which may have had it refused."""
    with opened(tmp_path) as links:
        first, _ = added_to(links, item(1, acme={"plan": "a"}))
        assert names(added_to(links, item(2, acme={"plan": "a"}))[0]) == ["viewed"]
    with opened(tmp_path) as links:
        second, _ = added_to(links, item(1, acme={"plan": "a"}))
    assert first[0].body == second[0].body


def test_forgetting_owners_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; the ledger knows the others."""
    monkeypatch.setattr("target_posthog.identity.resolver._REMEMBERED", 2)
    with opened(tmp_path) as links:
        told = [
            names(sent(links, item(n, Link("u1", f"d{n % 7}"), acme={"plan": "a"})))
            for n in range(21)
        ]
    assert sum(step.count("$create_alias") for step in told) == 7
    assert sum(step.count("$groupidentify") for step in told) == 1
