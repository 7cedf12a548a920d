"""How the target speaks as a command: its exit codes, and messages without secrets or records."""

from __future__ import annotations

import io
import json
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from target_posthog.errors import STATE_IS_SAVED, BrokenInput
from target_posthog.input.reader import SingerLines
from tests.fakes.posthog_capture import Fault
from tests.support.processes import SCRIPTS, Running, start
from tests.support.rows import row, rows
from tests.support.singer import record, records, schema, state
from tests.support.target import started
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Finished
    from tests.support.singer import Json
    from tests.support.target import Target

PASSWORD = "hushhush"
SECRET_KEYS = ("phx_hush", "phc_test")
PERSONAL = {"user_id": "jane@example.com", "event_properties": {"card": "4111-1111"}}


def log_of(finished: Finished) -> str:
    """Return what was logged, after seeing that it holds nothing that is secret or personal."""
    for secret in (PASSWORD, *SECRET_KEYS, "jane@example.com", "4111-1111"):
        assert secret not in finished.stderr
    assert "Traceback" not in finished.stderr
    return finished.stderr


def errors_in(finished: Finished) -> list[str]:
    """Return the lines of the log that are errors."""
    return [line for line in log_of(finished).splitlines() if "ERROR" in line]


def test_a_wrong_configuration_is_one_line_and_exit_code_2(target: Target) -> None:
    """Everything that is wrong is told at once, and nothing is sent."""
    config: Json = {"api_key": f"phx_{PASSWORD}", "host": "ftp://x", "max_batch_events": 0}
    finished = target.run([schema(), record(row(1))], **config)
    assert (finished.exit_code, finished.stdout) == (2, "")
    (line,) = errors_in(finished)
    for words in ("personal API key", "`host` is not", "max_batch_events", "--about`"):
        assert words in line
    assert target.capture.requests == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        *((text, "it is not a JSON object") for text in ("", "5", "\x00\xff", '["hushhush", 5]')),
        ("{'api_key': 'hushhush'}", "it is not a JSON object"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(
    tmp_path: Path, content: str | None, words: str
) -> None:
    """With its path, for there may be several."""
    path = tmp_path / "my.json"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    command = [str(SCRIPTS / "target-posthog"), "--config", str(path)]
    with Running(command, tmp_path) as target:
        finished = target.finish()
    assert finished.exit_code == 2
    (line,) = errors_in(finished)
    assert f"The configuration in {path} cannot be read: " in line
    assert words in line


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--input", "none.jsonl"]])
def test_a_wrong_command_line_is_exit_code_2(
    tmp_path: Path, config: Json, arguments: list[str]
) -> None:
    """It is a matter of configuration too."""
    finished = run_here(config, [], tmp_path, *arguments)
    assert finished.exit_code == 2
    assert "--help" in errors_in(finished)[0]


def test_settings_may_come_from_the_environment(tmp_path: Path, capture: PosthogCapture) -> None:
    """As Meltano gives them."""
    environment = {
        "TARGET_POSTHOG_API_KEY": capture.api_key,
        "TARGET_POSTHOG_HOST": capture.url,
        "TARGET_POSTHOG_HISTORICAL_MIGRATION": "auto",
        "TARGET_POSTHOG_SKIP_EVENTS": '["left*"]',
        "TARGET_POSTHOG_MAX_REJECT_RATIO": "0.5",
    }
    messages = [schema(), *records([row(1), row(2, event_type="left")])]
    finished = run_here({}, messages, tmp_path, "--config", "ENV", environment=environment)
    assert finished.exit_code == 0, finished.stderr
    # As false, the old event would be billed.
    assert [request.historical_migration for request in capture.requests] == [True]
    assert len(capture.events) == 1
    assert "Parsing" not in finished.stderr


_SOUND = [schema(), record(row(1)), state({"at": 1})]


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be"])
def test_input_in_utf_16_is_called_that(coding: str) -> None:
    """A shell such as PowerShell writes a tap's output so; nothing else is wrong with it."""
    text = ("\ufeff" if coding == "utf-16-be" else "") + json.dumps(schema())
    with pytest.raises(BrokenInput, match="UTF-16 text, not UTF-8"):
        SingerLines().process_lines(io.BytesIO(text.encode(coding)), {})


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("Traceback: the tap is broken for jane@example.com", "Line 4 of the input is not a"),
        ('{"type": "RECORD", "stream": "events", "record": {"user_id": "jane@exa', "Line 4 of"),
        *(
            (line, "Line 4 of the input is not a Singer message")
            for line in ("[1, 2]", "5", '{"stream": "events"}', b"\xff\xfe\n")
        ),
        ("[" * 100_000, "Line 4 of the input nests deeper than 500 levels"),
        ({"type": "EVENT", "user": PERSONAL}, "Line 4 of the input is a message of an unknown"),
        ({"type": "RECORD", "record": PERSONAL}, "not a valid RECORD message: `stream` is missing"),
        ({**record({}), "stream": ["events"]}, "message: `stream` is missing or"),
        ({**schema(), "stream": ""}, "SCHEMA message: `stream` is missing or"),
        *((record(one), "message: `record` is missing or") for one in (None, [PERSONAL])),
        (record(PERSONAL, "none"), "of the stream none before its schema"),
        (record(PERSONAL), "without its key properties (uuid)"),
        ({"type": "SCHEMA", "stream": "events", "schema": None}, "message: `schema` is missing or"),
        ({"type": "STATE", "state": 5}, "not a valid STATE message: `value` is missing"),
        *(
            (
                {**schema(), "key_properties": key},
                "a valid SCHEMA message: `key_properties` is missing",
            )
            for key in ("uuid", [["uuid"]])
        ),
        (
            {"type": "BATCH", "stream": "events", "manifest": []},
            "a BATCH message that is not valid",
        ),
    ],
)
def test_input_that_is_not_singer_stops_the_run_with_exit_code_1(
    target: Target, broken: Json | str | bytes, words: str
) -> None:
    """The state before it stands, none after it is written, and its content is not shown."""
    messages = [*_SOUND, broken, state({"at": 2})]
    finished = target.run(messages)
    assert finished.exit_code == 1
    assert finished.messages == [{"at": 1}]
    (line,) = errors_in(finished)
    assert words in line
    assert STATE_IS_SAVED in line
    assert "run again" in line


