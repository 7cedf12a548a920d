"""How each of PostHog's two protocols writes a request, and how its 200 is read."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.protocols import BatchWire, V1Wire
from target_posthog.capture.results import Accepted
from target_posthog.errors import FixConfiguration, RunAgain, TargetPosthogError
from target_posthog.model import Rejected
from tests.support.deliveries import NOW, batch_of, converted, events_of, item
from tests.support.rows import uuid_of
from tests.target.test_any_input import VALUES

if TYPE_CHECKING:
    from target_posthog.capture.protocols import Wire
    from target_posthog.model import Json

BATCH = BatchWire("phc_test")
V1 = V1Wire("phc_test", "target-posthog/1.2.3")
BOTH = pytest.mark.parametrize("wire", [BATCH, V1], ids=["batch", "v1"])
ITEMS = [item(number) for number in (0xA0, 0xB1, 0xC2)]
IDS = [one.uuid for one in ITEMS]
CREATED_AT = f"{NOW:%Y-%m-%dT%H:%M:%S.%f}Z"


def code_of(**changes: Any) -> str | None:
    """Return the code under which v1 would not take an event."""
    shaped = V1.fitted(converted(1, **changes).event)
    return shaped.code if isinstance(shaped, Rejected) else None


def envelope_of(wire: Wire, *, historical: bool = True) -> Json:
    """Return the envelope of a request without events."""
    head = wire.head(historical=historical, created_at=CREATED_AT)
    envelope: Json = json.loads(head + b"]}")
    return envelope


def answer(*results: Any) -> bytes:
    """Return v1's answer with these results for `ITEMS`, in their order; None leaves one out."""
    told = {
        one.uuid: result for one, result in zip(ITEMS, results, strict=True) if result is not None
    }
    return json.dumps({"results": told}).encode()


def taken(*results: Any) -> Accepted:
    """Return what is read from v1's answer with these results for `ITEMS`."""
    read = V1.accepted(answer(*results), ITEMS)
    assert read is not None
    return read


def test_batch_has_the_key_in_the_body_and_nothing_in_the_headers() -> None:
    """And never a `sent_at`, by which PostHog would shift every time."""
    assert BATCH.path == "/batch/"
    assert envelope_of(BATCH) == {
        "api_key": "phc_test",
        "historical_migration": True,
        "batch": [],
    }
    assert BATCH.headers_of(attempt=1, request_id=uuid_of(9), now=CREATED_AT) == {}


def test_v1_has_the_key_in_the_headers_and_nowhere_else() -> None:
    """The four headers that it asks for stand beside it; each try counts up."""
    assert V1.path == "/i/v1/analytics/events"
    assert envelope_of(V1) == {
        "created_at": CREATED_AT,
        "historical_migration": True,
        "batch": [],
    }
    assert V1.headers_of(attempt=3, request_id=uuid_of(9), now="2024-06-01T12:00:01.000000Z") == {
        "Authorization": "Bearer phc_test",
        "PostHog-Sdk-Info": "target-posthog/1.2.3",
        "PostHog-Attempt": "3",
        "PostHog-Request-Id": uuid_of(9),
        "PostHog-Request-Timestamp": "2024-06-01T12:00:01.000000Z",
    }


@BOTH
@pytest.mark.parametrize("historical", [True, False])
def test_the_flag_of_a_migration_is_the_envelopes(wire: Wire, *, historical: bool) -> None:
    """PostHog reads it nowhere else."""
    assert envelope_of(wire, historical=historical)["historical_migration"] is historical


@BOTH
def test_a_request_stays_below_what_the_protocol_takes(wire: Wire) -> None:
    """20 MiB on the wire for batch, 10 for v1; neither has to be reached."""
    most = {"/batch/": 20, "/i/v1/analytics/events": 10}[wire.path] * 1024 * 1024
    assert most * 0.8 < wire.max_bytes < most


@BOTH
def test_an_event_arrives_with_all_that_it_says(wire: Wire) -> None:
    """Whatever the protocol adds, nothing is taken away, and the event itself stays as it is."""
    event = converted(1).event
    before = copy.deepcopy(event)
    (sent,) = events_of(batch_of(item(1, wire), wire=wire))
    assert event == before
    assert {name: sent[name] for name in event} == event
    assert sent.keys() - event.keys() == ({"options"} if wire is V1 else set())


