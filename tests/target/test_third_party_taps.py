"""Other people's taps move real data as docs/other-taps.md says, twice without repeats."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.support.singer import counts_in
from tests.support.third_party import Snippet, ThirdParty

if TYPE_CHECKING:
    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json
    from tests.support.target import Target

#: What the target adds to each event of another tap.
_OURS = {
    "$geoip_disable": True,
    "$lib": "target-posthog",
    "$lib_version": version("target-posthog"),
}


@pytest.fixture(scope="session")
def tap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ThirdParty:
    """The tap that a test names, installed once."""
    return ThirdParty(
        tmp_path_factory.mktemp("tap") / "venv",
        Snippet("docs/other-taps.md", "extractors", request.param),
    )


def named(name: str) -> pytest.MarkDecorator:
    """Let a test have the tap of this name."""
    return pytest.mark.parametrize("tap", [name], indirect=True, ids=[name])


def moved(tap: ThirdParty, settings: Json, target: Target, times: int = 1) -> dict[str, int]:
    """Move all data, as often as it says; return the counts of the last time."""
    messages = tap.extract(settings, target.folder)
    for _ in range(times):
        ended = target.run(messages, **tap.snippet.our_settings).checked()
    state = [json.loads(line) for line in messages if '"type":"STATE"' in line.replace(" ", "")]
    assert ended.messages[-1] == state[-1]["value"]
    return counts_in(ended.stderr)


def sent(capture: PosthogCapture, name: str) -> list[Json]:
    """Return what PostHog holds of a name, once each, in order of time."""
    events = [event for event in capture.held().values() if event["event"] == name]
    return sorted(events, key=lambda event: str(event["timestamp"]))


@named("tap-postgres")
def test_tables_of_a_real_postgresql(tap: ThirdParty, target: Target, postgresql_url: str) -> None:
    """Numbers, times with zones, JSON and nulls arrive; people, groups and links are made."""
    url = sa.make_url(postgresql_url)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        schema = connection.scalar(sa.text("SELECT current_schema()"))
        for statement in _TABLE:
            connection.execute(sa.text(statement))
    engine.dispose()
    # The test's server has only a socket in the file system, which this tap takes in a URL alone.
    socket = url.set(
        drivername="postgresql", host="localhost", password="-"
    ).difference_update_query(["options"])
    settings = {
        **tap.snippet.settings,
        "sqlalchemy_url": socket.render_as_string(hide_password=False),
        "filter_schemas": [schema],
    }
    mapping = tap.snippet.our_settings["streams"].pop("public-*")
    tap.snippet.our_settings["streams"][f"{schema}-*"] = mapping
    counts = moved(tap, settings, target, times=2)
    assert (counts["exported"], counts["accepted"], counts["rejected"]) == (3, 3, 0)
    first, second, third = sent(target.capture, "Order placed")
    assert [one["distinct_id"] for one in (first, second, third)] == ["v1", "ann", "bob"]
    assert second["timestamp"] == "2024-01-02T08:00:00.250000Z"
    properties = second["properties"]
    assert properties["$set"] == {"email": "ann@shop.example"}
    assert properties["$groups"] == {"company": "Acme"}
    assert float(properties["total"]) == 12.5
    (alias,) = sent(target.capture, "$create_alias")
    assert (alias["distinct_id"], alias["properties"]["alias"]) == ("ann", "v1")
    (group,) = sent(target.capture, "$groupidentify")
    assert group["properties"]["$group_set"] == {"name": "Acme"}


_TABLE = (
    """CREATE TABLE orders (
        id bigint PRIMARY KEY, customer text, visitor text, ordered_at timestamptz NOT NULL,
        total numeric(10, 2), email text, company text, details jsonb)""",
    """INSERT INTO orders VALUES
        (1, NULL, 'v1', '2024-01-01T10:00:00Z', 3, NULL, NULL, '{"a": 1}'),
        (2, 'ann', 'v1', '2024-01-02T10:00:00.25+02:00', 12.5, 'ann@shop.example', 'Acme', NULL),
        (3, 'bob', NULL, '2024-01-03T00:00:00Z', NULL, NULL, NULL, '[]')""",
)


@named("tap-csv-folder")
def test_files_of_comma_separated_values(tap: ThirdParty, target: Target) -> None:
    """A file that was moved brings no second events; picked columns are the properties."""
    rows = "number,customer,ordered_at,total,item_1,item_2,secret\n"
    rows += "A-1,ann,2024-01-01T10:00:00,9.5,book,,x\nA-2,bob,2024-01-02,3,pen,ink,y\n,,,,,,\n"
    for name in ("input", "moved"):
        folder = target.folder / name
        folder.mkdir()
        (folder / "orders.csv").write_text(rows)
        counts = moved(tap, {**tap.snippet.settings, "path": str(folder)}, target)
        assert (counts["accepted"], counts["rejected"]) == (2, 1)
    first, second = sent(target.capture, "Order placed")
    assert first["properties"] == {"total": "9.5", "item_1": "book", **_OURS}
    assert second["properties"] == {"total": "3", "item_1": "pen", "item_2": "ink", **_OURS}
    assert second["timestamp"] == "2024-01-02T00:00:00.000000Z"


@named("tap-jsonl")
def test_lines_of_json(tap: ThirdParty, target: Target) -> None:
    """A field names the event, and a part of an object the person."""
    (target.folder / "input").mkdir()
    ann = {"id": "ann", "plan": "pro"}
    lines = [
        {"id": 1, "action": "signed up", "at": 1704103200, "user": ann, "tags": ["a", {"b": 1}]},
        {"id": 2, "action": "signed in", "at": 1704103201, "user": {"id": "bob"}},
        {"id": 3, "action": "signed in", "at": 1704103202, "user": None},
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (target.folder / "input" / "log.jsonl").write_text(text)
    settings = {**tap.snippet.settings, "path": str(target.folder / tap.snippet.settings["path"])}
    counts = moved(tap, settings, target, times=2)
    assert (counts["accepted"], counts["rejected"]) == (2, 1)
    assert len(target.capture.held()) == 2
    (first,) = sent(target.capture, "signed up")
    assert (first["distinct_id"], first["timestamp"]) == ("ann", "2024-01-01T10:00:00.000000Z")
    assert first["properties"]["tags"] == ["a", {"b": 1}]
    assert first["properties"]["user"] == ann
    assert first["properties"]["$set"] == {"plan": "pro"}
