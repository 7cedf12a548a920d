"""The person model merges, refuses and fills persons as PostHog's nodejs service does."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.posthog_persons import PersonModel, is_illegal_for_merging

DAY_1 = "2024-01-01T10:00:00.000000Z"
DAY_2 = "2024-01-02T10:00:00.000000Z"
REFUSED = "cannot_merge_already_identified"
PERSONLESS = {"_process_person_profile": False}
SAFARI = {"$browser": "Safari", "$initial_browser": "Safari"}


def seen(distinct_id: str, timestamp: str = DAY_1, /, **properties: Any) -> dict[str, Any]:
    """Make an ordinary event."""
    return event("viewed", distinct_id, timestamp, **properties)


def event(
    name: str, distinct_id: str, timestamp: str = DAY_1, /, **properties: Any
) -> dict[str, Any]:
    """Make an event; a property `_set` stands for `$set`."""
    named = {key.replace("_", "$", 1): value for key, value in properties.items() if key[0] == "_"}
    plain = {key: value for key, value in properties.items() if key[0] != "_"}
    return {
        "event": name,
        "distinct_id": distinct_id,
        "timestamp": timestamp,
        "properties": {**plain, **named},
    }


def identify(user: str, device: str, timestamp: str = DAY_1, **properties: Any) -> dict[str, Any]:
    """Make the `$identify` by which a PostHog SDK links a device to a user."""
    return event("$identify", user, timestamp, _anon_distinct_id=device, **properties)


def alias(into: str, other: str, timestamp: str = DAY_1, **properties: Any) -> dict[str, Any]:
    """Make a `$create_alias`: `other` is merged into `into`."""
    return event("$create_alias", into, timestamp, distinct_id=into, alias=other, **properties)


def after(*events: dict[str, Any]) -> PersonModel:
    """Feed a model."""
    model = PersonModel()
    for one in events:
        model.process(one)
    return model


@pytest.mark.parametrize("link", [identify, alias])
@pytest.mark.parametrize(
    ("course", "people", "refused"),
    [
        ("u1<d1", ["u1 d1"], []),
        ("u1 u1<d1", ["u1 d1"], []),
        ("d1 u1<d1", ["u1 d1"], []),
        ("d1 u1 u1<d1", ["u1 d1"], []),
        ("u1<d1 u1<d1", ["u1 d1"], []),
        # Device INTO user keeps the history of every device of a user,
        ("d1 u1<d1 d2 u1<d2", ["u1 d1 d2"], []),
        # and is refused once the device belongs to somebody else, whom the model has seen.
        ("u1<d1 u2 u2<d1", ["u1 d1", "u2"], ["d1"]),
        ("u1<d1 u2<d1", ["u1 u2 d1"], []),
        # The guide's direction, user INTO device, glues two users together or loses a device.
        ("d1<u1 u2 d1<u2", ["u1 u2 d1"], []),
        ("d1<u1 d2 d2<u1", ["u1 d1", "d2"], ["u1"]),
    ],
)
def test_a_link_merges_two_people(
    link: Any, course: str, people: list[str], refused: list[str]
) -> None:
    """`u1<d1` links d1 into u1; a merge into an identified person protects the other."""
    model = after(*(link(*one.split("<")) if "<" in one else seen(one) for one in course.split()))

    assert sorted(model.people(), key=sorted) == sorted(
        (frozenset(one.split()) for one in people), key=sorted
    )
    assert [(warned.type, warned.other_id) for warned in model.warnings] == [
        (REFUSED, one) for one in refused
    ]
    assert model.is_identified(course.rsplit(maxsplit=1)[-1].split("<", maxsplit=1)[0])


def test_merge_dangerously_merges_even_an_identified_person() -> None:
    """It skips the check that protects users."""
    model = after(
        identify("u1", "d1"), identify("u2", "d2"), event("$merge_dangerously", "u2", alias="u1")
    )

    assert model.people() == [frozenset({"u1", "d1", "u2", "d2"})]


@pytest.mark.parametrize("illegal", ["anonymous", "GUEST", '"email"', "'null'", "NaN", "0", "  "])
@pytest.mark.parametrize("side", ["into", "other"])
def test_ids_that_mean_nobody_are_never_merged(illegal: str, side: str) -> None:
    """One such id would swallow all users that ever had it."""
    model = after(alias(illegal, "d1") if side == "into" else alias("u1", illegal))

    assert len(model.people()) == 1
    assert [warned.type for warned in model.warnings] == ["cannot_merge_with_illegal_distinct_id"]


@pytest.mark.parametrize("legal", ["nan", "NULL", "user", "00", " anonymous", "none "])
def test_ids_off_the_list_are_merged_as_they_are_written(legal: str) -> None:
    """Case counts for some ids, and blanks around an id make it another one."""
    assert not is_illegal_for_merging(legal)


def test_an_alias_that_is_no_text_is_taken_as_javascript_writes_it() -> None:
    """The service calls `String()`; without the other id an event links nothing."""
    model = after(
        event("$create_alias", "u1", alias=17),
        event("$identify", "u2", _anon_distinct_id=None),
        event("$create_alias", "u3", alias={}),
        event("$identify", "u4", alias=""),
        event("$create_alias", "u5", alias=""),
    )

    assert model.person_of("17") == model.person_of("u1")
    assert [warned.other_id for warned in model.warnings] == ["null", "[object Object]"]
    assert len(model.people()) == 5


def test_a_merged_person_is_as_old_as_the_older_of_both() -> None:
    """`created_at` is the time of the first event, and survives the merge."""
    model = after(seen("d1", DAY_1), seen("u1", DAY_2), identify("u1", "d1", DAY_2))

    assert model.created_at("u1") == datetime(2024, 1, 1, 10, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "sent",
    [
        seen("d1", **PERSONLESS, _set={"a": 1}),
        {**seen("user"), "_person_processing_disabled": True},  # as v1 does for illegal ids
        event("$exception", "u1"),  # errors go through another pipeline
    ],
)
def test_some_events_make_no_person(sent: dict[str, Any]) -> None:
    """A later link adopts the id, without the properties."""
    model = after(sent)
    assert model.people() == []

    name = sent["distinct_id"]
    model.process(identify("u2", name) if name != "user" else seen("u2"))
    assert model.person_properties("u2") == {}


@pytest.mark.parametrize(
    "name", ["$identify", "$create_alias", "$merge_dangerously", "$groupidentify"]
)
def test_an_event_that_needs_a_person_is_dropped_when_personless(name: str) -> None:
    """It contradicts itself; PostHog warns and keeps nothing of it."""
    contradiction = event(name, "u1", alias="d1", **PERSONLESS)
    model = after(contradiction)

    assert (model.dropped, model.people()) == ([contradiction], [])
    assert [w.type for w in model.warnings] == [
        "invalid_event_when_process_person_profile_is_false"
    ]


@pytest.mark.parametrize("odd", ["false", 0, None])
def test_only_a_boolean_false_switches_persons_off(odd: Any) -> None:
    """Anything else is warned of and means true."""
    model = after(seen("u1", _process_person_profile=odd))

    assert model.person_of("u1") == 1
    assert [warned.type for warned in model.warnings] == ["invalid_process_person_profile"]


@pytest.mark.parametrize(
    ("events", "properties"),
    [
        # Properties follow arrival and not time: history overwrites newer values.
        ([seen("u1", DAY_2, _set={"p": 2}), seen("u1", DAY_1, _set={"p": 1})], {"p": 1}),
        # `$set_once` looks only at whether there is a value; null counts as none.
        (
            [seen("u1", _set_once={"a": 1, "b": None}), seen("u1", _set_once={"a": 2, "b": 2})],
            {"a": 1, "b": 2},
        ),
        # `$set` wins over `$set_once` in one event, for a new person and a known one.
        ([seen("u1", _set={"a": 1}, _set_once={"a": 2, "b": 2})], {"a": 1, "b": 2}),
        ([seen("u1"), seen("u1", _set={"a": 1}, _set_once={"a": 2, "b": 2})], {"a": 1, "b": 2}),
        # `$unset` is a list of names or an object with them.
        ([seen("u1", _set={"a": 1, "b": 2}), seen("u1", _unset=["a", 5])], {"b": 2}),
        ([seen("u1", _set={"a": 1, "b": 2}), seen("u1", _unset={"a": ""})], {"b": 2}),
        # On conflict the person merged into keeps its values, and the link's own come last.
        *(
            (
                [
                    seen("d1", _set={"a": "device", "b": "device", "c": "device"}),
                    seen("u1", _set={"b": "user", "c": "user"}),
                    link("u1", "d1", _set={"c": "link"}),
                ],
                {"a": "device", "b": "user", "c": "link"},
            )
            for link in (identify, alias)
        ),
        # A refused link still updates the user; one to itself is how SDKs set properties.
        ([identify("u2", "d1"), seen("u1"), identify("u1", "d1", _set={"p": 1})], {"p": 1}),
        ([identify("u1", "u1", _set={"a": 1})], {"a": 1}),
        # `personInitialAndUTMProperties`: the value now, and the first one as `$initial_…`.
        (
            [seen("u1", _browser="Chrome", utm_source="a"), seen("u1", _browser="Edge")],
            {
                "$browser": "Edge",
                "$initial_browser": "Chrome",
                "utm_source": "a",
                "$initial_utm_source": "a",
            },
        ),
        ([seen("u1", utm_source=None)], {"utm_source": None}),
        (
            [seen("u1", _os="iOS", _set={"$os": "x"}, _set_once={"$initial_os": "y"})],
            {"$os": "x", "$initial_os": "y"},
        ),
        # `$is_server: true` marks the importer's own system; the browser still counts.
        ([seen("u1", _os="Linux", _os_version="6", _browser="Safari", _is_server=True)], SAFARI),
        # `$os_name` sets only the first system, under the name of `$os`.
        ([seen("u1", _os_name="Android")], {"$initial_os": "Android"}),
        ([event("$groupidentify", "u1", _set={"a": 1}, _group_type="o", _group_key="x")], {}),
    ],
)
def test_an_event_changes_the_properties_of_its_person(
    events: list[dict[str, Any]], properties: dict[str, Any]
) -> None:
    """Of `u1`, after all of them."""
    assert after(*events).person_properties("u1") == properties


def test_an_id_linked_to_itself_identifies_nobody() -> None:
    """Where a refused link identifies its user: `updateIsIdentified` is set before the check."""
    assert not after(identify("u1", "u1")).is_identified("u1")
    assert after(identify("u1", "d1"), seen("u2"), identify("u2", "d1")).is_identified("u2")


@pytest.mark.parametrize("late", [False, True])
def test_a_personless_event_of_a_known_person_sets_only_what_the_server_lifts(
    *, late: bool
) -> None:
    """More than a minute after its person was made, it is processed, but without its `$set`."""
    minutes = timedelta(minutes=2 if late else 1)
    moment = (datetime(2024, 1, 1, 10, tzinfo=timezone.utc) + minutes).isoformat()
    model = after(seen("u1"), seen("u1", moment, **PERSONLESS, _set={"a": 1}, gclid="g"))

    lifted = {"gclid": "g", "$initial_gclid": "g"}
    assert model.person_properties("u1") == (lifted if late else {})


IDS = st.sampled_from(["u1", "u2", "d1", "d2", "anonymous"])
EVENTS = st.one_of(st.builds(seen, IDS), st.builds(identify, IDS, IDS), st.builds(alias, IDS, IDS))


@given(st.lists(EVENTS, max_size=12))
def test_every_id_has_one_person_and_no_person_is_lost(events: list[dict[str, Any]]) -> None:
    """Whatever arrives, persons share out the seen ids, and identified ones never merge away."""
    model = PersonModel()
    identified: set[int | None] = set()
    for one in events:
        model.process(one)
        numbers = set(model.who_is_who().values())
        assert identified <= numbers
        identified = {
            number for id_, number in model.who_is_who().items() if model.is_identified(id_)
        }
    people = model.people()
    assert sum(len(ids) for ids in people) == len(model.who_is_who())
    assert {one["distinct_id"] for one in events} <= model.who_is_who().keys()
