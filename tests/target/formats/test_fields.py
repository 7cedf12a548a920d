"""Records of any other tap become events by the usual names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from target_posthog.formats.fields import StreamFields
from target_posthog.formats.mapping_reader import read_mappings
from target_posthog.formats.names import EventNames
from target_posthog.formats.options import Options
from target_posthog.model import Converted, GroupState, Json, Link, Rejected, Skipped
from target_posthog.posthog.library import OWN_LIB

ORDERS = StreamFields("orders", ("id",))
KEYLESS = StreamFields("orders", ())
UNSHARED = (ORDERS, KEYLESS, StreamFields("orders", ("event_id",)))
KEYS: list[tuple[str, ...]] = [(), ("id",), ("customer_id",), ("gone",)]
COMPANY: Json = {"id": 7, "name": "Acme", "created_at": "2024-01-01"}
TEN = "2024-01-01T10:00:00.000000Z"
UUID = "550e8400-e29b-41d4-a716-446655440000"
#: What each event says of us.
OURS = {"$geoip_disable": True, **OWN_LIB}


def mapped(**parts: Any) -> StreamFields:
    """Return the orders with a mapping, as the setting `streams` says it."""
    mappings, problems = read_mappings({"orders": parts})
    assert problems == []
    entry = mappings.entry_of("orders")
    assert entry is not None
    return StreamFields("orders", ("id",), entry[1])


def converted(record: Json, fields: StreamFields) -> Converted:
    """Return what becomes of a record that is an event."""
    result = fields.convert(record)
    assert isinstance(result, Converted), result
    return result


def sent(record: Json, fields: StreamFields = ORDERS) -> Json:
    """Return what is sent for a record."""
    return converted(record, fields).event


def rejection(record: Json, fields: StreamFields = ORDERS) -> Rejected:
    """Return why a record is no event."""
    result = fields.convert(record)
    assert isinstance(result, Rejected), result
    return result


def order(**changes: Any) -> Json:
    """Return a record."""
    return {"id": 7, "customer_id": "c1", "created_at": "2024-01-01T10:00:00Z", **changes}


def test_a_record_is_an_event_of_its_stream() -> None:
    """All of its fields are properties."""
    event = sent(order(total=12.5))
    assert (event["event"], event["distinct_id"]) == ("orders", "c1")
    assert event["timestamp"] == TEN
    assert event["properties"] == {**order(total=12.5), **OURS}


@pytest.mark.parametrize(
    ("changes", "person", "time"),
    [
        # Many taps have only dates.
        ({"created_at": "2024-01-01"}, "c1", "2024-01-01T00:00:00.000000Z"),
        ({"user_id": "null", "device_id": "d1"}, "c1", TEN),
        ({"user_id": "u1"}, "u1", TEN),
        # Blank, null, and `false` as some databases write it.
        *(({"user_id": one, "timestamp": one}, "c1", TEN) for one in (None, "", "  ", False)),
    ],
)
def test_the_first_usable_name_is_person_and_time(changes: Json, person: str, time: str) -> None:
    """An illegal id does not hide a legal one; what holds nothing gives way to the next field."""
    event = sent(order(**changes))
    assert (event["distinct_id"], event["timestamp"]) == (person, time)


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        (ORDERS, {"uuid": UUID.upper()}),
        (KEYLESS, {"uuid": UUID.upper()}),
        (mapped(uuid="event_id"), {"event_id": UUID.upper()}),
        (mapped(uuid={"fields": ["number"]}), {"number": UUID}),
    ],
)
def test_the_records_own_uuid_is_kept(fields: StreamFields, changes: Json) -> None:
    """In its canonical form; one field is a uuid however it is named."""
    assert sent(order(**changes), fields)["uuid"] == UUID


_PARTS = mapped(uuid={"fields": ["id", "line"]})
_LINENO = StreamFields("orders", ("_sdc_source_lineno",))


@pytest.mark.parametrize(
    ("fields", "one", "other"),
    [
        # Two tickets of one concert are two events, and so are two versions of one order.
        *((one, {"id": 1, "event_id": UUID}, {"id": 2, "event_id": UUID}) for one in UNSHARED),
        (
            StreamFields("orders", ("uuid", "version")),
            *({"uuid": UUID, "version": n} for n in "12"),
        ),
        # A key may be wrong, so two records of one key are two.
        *((StreamFields("orders", key), {"total": 1}, {"total": 2}) for key in KEYS),
        # Two equal lines of a file are two records.
        (_LINENO, {"_sdc_source_lineno": 1}, {"_sdc_source_lineno": 2}),
        (_PARTS, {"line": 1, "status": "new"}, {"line": 2, "status": "new"}),
        (_PARTS, {"line": 1, "status": "new"}, {"id": "7", "line": 1, "status": "new"}),
        (_PARTS, {"line": 1, "status": "new"}, {"id": 1, "line": 7, "status": "new"}),
        (_PARTS, {"line": 1, "status": "new"}, {"line": None, "status": "new"}),
        (_PARTS, {"line": None, "status": "new"}, {"id": None, "line": 7}),
    ],
)
def test_records_that_differ_are_two_events(fields: StreamFields, one: Json, other: Json) -> None:
    """What others may share is not the record's own id."""
    assert sent(order(**one), fields)["uuid"] != sent(order(**other), fields)["uuid"]


