"""What is wrong is found before the first event, all at once, each with its remedy."""

from __future__ import annotations

import re
import shutil
from collections import namedtuple
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
import sqlalchemy as sa

from target_posthog.books.lines import Kind, Line, Unit
from target_posthog.books.table import Book
from target_posthog.capture.hosts import REGIONS
from target_posthog.common.checked_settings import (
    given_by_variables,
    read_given,
    settings_findings,
)
from target_posthog.common.findings import Finding, Level, exit_code_of
from target_posthog.identity.ledger import Ledger
from target_posthog.preflight.check import check
from target_posthog.preflight.migration import migration_findings
from target_posthog.preflight.peers import host_findings
from target_posthog.sdk import SingerPlugin
from target_posthog.settings import SETTINGS
from target_posthog.validation import problems_with
from tests.fakes.posthog_capture import PosthogCapture
from tests.support.peers import answering
from tests.support.target_in_process import no_waits
from tests.support.target_settings import settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.singer import Json
    from tests.support.target import Target

SECRET = "phc_hushhushhush"


@pytest.fixture
def config(capture: PosthogCapture, api: PosthogQuery, tmp_path: Path) -> Json:
    """Settings with which all is well: the places of the target are all in one folder."""
    return {
        "api_key": capture.api_key,
        "host": capture.url,
        "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
        "rejects_path": str(tmp_path / "rejects"),
        "max_events_per_second": 5000,
        "max_retry_seconds": 1,
        "historical_migration": "auto",
        "app_host": api.url,
        "project_id": api.project,
        "personal_api_key": api.key,
    }


def found(target: Target, regions: dict[str, str] | None = None, **changes: Any) -> list[Finding]:
    """Check its settings with some changes, among them those of the SDK."""
    SingerPlugin.append_builtin_config(SETTINGS)
    given = read_given(target.config | changes, SETTINGS, problems_with)
    with no_waits():
        return check(given, "test/1", regions=regions or {})


def of(findings: list[Finding], area: str, level: Level) -> list[Finding]:
    """Return the findings of an area that stand so."""
    return [one for one in findings if (one.area, one.level) == (area, level)]


def fixes(findings: list[Finding]) -> list[str]:
    """Return what is to be fixed, with the remedies."""
    return [f"{one.text} {one.remedy}".strip() for one in findings if one.level is Level.FIX]


def test_sound_settings_are_all_ok(target: Target) -> None:
    """PostHog got the token and a request without events; nothing is made on the disk."""
    findings = found(target)
    assert [one for one in findings if one.level is not Level.OK] == []
    areas = [one.area for one in findings]
    assert list(dict.fromkeys(areas)) == [
        *("settings", "token", "host", "ingestion", "project", "billing", "speed"),
        *("ledger", "rejects", "summary", "disk"),
    ]
    assert exit_code_of(findings) == 0
    (request,) = target.capture.requests
    assert (request.path, request.status, target.capture.events) == ("/batch/", 400, [])
    assert len(target.capture.key_checks) == 1
    assert list(target.folder.iterdir()) == []


#: What an installation lacks, the setting that is changed, and all that is not well then.
FAULTS: dict[str, tuple[Json, Json, str]] = {
    "unknown token": ({}, {"api_key": SECRET}, r"token FIX: .* the project token \(401"),
    "unasked token": ({}, {"check_api_key": False}, "token NOTE: .*`check_api_key` is false"),
    "no flags": ({"flags": "absent"}, {}, "token UNKNOWN: .*it answered 404"),
    "no protocol v1": (
        {"v1": "absent"},
        {"protocol": "v1"},
        "ingestion FIX: .*does not take events: it answered 404.*`protocol` to `batch`",
    ),
    "no project": (
        {},
        {"project_id": None, "personal_api_key": None},
        "project NOTE: `project_id` and `personal_api_key` are not set",
    ),
    "no key": ({}, {"personal_api_key": None}, "project NOTE: `personal_api_key` is not set"),
    "unknown key": (
        {},
        {"personal_api_key": "phx_hush"},
        r"project FIX: .*refused the personal API key \(401",
    ),
    "key of another scope": (
        {},
        {"personal_api_key": "phx_reader_of_another_scope"},
        "project FIX: .*may not query project 7",
    ),
    "unknown project": ({}, {"project_id": 8}, "project FIX: .*shows this key no project 8"),
    "app away": ({}, {"app_host": "http://127.0.0.1:1"}, "project UNKNOWN: "),
    "no database": ({}, {"ledger_url": "sqlite:///{}/text"}, "ledger FIX: .*is not a database"),
    "ledger away": (
        {},
        {"ledger_url": "postgresql+psycopg://ann:hush@127.0.0.1:1/ledger"},
        "ledger FIX: .*failed: ",
    ),
    "ledger in memory": ({}, {"ledger_url": "sqlite://"}, "ledger NOTE: .*in memory"),
    "ledger in no folder": (
        {},
        {"ledger_url": "sqlite:////there/is/none/ledger.db"},
        "ledger FIX: .*SQLite makes no folder",
    ),
    "summary a folder": ({}, {"summary_path": "{}"}, "summary FIX: .*is a folder, not a file"),
}