@pytest.mark.parametrize(
    ("given", "options", "left"),
    [
        pytest.param({"a": 1}, {}, {"a": 1}, id="nothing of its own"),
        *(
            pytest.param({f"${name}": value, "a": 1}, {name: value}, {"a": 1}, id=f"{name} {value}")
            for name in ("process_person_profile", "cookieless_mode")
            for value in (True, False)
        ),
        # PostHog itself acts on booleans alone; as an option v1 might drop the event for it.
        *(
            pytest.param(of_another_type, {}, of_another_type, id="another type")
            for of_another_type in ({"$process_person_profile": one} for one in ("yes", 1, None))
        ),
        # It says itself that it moves no time, and what the event says would be written over.
        pytest.param({"$ignore_sent_at": True, "a": 1}, {}, {"a": 1}, id="time not moved"),
        pytest.param({"$ignore_sent_at": False, "a": 1}, {}, {"a": 1}, id="time moved"),
        # It writes our name over the source's library, which nobody could tell any more.
        pytest.param(
            {"$lib": "web", "$lib_version": "1.2"},
            {},
            {"source_lib": "web", "source_lib_version": "1.2"},
            id="library",
        ),
        pytest.param(
            {"$lib": "web", "source_lib": "mine", "_source_lib": "too"},
            {},
            {"source_lib": "mine", "_source_lib": "too", "__source_lib": "web"},
            id="library with names that are taken",
        ),
    ],
)
def test_what_v1_reads_or_writes_itself_stands_where_it_does_so(
    given: Json, options: Json, left: Json
) -> None:
    """Beside the properties; it is always asked not to move a time by the two clocks."""
    event = converted(1, properties=given).event
    before = copy.deepcopy(event)
    shaped = V1.fitted(event)
    assert not isinstance(shaped, Rejected)
    assert shaped["options"] == {"disable_skew_correction": True, **options}
    assert shaped["properties"] == left
    assert event == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"event": "x" * 200}, None),
        ({"event": "x" * 201}, "event_name_too_long"),
        ({"event": "é" * 100}, None),
        ({"event": "é" * 101}, "event_name_too_long"),
        ({"event": "😀" * 50}, None),
        ({"event": "😀" * 51}, "event_name_too_long"),
        ({"distinct_id": "x" * 200}, None),
        ({"distinct_id": "x" * 201}, "distinct_id_too_long"),
        ({"distinct_id": "é" * 101}, "distinct_id_too_long"),
        ({"distinct_id": " "}, "no_distinct_id"),
        ({"distinct_id": "of two"}, None),
        ({"distinct_id": " u"}, "bad_event"),
        ({"distinct_id": "u\n"}, "bad_event"),
        ({"event": "x" * 200, "distinct_id": "x" * 200}, None),
    ],
)
def test_what_v1_would_drop_or_bend_is_found_first(changes: Json, code: str | None) -> None:
    """It measures names and ids in bytes, and cuts the spaces around an id."""
    assert code_of(**changes) == code


@BOTH
@pytest.mark.parametrize(
    "told",
    [
        *(b"", b"<html>", b"[]", b"1", b'"results"', b"{}", b"[" * 100_000, b"\xff", b"null"),
        *(b'{"status":"error"}', b'{"status":0}', b'{"status":null}', b'{"status":true}'),
        *(b'{"ok": true}', b'"Ok"', b'{"status":"ok!"}', b'{"status":[1]}', b'{"status":2}'),
        *(b'{"status":"Ok"', b'{"error":"Ok"}'),
    ],
)
def test_a_200_of_somebody_else_is_not_read_as_an_answer(wire: Wire, told: bytes) -> None:
    """A portal says 200 to everything."""
    assert wire.accepted(told, ITEMS) is None


@pytest.mark.parametrize("told", [b'{"status":"Ok"}', b'{"results":[]}', b'{"results":null}'])
def test_v1_without_results_is_no_answer(told: bytes) -> None:
    """Also a 200 of the other protocol is none: nothing says that an event was taken."""
    assert V1.accepted(told, ITEMS) is None


@pytest.mark.parametrize(
    "told", [b'{"status":"Ok"}', b'{"status":1}', b'{"status":"Ok","quota_limited":[]}']
)
def test_batch_takes_all_or_nothing(told: bytes) -> None:
    """Its 200 says nothing about single events."""
    assert BATCH.accepted(told, ITEMS) == Accepted()


def test_a_200_of_batch_that_drops_is_no_acceptance() -> None:
    """Going on would lose all the rest, with 200s."""
    with pytest.raises(RunAgain, match=r"quota.*billing limit"):
        BATCH.accepted(b'{"status":"Ok","quota_limited":["events"]}', ITEMS)


@pytest.mark.parametrize(
    ("results", "told"),
    [
        pytest.param(
            [
                {"result": "ok"},
                {"result": "warning", "details": "person_processing_disabled"},
                {"result": "drop", "details": "event_restriction_drop"},
            ],
            Accepted({IDS[2]: "event_restriction_drop"}, {IDS[1]: "person_processing_disabled"}),
            id="taken, with a remark, refused",
        ),
        # PostHog tells in this way that an event makes no person.
        pytest.param(
            [{"result": "ok", "details": "person_processing_disabled"}, *[{"result": "ok"}] * 2],
            Accepted({}, {IDS[0]: "person_processing_disabled"}),
            id="a remark beside ok",
        ),
        pytest.param(
            [{"result": "drop"}, {"result": "warning", "details": None}, {"result": "ok"}],
            Accepted({IDS[0]: "no reason given"}, {IDS[1]: "no details given"}),
            id="without details",
        ),
    ],
)
def test_v1_answers_for_each_event(results: list[Json], told: Accepted) -> None:
    """Taken, taken with a remark that is counted, or refused for good with the reason."""
    assert taken(*results) == told