@pytest.mark.parametrize(
    ("fields", "one", "other"),
    [
        # Without a uuid the whole record makes it; Singer's columns do not count.
        *((StreamFields("orders", key), {"total": 1}, {"total": 1}) for key in KEYS),
        *((StreamFields("orders", key), {}, {"_sdc_batched_at": "2024"}) for key in KEYS),
        # The later version of a row replaces the earlier one; how a number is written is the same.
        (_PARTS, {"line": 1, "status": "new"}, {"id": 7.0, "line": 1, "status": "paid"}),
        # Null counts as a value, as long as another part holds something.
        (_PARTS, {"line": None, "status": "new"}, {"status": "paid"}),
    ],
)
def test_records_that_are_one_are_one_event(fields: StreamFields, one: Json, other: Json) -> None:
    """Of one stream: of another one the same record is another event."""
    made = sent(order(**one), fields)["uuid"]
    assert made == sent(order(**other), fields)["uuid"]
    refunds = replace(fields, stream="refunds")
    assert made != sent(order(**one), refunds)["uuid"]


def test_each_part_is_a_field_a_list_of_candidates_or_a_constant() -> None:
    """The first candidate that holds something counts."""
    parts: Json = {"event": {"value": "Order placed"}, "distinct_id": ["buyer", "visitor"]}
    fields = mapped(**parts, timestamp="ordered_at", uuid="number")
    record = {"id": 1, "visitor": "v1", "ordered_at": 1704103200, "number": "A-7"}
    event = sent(record, fields)
    assert (event["event"], event["distinct_id"]) == ("Order placed", "v1")
    assert event["timestamp"] == TEN
    assert event["properties"] == {**record, **OURS}
    assert sent({**record, "buyer": "b1"}, fields)["distinct_id"] == "b1"
    assert sent({**record, "buyer": "null"}, fields)["distinct_id"] == "v1"
    assert event["uuid"] == sent({**record, "id": 2}, fields)["uuid"]
    assert event["uuid"] != sent({**record, "number": "A-8"}, fields)["uuid"]


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_without_any_of_several_fields_the_whole_record_makes_the_uuid(nothing: Any) -> None:
    """Nothing is there to make it of: rows without an id must not become one event."""
    fields = mapped(uuid={"fields": ["number", "line"]})
    empty = [{"number": nothing, "line": nothing}, {"line": nothing}, {}]
    uuids = {
        sent(order(status=status, **parts), fields)["uuid"]
        for status in ("new", "paid")
        for parts in empty
    }
    assert len(uuids) == 6


KIND = mapped(event=["kind", "type"])


def test_a_field_may_name_the_event() -> None:
    """By the first candidate that holds something."""
    assert sent(order(kind="", type="refund"), KIND)["event"] == "refund"
    assert sent(order(kind=5), KIND)["event"] == "5"


def test_names_are_renamed_and_skipped_as_the_user_says() -> None:
    """Also those of streams without a mapping."""
    options = Options(names=EventNames({"orders": "order placed"}, ["draft*"]))
    assert sent(order(), replace(ORDERS, options=options))["event"] == "order placed"
    drafts = StreamFields("drafts", (), options=options)
    assert drafts.convert(order()) == Skipped("skip_events")