@pytest.mark.parametrize(("lacks", "changes", "told"), FAULTS.values(), ids=FAULTS)
def test_one_fault_is_all_that_is_told(
    target: Target, lacks: Json, changes: Json, told: str
) -> None:
    """With its exit code and without any secret; the token is asked for where it is wanted."""
    (target.folder / "text").write_text("no database " * 100)
    changes = {k: v.format(target.folder) if isinstance(v, str) else v for k, v in changes.items()}
    with PosthogCapture(**lacks) as asked:
        findings = found(target, **{"host": asked.url, **changes})
    (one,) = [one for one in findings if one.level is not Level.OK]
    assert re.match(told, f"{one.area} {one.level.value}: {one.text} {one.remedy}")
    assert exit_code_of(findings) == {Level.NOTE: 0, Level.UNKNOWN: 1, Level.FIX: 2}[one.level]
    assert bool(asked.key_checks) == changes.get("check_api_key", True)
    assert "hush" not in str(findings)


def test_a_live_project_is_told_before_history_overwrites_its_people(target: Target) -> None:
    """Only events that no import brought make it live; `set_once` overwrites nothing."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for number, properties in enumerate([{}, {"analytics_source": "amplitude"}]):
        target.capture.events.append(
            {
                "uuid": f"00000000-0000-4000-8000-{number:012x}",
                "event": "viewed",
                "distinct_id": "ann",
                "timestamp": now,
                "properties": properties,
                "_historical": False,
            }
        )
    (note,) = of(found(target), "project", Level.NOTE)
    assert "1 event of other sources since yesterday" in note.text
    assert "set_once" in note.remedy
    assert not of(found(target, user_properties="set_once"), "project", Level.NOTE)


@pytest.mark.parametrize("protocol", ["batch", "v1"])
def test_the_ingestion_is_asked_by_the_protocol_that_is_set(target: Target, protocol: str) -> None:
    """Without an event, so that none is stored."""
    (finding,) = of(found(target, protocol=protocol), "ingestion", Level.OK)
    assert f"`protocol: {protocol}`" in finding.text
    assert [request.status for request in target.capture.requests] == [400]
    assert target.capture.events == []


def test_everything_wrong_is_told_at_once(target: Target) -> None:
    """One fault does not hide the next; the values are not shown."""
    (target.folder / "a file").touch()
    findings = found(
        target,
        api_key="phx_hushhush",
        hots="hush",
        workers="hush",
        historical_migration="hush",
        ledger_url="mysql://hush:hush@db/hush",
        rejects_path=str(target.folder / "a file/rejects"),
        flattening_max_depth=2,
    )
    told = " ".join(fixes(findings))
    for words in (
        "There is no setting `hots`. Did you mean `host`?",
        "`workers` is not a valid integer.",
        "`historical_migration` must be `true`, `false` or `auto`.",
        "personal API key (phx_…)",
        "`flattening_max_depth` cannot act without `flattening_enabled`",
        "`ledger_url`",
        "is a file, not a folder",
    ):
        assert words in told, words
    assert told.count("is not a valid project token") == 1
    assert "hush" not in " ".join(f"{one.text}{one.remedy}" for one in findings).lower()
    assert exit_code_of(findings) == 2


def test_a_token_of_the_other_region_names_the_region(target: Target) -> None:
    """The usual cause of an unknown token: the remedy is the other host."""
    with PosthogCapture(api_key=SECRET) as other:
        regions = {target.capture.url: "US Cloud", other.url: "EU Cloud"}
        findings = found(target, regions, api_key=SECRET)
    (finding,) = of(findings, "token", Level.FIX)
    assert finding.text == "It belongs to a project in EU Cloud, and `host` is US Cloud."
    assert finding.remedy == f"Set `host` to {other.url}."


def test_no_other_region_is_asked_for_an_installation_of_ones_own(target: Target) -> None:
    """Its token is nobody else's business."""
    with PosthogCapture() as elsewhere:
        found(target, {elsewhere.url: "US Cloud"}, api_key=SECRET)
        assert elsewhere.key_checks == []
    assert len(target.capture.key_checks) == 1