def test_a_last_line_that_is_cut_off_is_not_a_good_end(target: Target) -> None:
    """The tap was killed; its last record is not whole."""
    cut = json.dumps(record(row(2))).encode()[:-20]
    finished = target.run([*_SOUND, cut])
    assert finished.exit_code == 1
    assert finished.messages == [{"at": 1}]
    assert "was cut off" in errors_in(finished)[0]


def test_a_last_line_without_its_newline_is_whole(target: Target) -> None:
    """Some taps end so."""
    last = json.dumps(state({"at": 2})).encode()
    assert target.run([*_SOUND, last]).checked().messages[-1] == {"at": 2}
    assert len(target.capture.events) == 1


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_exit_code_1_and_no_further_state(
    target: Target, signum: int
) -> None:
    """What waited to be sent is not in the state; the next run reads it again."""
    with started(target) as running:
        running.write(_SOUND)
        running.wait_for(lambda: running.stdout)
        running.write([*records(rows(range(2, 50))), state({"at": 50})])
        finished = running.stop(signum)
    assert finished.exit_code == 1
    first, both = [{"at": 1}], [{"at": 1}, {"at": 50}]
    assert (len(target.capture.events), finished.messages) in [(1, first), (49, both)]
    (line,) = errors_in(finished)
    assert f"Stopped by {signal.Signals(signum).name}" in line
    assert "Run again" in line