def test_properties_are_picked_by_name_glob_and_new_name() -> None:
    """Also out of objects; what a record does not have is not there."""
    record = order(
        total=3, line_a=1, line_b=0, city="Ulm", address={"street": "s", "zip": ""}, gone=None
    )
    as_list = ["total", "line_*", "gone", {"from": "city", "to": "town"}]
    as_object = {"street": "address.street", "sum": ["net", "total"]}
    for picks, picked in (
        (as_list, {"total": 3, "line_a": 1, "line_b": 0, "town": "Ulm"}),
        (as_object, {"street": "s", "sum": 3}),
        (["address.*", "address.street"], {"street": "s"}),
        ([], {}),
    ):
        assert sent(record, mapped(properties=picks))["properties"] == {**picked, **OURS}


def test_a_field_whose_own_name_has_a_dot_is_found_first() -> None:
    """Flattening makes such names."""
    record = order(**{"a.b": 1, "a": {"b": 2}})
    assert sent(record, mapped(properties={"x": "a.b"}))["properties"]["x"] == 1


def test_person_properties_are_picked() -> None:
    """They add to those that the record brings itself."""
    fields = mapped(set=["email", "plan"], set_once={"first_shop": "shop"})
    record = order(email="a@b.c", shop="x", **{"$set": {"vip": True}})
    properties = sent(record, fields)["properties"]
    assert properties["$set"] == {"vip": True, "email": "a@b.c"}
    assert properties["$set_once"] == {"first_shop": "x"}


def test_groups_go_on_the_event_and_their_properties_once_to_posthog() -> None:
    """A record without a key has no group."""
    fields = mapped(
        groups={"company": {"key": "company_id", "properties": {"name": "company"}}, "shop": "shop"}
    )
    result = converted(order(company_id=7, company="Acme", shop="s1"), fields)
    assert result.event["properties"]["$groups"] == {"company": "7", "shop": "s1"}
    assert result.groups == (GroupState("company", "7", {"name": "Acme"}),)
    assert [one.source for one in result.groups] == [None]
    without = converted(order(company_id=" "), fields)
    assert "$groups" not in without.event["properties"]
    assert without.groups == ()


def test_a_record_says_which_library_it_came_by() -> None:
    """Its own, else this target."""
    own = {"$lib": "web", "$lib_version": "1.2"}
    assert sent(order(**own))["properties"] == {**order(**own), "$geoip_disable": True}
    assert sent(order(**{"$lib": ""}))["properties"]["$lib"] == "target-posthog"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"user_id": {"id": 5}}, "`user_id` is not an id: neither a text nor a number."),
        ({"user_id": [5]}, "`user_id` is not an id: neither a text nor a number."),
        ({"created_at": "31/01/2024", "updated_at": "2024-02-01"}, "`created_at` is not a time"),
        ({"timestamp": True}, "`timestamp` is not a time that can be read, or lies before 1900."),
    ],
)
def test_what_cannot_be_read_never_gives_way_to_another_field(changes: Json, reason: str) -> None:
    """The next field may be somebody else, and another time."""
    result = rejection(order(**changes))
    assert result.code in {"no_distinct_id", "bad_time"}
    assert result.reason.startswith(reason)


@pytest.mark.parametrize("value", [42, 42.0, "42"])
def test_a_number_is_one_id_however_it_is_written(value: Any) -> None:
    """As a person, as another id of it, and as a group."""
    fields = mapped(alias="visitor", groups={"shop": "shop"})
    result = converted(order(customer_id=value, visitor=43.0, shop=value), fields)
    assert result.event["distinct_id"] == "42"
    assert result.link == Link("42", "43")
    assert result.event["properties"]["$groups"] == {"shop": "42"}


def test_a_path_goes_into_json_text() -> None:
    """Databases often hold objects so."""
    fields = mapped(distinct_id="payload.user.id", set=["payload.user.plan"])
    event = sent(order(payload='{"user": {"id": 5, "plan": "pro"}}'), fields)
    assert event["distinct_id"] == "5"
    assert event["properties"]["$set"] == {"plan": "pro"}


@pytest.mark.parametrize(
    ("parts", "record", "user"),
    [
        ({}, {}, "c1"),
        ({}, {"customer_id": None, "device_id": "d1"}, None),
        ({}, {"customer_id": None, "distinct_id": "x"}, "x"),
        ({}, {"distinct_id": "d1", "device_id": "d1"}, None),
        ({}, {"distinct_id": "$device:d1"}, None),
        ({"distinct_id": ["buyer", "visitor"], "alias": "visitor"}, {"buyer": "b"}, "b"),
        ({"distinct_id": ["buyer", "visitor"], "alias": "visitor"}, {"visitor": "v"}, None),
        # An app that sets the device id to the user id names a user all the same.
        ({"distinct_id": "buyer", "alias": "visitor"}, {"buyer": "b", "visitor": "b"}, "b"),
        ({"distinct_id": "context.anonymousId"}, {"context": {"anonymousId": "a"}}, None),
        ({"distinct_id": "elsewhere"}, {"elsewhere": "e"}, None),
        ({"distinct_id": {"value": "all"}}, {}, None),
    ],
)
def test_whoever_a_record_names_as_its_user_is_seen(
    parts: Json, record: Json, user: str | None
) -> None:
    """A device is not one, nor who is known by a field that is some stream's alias."""
    fields = replace(mapped(**parts), aliases=frozenset({"elsewhere"}))
    assert converted(order(**record), fields).user == user