def test_a_host_that_is_away_is_not_known(target: Target) -> None:
    """Nothing is wrong with the settings, as far as anybody can tell."""
    with PosthogCapture() as gone:
        url = gone.url
    findings = found(target, host=url)
    assert [one.area for one in findings if one.level is Level.UNKNOWN] == ["token", "ingestion"]
    assert exit_code_of(findings) == 1


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {}, b"not found"),
        (400, {}, b"<html>bad request</html>"),
        (301, {"Location": "https://us.posthog.com/login"}, b""),
        (403, {"WWW-Authenticate": "Basic"}, b"who are you"),
    ],
    ids=["404", "400 of a gate", "redirect", "password"],
)
def test_a_host_that_is_not_posthogs_is_told(
    target: Target, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Whatever it answers."""
    with answering(status, headers, body) as (url, _):
        (finding,) = of(found(target, host=url), "ingestion", Level.FIX)
    assert f"{url} does not take events: it answered {status}" in finding.text
    assert "https://eu.i.posthog.com" in finding.remedy


def test_a_host_that_is_no_address_is_told_and_nobody_is_asked(target: Target) -> None:
    """The token's form is told all the same."""
    findings = found(target, host="https://")
    assert [one.text for one in of(findings, "host", Level.FIX)] == ["`host` is not a valid URL."]
    assert of(findings, "token", Level.OK)
    assert (target.capture.requests, target.capture.key_checks) == ([], [])


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("https://us.i.posthog.com", "US Cloud."),
        ("eu.posthog.com", "EU Cloud (`host` names the browser app, eu.posthog.com)."),
    ],
    ids=["ingestion", "app"],
)
def test_the_region_is_named(host: str, words: str) -> None:
    """Also of the browser app's host, which is corrected."""
    (finding,) = host_findings(host, REGIONS)
    assert finding.text.endswith(words)


def test_an_unencrypted_host_is_told() -> None:
    """Anybody between could read what goes out; one on this machine is nobody's wire."""
    _, finding = host_findings("http://user:hush@posthog.example", {})
    assert "not encrypted" in finding.text
    assert "hush" not in str(list(host_findings("http://u:hush@x.example", {})))


def test_a_preview_sends_nothing_and_needs_no_token(target: Target) -> None:
    """Told, as nobody should take it for the run that sends."""
    del target.config["api_key"], target.config["rejects_path"]
    findings = found(target, preview_path=str(target.folder / "preview"))
    (note,) = of(findings, "preview", Level.NOTE)
    assert "a run sends nothing" in note.text
    assert of(findings, "preview", Level.OK)
    assert str(target.folder / "preview/rejects") in of(findings, "rejects", Level.OK)[0].text
    assert not of(findings, "ledger", Level.OK)
    assert (target.capture.requests, target.capture.key_checks) == ([], [])
    assert exit_code_of(findings) == 0


def test_events_of_the_last_48_hours_are_told() -> None:
    """With the time from which on PostHog may bill them."""
    now = datetime(2024, 3, 5, 12, 30, tzinfo=timezone.utc)
    billing, speed = migration_findings(settings_of(), now)
    assert "since 2024-03-03T12:30Z" in billing.text
    assert (billing.level, speed.level) == (Level.NOTE, Level.NOTE)
    assert "max_events_per_second" in speed.text
    ended, fast = migration_findings(
        settings_of(historical_migration="auto", max_events_per_second=2500), now
    )
    assert (ended.level, fast.text) == (Level.OK, "At most 2,500 events a second.")
    billed, _ = migration_findings(settings_of(historical_migration="false"), now)
    assert "bills every event" in billed.text


def test_a_ledger_tells_whose_it_is(target: Target, ledger_url: str) -> None:
    """Of this project, with its book; and of others alone."""
    target.config["ledger_url"] = ledger_url
    first = [one.text for one in of(found(target), "ledger", Level.OK)]
    ledger = Ledger(ledger_url, target.config["api_key"])
    assert any("the first run makes it" in text for text in first)
    ledger.begin(goes_on=False)
    book = Book(ledger, "run", lambda: datetime(2024, 1, 2, tzinfo=timezone.utc))
    assert "its book is empty" in of(found(target), "ledger", Level.OK)[-1].text
    line = Line()
    line.events[Kind("2024-01-01", "Order")] += 1
    book.write([(Unit("events", "1", f"2024-01-01T0{hour}"), line) for hour in range(3)])
    ledger.close()
    known = of(found(target), "ledger", Level.OK)
    assert "opens, and can be written" in known[0].text
    assert known[1].text == (
        "It knows this PostHog project: 3 lines in the book of the hours 2024-01-01T00Z to "
        "2024-01-01T02Z, the last written 2024-01-02T00:00:00Z."
    )
    other = of(found(target, api_key=SECRET), "ledger", Level.OK)
    assert "It knows 1 other PostHog project, and no run of this one" in other[1].text
    engine = sa.create_engine(ledger_url)
    assert "target_posthog_check" not in sa.inspect(engine).get_table_names()
    engine.dispose()