@pytest.mark.parametrize(
    "result",
    [
        {"result": "retry", "details": "not_persisted"},
        {"result": "retry"},
        {"result": "something new"},
        {"result": None},
        {},
        None,
        "ok",
        [],
    ],
)
def test_an_event_without_a_word_that_we_know_is_sent_again(result: object) -> None:
    """To take silence for a yes could lose it; PostHog merges what it has twice."""
    assert taken({"result": "ok"}, result, {"result": "ok"}) == Accepted(again=frozenset({IDS[1]}))


def test_an_answer_may_write_a_uuid_in_capitals() -> None:
    """A uuid is a number; both forms are the same one."""
    told = {one.uuid.upper(): {"result": "ok"} for one in ITEMS}
    assert V1.accepted(json.dumps({"results": told}).encode(), ITEMS) == Accepted()


def test_an_answer_about_other_events_is_none_about_ours() -> None:
    """They are sent again, and the others are left alone."""
    told = {"results": {uuid_of(99): {"result": "ok"}}}
    assert V1.accepted(json.dumps(told).encode(), ITEMS) == Accepted(
        again=frozenset(one.uuid for one in ITEMS)
    )


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        # It has nothing to do with the event; the rejects would hold the whole history.
        (
            {"result": "drop", "details": "billing_limit_exceeded"},
            RunAgain,
            r"quota.*billing limit",
        ),
        # It must not be sent again, and its quota is used up for those behind it, too.
        ({"result": "limited"}, RunAgain, r"quota.*billing limit"),
        # A setting would mend it for all events.
        (
            {"result": "drop", "details": "non_historical_import_drop"},
            FixConfiguration,
            "Set `historical_migration` to `true`",
        ),
    ],
    ids=["dropped for the quota", "limited", "for want of the flag"],
)
def test_a_result_that_all_others_would_have_stops_the_run(
    result: Json, error: type[Exception], words: str
) -> None:
    """One of it is enough."""
    with pytest.raises(error, match=words):
        taken({"result": "ok"}, {"result": "ok"}, result)


def test_what_posthog_says_of_an_event_is_fit_for_a_log() -> None:
    """It stands in the rejects and in the end block: one line, bounded, without the token."""
    said = "for phc_test\n\x1b[31m" + "x" * 5000
    found = taken(
        {"result": "drop", "details": said}, {"result": "ok"}, {"result": "warning", "details": [1]}
    )
    assert found.dropped[IDS[0]].startswith(r"for *** \x1b[31mxxx")
    assert len(found.dropped[IDS[0]]) < 400
    assert found.warned == {IDS[2]: "[1]"}


def test_what_is_known_of_a_request_grows_with_each_try() -> None:
    """Only what is still to be sent is that of the last answer alone."""
    first = Accepted({"a": "x"}, {"b": "y"}, frozenset({"c", "d"}))
    then = Accepted({"c": "z"}, {"d": "w"})
    assert first.then(then) == Accepted({"a": "x", "c": "z"}, {"b": "y", "d": "w"})
    assert Accepted().then(first) == first


RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "result": st.sampled_from(["ok", "warning", "drop", "retry", "OK", ""]) | VALUES,
        "details": st.sampled_from(
            ["billing_limit_exceeded", "non_historical_import_drop", "rejected"]
        )
        | VALUES,
    },
)
UUIDS = st.sampled_from(IDS).flatmap(lambda uuid: st.sampled_from([uuid, uuid.upper()]))
ANSWERS = st.one_of(
    st.binary(max_size=20),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(UUIDS | st.text(max_size=5), RESULTS | VALUES, max_size=6).map(
        lambda results: json.dumps({"results": results}).encode()
    ),
)


@given(answer=ANSWERS)
def test_each_event_is_taken_dropped_or_sent_again(answer: bytes) -> None:
    """And one that is not known to be taken is never counted as such."""
    try:
        taken = V1.accepted(answer, ITEMS)
    except TargetPosthogError:
        # Only a drop for all can stop a run.
        taken = None if b"drop" in answer else Accepted(again=frozenset({"none of ours"}))
    if taken is None:
        return
    uuids = set(IDS)
    assert not taken.dropped.keys() & taken.again
    assert not taken.warned.keys() & taken.again
    assert not taken.warned.keys() & taken.dropped.keys()
    assert taken.again <= uuids
    assert taken.dropped.keys() | taken.warned.keys() <= uuids
    said: dict[str, Any] = {}
    for uuid, result in json.loads(answer)["results"].items():
        said[uuid.lower()] = result.get("result") if isinstance(result, dict) else None
    for uuid in uuids - taken.dropped.keys() - taken.again:
        assert said[uuid] in ("ok", "warning")
    assert all(taken.dropped.values())


@given(answer=ANSWERS)
def test_batch_reads_an_answer_as_its_own_or_not(answer: bytes) -> None:
    """It has no word for single events."""
    try:
        taken = BATCH.accepted(answer, ITEMS)
    except TargetPosthogError:
        taken = None
    assert taken is None or not (taken.dropped or taken.warned or taken.again)