def test_each_value_of_an_alias_is_joined() -> None:
    """Of several fields, of a list, and of a list that is JSON text; each once."""
    fields = mapped(alias=["visitor", "devices", "more"])
    record = order(visitor="v1", devices=["d1", 2, "null", "v1", None], more='["d3"]')
    result = converted(record, fields)
    assert (result.link, *result.also) == tuple(Link("c1", one) for one in ("v1", "d1", "2", "d3"))


def test_a_device_has_no_other_ids() -> None:
    """Or they would be another device's when their user comes."""
    fields = mapped(distinct_id=["customer_id", "device_id"], alias=["device_id", "visitor"])
    assert converted(order(customer_id=None, device_id="d1", visitor="v1"), fields).link is None


def test_a_record_of_a_group_without_a_person_only_updates_the_group() -> None:
    """Under the id that PostHog's server SDKs use, so that no company becomes a user."""
    fields = mapped(groups={"company": {"key": "id", "properties": ["name"]}})
    result = converted(COMPANY, fields)
    assert result.event["event"] == "$groupidentify"
    assert result.event["distinct_id"] == "$company_7"
    assert result.event["properties"] == {
        "$group_type": "company",
        "$group_key": "7",
        "$group_set": {"name": "Acme"},
        **OURS,
    }
    assert (result.link, result.user, result.groups) == (None, None, ())
    whole = converted(COMPANY, OF_COMPANY)
    assert whole.event["properties"]["$group_set"] == COMPANY
    assert whole.event["uuid"] == result.event["uuid"]


def test_a_mapping_may_say_that_nobody_is_meant() -> None:
    """Then a customer's id is only a field; an event has no person profile."""
    record = {**COMPANY, "customer_id": "c1"}
    group = {"company": {"key": "id", "properties": ["name"]}}
    update = converted(record, mapped(distinct_id=False, groups=group))
    assert update.event["event"] == "$groupidentify"
    event = converted(record, mapped(distinct_id=False, groups=group, event={"value": "Renewed"}))
    assert (event.event["event"], event.event["distinct_id"]) == ("Renewed", "$company_7")
    assert event.event["properties"]["$groups"] == {"company": "7"}
    assert event.event["properties"]["$process_person_profile"] is False
    alone = converted(record, mapped(distinct_id=False, event={"value": "Backup made"})).event
    assert alone["distinct_id"] == alone["uuid"]


OF_COMPANY = mapped(groups={"company": "id"})


@pytest.mark.parametrize(
    ("fields", "record", "code"),
    [
        *((ORDERS, order(customer_id=one), "no_distinct_id") for one in (None, "null")),
        (ORDERS, order(customer_id="x" * 201), "distinct_id_too_long"),
        *((ORDERS, order(created_at=one), "bad_time") for one in (None, "soon", "1899-12-31")),
        (ORDERS, order(created_at="0001-01-01T00:00:00Z"), "bad_time"),
        # A record whose field is empty has no name.
        *((KIND, order(kind=one), "missing_event_type") for one in (None, " ", True, {"a": 1})),
        # A name that PostHog would act on, or cut; and what it would drop without a word.
        (mapped(event="kind"), order(kind="$create_alias"), "reserved_event_name"),
        (mapped(event="kind"), order(kind="n" * 201), "event_name_too_long"),
        *((ORDERS, order(**{one: "x"}), "bad_event") for one in ("$set", "$set_once", "$groups")),
        (mapped(alias="visitor"), order(visitor={"a": 1}), "bad_event"),
        (mapped(distinct_id="payload.user.id"), order(payload="{"), "no_distinct_id"),
        (OF_COMPANY, {**COMPANY, "id": None}, "no_distinct_id"),
        (OF_COMPANY, {**COMPANY, "id": {"a": 1}}, "bad_event"),
        (OF_COMPANY, {**COMPANY, "created_at": None}, "bad_time"),
        (OF_COMPANY, {**COMPANY, "id": "x" * 200}, "distinct_id_too_long"),
        # A customer is looked for, or an event is asked for.
        (OF_COMPANY, {**COMPANY, "user_id": None}, "no_distinct_id"),
        (mapped(groups={"company": "id"}, event={"value": "e"}), COMPANY, "no_distinct_id"),
        (mapped(groups={"company": "id"}, distinct_id="buyer"), COMPANY, "no_distinct_id"),
        (mapped(distinct_id=False), COMPANY, "no_distinct_id"),
        # A tap may leave a null field out of a record, which the schema names.
        (replace(OF_COMPANY, declared=frozenset({"id", "user_id"})), COMPANY, "no_distinct_id"),
        # PostHog would drop an identify of no person and say nothing.
        (
            replace(mapped(event="event"), options=Options(person_profiles="never")),
            order(event="$identify"),
            "reserved_event_name",
        ),
    ],
)
def test_what_cannot_be_an_event_is_rejected(fields: StreamFields, record: Json, code: str) -> None:
    """Each under its own code; nothing is taken for a group's without a word."""
    assert rejection(record, fields).code == code