def test_a_ledger_whose_user_may_make_no_tables_is_right_once_they_are_there(
    target: Target, postgresql_server: sa.URL, postgresql_url: str
) -> None:
    """A run needs no more; before it, the missing right is told."""
    ledger = Ledger(postgresql_url, target.config["api_key"])
    Book(ledger, "run", lambda: datetime.now(timezone.utc))
    ledger.close()
    name = postgresql_url.rpartition("search_path")[2].partition("test_")[2]
    schema, role = f"test_{name}", f"writer_{name}"
    engine = sa.create_engine(postgresql_server)
    with engine.begin() as connection:
        for statement in (
            f"CREATE ROLE {role} LOGIN",
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}",
        ):
            connection.execute(sa.text(statement))
    url = sa.make_url(postgresql_url).set(username=role, password=None)
    target.config["ledger_url"] = url.render_as_string(hide_password=False)
    assert "opens, and can be written" in of(found(target), "ledger", Level.OK)[0].text
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP TABLE {schema}.book_hours CASCADE"))
    engine.dispose()
    (finding,) = of(found(target), "ledger", Level.FIX)
    assert "permission denied" in finding.text


@pytest.mark.parametrize(
    ("free", "level"),
    [(10**7, Level.FIX), (10**9, Level.NOTE), (10**11, Level.OK)],
    ids=["full", "tight", "free"],
)
def test_a_full_disk_is_told(
    target: Target, monkeypatch: pytest.MonkeyPatch, free: int, level: Level
) -> None:
    """Ledger and rejects share one here."""
    usage = namedtuple("usage", ["total", "used", "free"])  # noqa: PYI024 - as `shutil` has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12 - free, free))
    (finding,) = of(found(target), "disk", level)
    assert f"{free / 10**9:,.1f} GB free for rejects and the ledger" in finding.text


def test_no_setting_at_all_is_told() -> None:
    """As of a command without `--config`; the token that it lacks is told elsewhere."""
    given = read_given({}, SETTINGS, problems_with)
    (finding,) = settings_findings(given, "target-posthog", found_elsewhere=given.problems)
    assert finding.text == "None is given: all have their defaults."


def test_rejects_in_a_bucket_are_tried(target: Target) -> None:
    """A file is put there and taken away; a driver that is not there is told."""
    import fsspec  # type: ignore[import-untyped]  # noqa: PLC0415 - the one test of it

    findings = found(target, rejects_path="memory://bucket/rejects")
    assert "put there and removed" in of(findings, "rejects", Level.OK)[0].text
    assert fsspec.filesystem("memory").find("/bucket") == []
    (finding,) = of(found(target, rejects_path="nodriver://hush@x"), "rejects", Level.FIX)
    assert "cannot be written" in finding.text
    assert "hush" not in finding.text


def test_a_credential_that_the_bucket_of_the_rejects_refuses_is_told(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run would see it at its first reject, perhaps after hours."""
    from fsspec.implementations.memory import (  # type: ignore[import-untyped]  # noqa: PLC0415
        MemoryFileSystem,
    )

    refusing = Mock(side_effect=PermissionError("InvalidAccessKeyId"))
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refusing)
    (finding,) = of(found(target, rejects_path="memory://b/r"), "rejects", Level.FIX)
    assert finding.text == "`rejects_path` cannot be written: InvalidAccessKeyId."
    assert "the bucket's credentials" in finding.remedy


def test_variables_are_read_as_a_command_reads_them() -> None:
    """Misspelt ones, and those that Meltano keeps to itself, are told."""
    environment = {
        "TARGET_POSTHOG_API_KEY": "phc_test",
        "TARGET_POSTHOG_WORKER": "2",
        "MELTANO_LOADER_NAME": "target-posthog",
    }
    prefix = "TARGET_POSTHOG_"
    given, problems = given_by_variables({}, SETTINGS, prefix, environment, are_asked=True)
    assert given == {"api_key": "phc_test"}
    assert any("Did you mean `TARGET_POSTHOG_WORKERS`?" in problem for problem in problems)
    given, problems = given_by_variables({}, SETTINGS, prefix, environment, are_asked=False)
    assert given == {}
    assert any("Meltano did not pass it on" in problem for problem in problems)


def test_null_and_empty_settings_are_not_given() -> None:
    """Meltano hands them over for what the user left open."""
    empty: dict[str, Any] = {"api_key": "phc_test", "host": None, "preview_path": ""}
    given = read_given(empty, SETTINGS, problems_with)
    assert given.names == ("api_key",)
    assert given.config["host"] == "https://us.i.posthog.com"
    assert given.problems == ()