@pytest.mark.parametrize(
    ("is_full", "words"),
    [(False, "Standard output was closed by its reader"), (True, "No space left on device")],
    ids=["closed", "full disk"],
)
def test_a_state_that_cannot_be_written_stops_the_run(
    tmp_path: Path, config: Json, words: str, *, is_full: bool
) -> None:
    """It could go on and on without ever saving how far it came."""
    reading, writing = os.pipe()
    os.close(reading)
    if is_full:
        os.close(writing)
        writing = os.open("/dev/full", os.O_WRONLY)
    with start("target-posthog", config, tmp_path, stdout=writing) as target:
        os.close(writing)
        target.write(_SOUND)
        finished = target.finish()
    assert finished.exit_code == 1
    (line,) = errors_in(finished)
    assert words in line


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
@pytest.mark.parametrize("status", [200, 401])
def test_no_log_level_shows_a_secret_or_a_record(
    target: Target, postgresql_url: str, level: str, status: int
) -> None:
    """Neither the key, nor the ledger's password, nor anybody's data."""
    if status != 200:
        target.capture.fail(Fault.STATUS, status=status, body="api_key phc_test is wrong")
    url = postgresql_url.replace("postgres:@", f"postgres:{PASSWORD}@")
    assert PASSWORD in url
    messages = [
        schema(),
        record({**row(1, device_id="4111-1111"), **PERSONAL}),
        record({**row(2, event_time="no", server_upload_time="no"), **PERSONAL}),
        state({"at": 1}),
    ]
    finished = target.run(messages, {"TARGET_POSTHOG_LOGLEVEL": level}, ledger_url=url)
    assert finished.exit_code == (0 if status == 200 else 2)
    assert log_of(finished)
    assert "jane" not in finished.stdout


#: The database may only be down.
DOWN = "postgresql+psycopg://me:{}@127.0.0.1:1/db"


@pytest.mark.parametrize(
    ("url", "exit_code", "words"),
    [
        (DOWN, 1, re.escape(DOWN.format("***"))),
        ("postgres://me:{}@127.0.0.1:1/db", 2, "`ledger_url` is not a valid URL"),
        ("sqlite:///damaged.db", 2, "is not an SQLite file.*Put a copy of it back"),
    ],
    ids=["down", "no address", "damaged"],
)
def test_a_ledger_that_cannot_be_used_is_told_before_anything_is_sent(
    target: Target, url: str, exit_code: int, words: str
) -> None:
    """Without its password; exit code 1 only where to run again may help."""
    (target.folder / "damaged.db").write_bytes(b"anything else" * 1_000)
    finished = target.run(_SOUND, ledger_url=url.format(PASSWORD))
    assert (finished.exit_code, finished.stdout) == (exit_code, "")
    (line,) = errors_in(finished)
    assert re.search(words, line)
    assert target.capture.requests == []


_WITH_A_BUG = """
from target_posthog import __main__
from target_posthog.formats import converter as converters

def boom(*_):
    raise KeyError("jane@example.com")

converters.Converter.convert = boom
__main__.main()
"""


def test_a_bug_of_ours_shows_where_and_not_what(tmp_path: Path, config: Json) -> None:
    """Whatever an exception says may be a person's data."""
    path = tmp_path / "c.json"
    path.write_text(json.dumps(config))
    command = [str(SCRIPTS / "python"), "-c", _WITH_A_BUG, "--config", str(path)]
    with Running(command, tmp_path) as target:
        target.write(_SOUND)
        finished = target.finish()
    assert finished.exit_code == 1
    assert finished.stdout == ""
    assert "This is a bug in target-posthog (KeyError): please report it" in finished.stderr
    assert "events_of" in finished.stderr
    assert "jane" not in finished.stderr


def test_a_command_that_moves_no_state_says_nothing_of_one(target: Target) -> None:
    """What it may have stopped at is not a run of a tap."""
    finished = target.command("whole-migration", ledger_url="sqlite:///none/ledger.db")
    assert finished.exit_code == 1
    (line,) = errors_in(finished)
    assert "The ledger at" in line
    assert STATE_IS_SAVED not in line