def test_a_group_is_not_updated_where_no_person_profiles_are_wanted() -> None:
    """PostHog would make one for it."""
    never = replace(OF_COMPANY, options=Options(person_profiles="never"))
    assert never.convert(COMPANY) == Skipped("person_profiles")


def test_an_alias_is_joined_to_the_person() -> None:
    """Not an illegal one, not the person's own id, and not one that PostHog would cut."""
    fields = mapped(distinct_id=["customer_id", "visitor"], alias="visitor")
    result = converted(order(visitor="v1"), fields)
    assert result.link == Link("c1", "v1")
    assert result.link.source is None
    for visitor in (None, "null", "c1", "x" * 201):
        assert converted(order(visitor=visitor), fields).link is None
    assert converted(order(customer_id=None, visitor="v1"), fields).link is None


@pytest.mark.parametrize(
    ("profiles", "record", "personal"),
    [
        ("always", {"customer_id": None, "device_id": "d1"}, True),
        ("identified_only", {}, True),
        ("identified_only", {"customer_id": None, "device_id": "d1"}, False),
        ("identified_only", {"customer_id": None, "visitor": "v1"}, False),
        ("never", {}, False),
    ],
)
def test_who_gets_a_person_profile(profiles: Any, record: Json, personal: object) -> None:
    """A device's or an alias's own id is nobody yet; what PostHog would drop is not told."""
    fields = mapped(
        distinct_id=["customer_id", "device_id", "visitor"],
        alias="visitor",
        groups={"shop": {"key": "shop", "properties": ["city"]}},
    )
    options = replace(fields, options=Options(person_profiles=profiles))
    result = converted(order(shop="s", city="Ulm", **record), options)
    assert (result.event["properties"].get("$process_person_profile") is None) == personal
    assert bool(result.groups) == personal


def test_what_a_mapping_leaves_open_is_told_in_words() -> None:
    """Only fields that the stream has; the key or the whole record makes the uuid."""
    schema: Json = {"properties": {key: {} for key in ("id", "buyer", "customer_id", "created_at")}}
    assert ORDERS.left_open(schema) == {
        "event": "the stream's name",
        "distinct_id": "customer_id",
        "timestamp": "created_at",
        "uuid": "made of the whole record",
    }
    assert mapped(distinct_id="buyer").left_open(schema).keys() == {"event", "timestamp", "uuid"}
    keyless = KEYLESS.left_open({"properties": {"uuid": {}}})
    assert keyless["uuid"] == "uuid or made of the whole record"
    assert keyless["distinct_id"] == ""


def test_an_identify_joins_by_the_rules_for_all() -> None:
    """A warehouse's PostHog or Segment events, mapped by fields; the event's own wish counts."""
    fields = mapped(event="event", properties=["$*"], alias="visitor")
    record = order(event="$identify", visitor="v", **{"$anon_distinct_id": "d"})
    found = converted(record, fields)
    assert found.joins
    assert found.user == "c1"
    assert [found.link, *found.also] == [Link("c1", "d", None), Link("c1", "v", None)]
    plain = converted(record | {"event": "opened"}, fields)
    assert (plain.joins, plain.link) == (False, Link("c1", "v", None))
