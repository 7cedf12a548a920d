"""Settings on their way through the real Meltano: from a variable to the plugin that reads it."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

import pytest

from docs.generate_settings import PLUGINS, all_settings_of, variable_of
from tests.fakes.posthog_capture import PosthogCapture
from tests.support.documents import document
from tests.support.meltano_project import REPOSITORY, MeltanoProject, own_definition
from tests.support.plugin_messages import plain

if TYPE_CHECKING:
    from pathlib import Path


Json = dict[str, Any]

_EXPORT = str(REPOSITORY / "tests/fixtures/demo_export.zip")
#: Texts, as a user writes them, where one of the type alone would not be valid; and what they mean.
_TEXTS: dict[str, tuple[str, Any]] = {
    # As text, a number and a date that Meltano would make something else of.
    "api_key": ("phc_0123", "phc_0123"),
    "secret_key": ("0123", "0123"),
    "start_date": ("2024-02-01", "2024-02-01"),
    "end_date": ("2024-03-01T05:00:00+01:00", "2024-03-01T05:00:00+01:00"),
    "api_url": ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    "archive_path": (_EXPORT, _EXPORT),
    "host": ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    "app_host": ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    "project_id": ("007", "007"),
    "personal_api_key": ("phx_0123", "phx_0123"),
    "ledger_url": ("sqlite:///a.db", "sqlite:///a.db"),
    "batch_config": (
        '{"encoding": {"format": "records"}, "storage": {"root": "file:///b"}}',
        # The rest of it is that of meltano.yml, as Meltano does with objects.
        {
            "encoding": {"format": "records", "compression": "gzip"},
            "storage": {"root": "file:///b"},
        },
    ),
    "streams": (
        r'{"public\\.orders": {"event": {"value": "a.b"}, "distinct_id": ["x", "y"]}}',
        {"public.orders": {"event": {"value": "a.b"}, "distinct_id": ["x", "y"]}},
    ),
    "event_names": ('[{"from": "a.b", "to": "c"}]', [{"from": "a.b", "to": "c"}]),
    "property_names": ('[{"from": "$a", "to": "c"}]', [{"from": "$a", "to": "c"}]),
    "skip_events": ('["session_*", "it\'s"]', ["session_*", "it's"]),
    "skip_properties": ("['ip_address']", ["ip_address"]),
    "stream_maps": (
        '{"events": {"city": "city.upper()", "zip": null}}',
        {"events": {"city": "city.upper()", "zip": None}},
    ),
    "stream_map_config": ('{"hash_seed": "01"}', {"hash_seed": "01"}),
    "flattening_max_key_length": ("200", 200),
    "faker_config": ('{"seed": 0}', {"seed": 0}),
}
_BY_TYPE: dict[str, tuple[str, Any]] = {
    "boolean": ("True", True),
    "integer": ("3", 3),
    "number": ("0.25", 0.25),
    "string": ("a $b", "a $b"),
}
#: Stands in a plugin's place: writes down the settings that the plugin sees, and ends well.
_RECORDER = """\
import click, json, sys
if "--discover" in sys.argv:
    print('{{"streams": []}}')
    sys.exit()
from {module} import {name}
class Recorder({name}):
    def __init__(self, **arguments):
        try:
            super().__init__(**arguments)
        finally:
            with open({path!r}, "w") as file:
                json.dump(dict(self._config), file)
    open_runtime = classmethod(lambda cls: sys.exit())
arguments = " ".join(sys.argv[1:]).replace("=", " ").split()
sys.stdin.read()
files = (arguments[arguments.index("--config") + 1],)
config = Recorder.cb_config(click.Context(click.Command("recorder")), None, files)
Recorder(config=config.config, parse_env_config=config.parse_env)
"""


def record_settings(folder: Path, whole: Json) -> dict[str, Path]:
    """Put a recorder in the place of each plugin and its commands.

    Args:
        folder: Where the recorders lie.
        whole: The definition to change.

    Returns:
        The files that they write, by the plugin's name.
    """
    seen = {}
    for plugin, kind in zip(PLUGINS, ("extractors", "loaders"), strict=True):
        seen[plugin.name] = folder / f"{plugin.name}.json"
        script = folder / f"{plugin.name}-recorder"
        code = _RECORDER.format(
            module=plugin.__module__, name=plugin.__name__, path=str(seen[plugin.name])
        )
        script.write_text(f"#!{sys.executable}\n{code}")
        script.chmod(0o755)
        (own,) = whole["plugins"][kind]
        for started in (own, *own["commands"].values()):
            started["executable"] = str(script)
    return seen


def given_and_meant(plugin: Any) -> dict[str, tuple[str, Any]]:
    """Return a text for each setting that a plugin has, and what the plugin has to make of it."""
    found = {}
    for name, schema in all_settings_of(plugin).items():
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        choice = [one for one in schema.get("enum", ()) if one is not None]
        usual = (choice[-1], choice[-1]) if choice else _BY_TYPE.get(kinds[0], ("", None))
        found[name] = _TEXTS.get(name, usual)
    return found


def test_every_documented_variable_reaches_its_plugin(tmp_path: Path) -> None:
    """Each setting of both plugins, the SDK's too, arrives in the type that the plugin works with.

    The test of a new setting is this one: it needs a text in `_TEXTS` where its type is an array
    or an object, or where its type does not say enough.
    """
    whole, variables = own_definition(), {}
    seen = record_settings(tmp_path, whole)
    for plugin in PLUGINS:
        for name, (text, _) in given_and_meant(plugin).items():
            variables[variable_of(plugin, name)] = text
    documented = (REPOSITORY / "docs/settings.md").read_text()
    assert [name for name in variables if f"`{name}`" not in documented] == []

    project = MeltanoProject(tmp_path, whole)
    project.meltano("run", "tap-amplitude", "target-posthog", settings=variables).checked()
    for plugin in PLUGINS:
        received = json.loads(seen[plugin.name].read_text())
        for name, (_, meant) in given_and_meant(plugin).items():
            assert (name, received[name]) == (name, meant)
            assert type(received[name]) is type(meant), name


_MAPS: Json = {"orders": {"city": "city.upper()", "zip": None}}
_STORAGE: Json = {
    "encoding": {"format": "jsonl", "compression": "gzip"},
    "storage": {"root": "file:///b", "params": {"anon": True}},
}
#: What each plugin has to see of `project_with_objects`.
_OBJECTS: dict[str, Json] = {
    "tap-amplitude": {
        "batch_config": _STORAGE,
        "stream_maps": {"events": {"city": "city.upper()"}},
        "stream_map_config": {"hash_seed": "01", "of": {"an": "environment"}},
        "faker_config": {"seed": 1},
    },
    "target-posthog": {
        "streams": {"orders": {"event": {"value": "a.b"}, "timestamp": "at"}},
        "stream_maps": _MAPS,
        "stream_map_config": {"hash_seed": "02"},
        "faker_config": {"seed": 2},
    },
}


def project_with_objects(folder: Path) -> tuple[MeltanoProject, dict[str, Path]]:
    """Return a project that has objects in each way in which Meltano takes them, and its records.

    `config` as an object, with dotted keys and as JSON text, an environment's `config`, `.env`,
    `env`, `meltano config set` with JSON and with a dotted key; the shell's variables come later.
    """
    whole = own_definition()
    seen = record_settings(folder, whole)
    (tap,), (target,) = whole["plugins"]["extractors"], whole["plugins"]["loaders"]
    tap["config"] = {
        "batch_config": _STORAGE,
        "stream_maps.events.city": "city.upper()",
        "stream_map_config": {"hash_seed": "of-the-root"},
    }
    target["config"] = {"stream_map_config": '{"hash_seed": "02"}'}
    target["env"] = {"TARGET_POSTHOG_FAKER_CONFIG": '{"seed": 2}'}
    in_prod = {"stream_map_config": {"hash_seed": "01", "of": {"an": "environment"}}}
    whole["environments"] = [
        {
            "name": "prod",
            "config": {"plugins": {"extractors": [{"name": tap["name"], "config": in_prod}]}},
        }
    ]
    (folder / ".env").write_text("TAP_AMPLITUDE_FAKER_CONFIG='{\"seed\": 1}'\n")
    project = MeltanoProject(folder, whole)
    for name, value in (
        ("streams", '{"orders": {"event": {"value": "a.b"}}}'),
        ("streams.orders.timestamp", "at"),
    ):
        project.meltano("config", "set", "target-posthog", name, value).checked()
    return project, seen


@pytest.mark.long
def test_an_object_arrives_whole_in_every_way(tmp_path: Path) -> None:
    """However it is given, `run`, `el`, `invoke` and the commands see the same."""
    project, seen = project_with_objects(tmp_path)
    variables = {
        "TARGET_POSTHOG_API_KEY": "phc_0123",
        "TAP_AMPLITUDE_ARCHIVE_PATH": _EXPORT,
        "TARGET_POSTHOG_STREAM_MAPS": json.dumps(_MAPS),
    }
    for starts in (
        ["run tap-amplitude target-posthog"],
        ["el tap-amplitude target-posthog"],
        ["invoke tap-amplitude", "invoke target-posthog"],
        ["invoke tap-amplitude:test", "invoke target-posthog:replay"],
    ):
        for start in starts:
            project.meltano(*shlex.split(start), settings=variables).checked()
        for name, objects in _OBJECTS.items():
            received = json.loads(seen[name].read_text())
            assert (starts, {one: received.get(one) for one in objects}) == (starts, objects)
            seen[name].unlink()


@pytest.mark.parametrize(
    ("start", "variable", "text", "row"),
    [
        ("run tap-amplitude target-posthog", "TARGET_POSTHOG_STREAMS", "orders: x", 0),
        ("run tap-amplitude target-posthog", "TAP_AMPLITUDE_BATCH_CONFIG", "", 0),
        ("invoke target-posthog:replay", "TARGET_POSTHOG_STREAM_MAPS", '{"a":', 1),
    ],
)
def test_meltanos_words_for_a_variable_that_is_no_object_are_explained(
    tmp_path: Path, start: str, variable: str, text: str, row: int
) -> None:
    """Meltano reads objects itself and ends before the plugins start; the documents quote it."""
    whole = own_definition()
    seen = record_settings(tmp_path, whole)
    project = MeltanoProject(tmp_path, whole)
    end = project.meltano(*shlex.split(start), settings={variable: text})
    assert end.exit_code == 1
    (error,) = (line for line in end.stderr.splitlines() if "[error" in line)
    explained = [
        [plain(part) for part in cells[0].split("…")]
        for cells in document("docs/troubleshooting.md").rows("## Meltano")
    ]
    met = [parts for parts in explained if all(part in error for part in parts)]
    words = "Failed to parse JSON object from string"
    assert met == [[[words], ["No such file or directory:", ".config.json"]][row]]
    assert f"{words}: {text!r}" in end.stderr
    assert not any(path.exists() for path in seen.values())


def test_an_object_that_is_a_text_to_meltano_is_lost(tmp_path: Path) -> None:
    """Why objects are no `kind: string`: Meltano itself ends, and the commands see nothing.

    When this test fails, Meltano has learned it, and `meltano_setting` may declare texts alone.
    """
    whole = own_definition()
    seen = record_settings(tmp_path, whole)
    (target,) = whole["plugins"]["loaders"]
    target["config"] = {"streams": {"orders": {"event": {"value": "a.b"}}}}
    next(one for one in target["settings"] if one["name"] == "streams")["kind"] = "string"
    project = MeltanoProject(tmp_path, whole)
    variables = {"TARGET_POSTHOG_API_KEY": "phc_0123"}
    project.meltano("invoke", "target-posthog:replay", settings=variables).checked()
    assert json.loads(seen["target-posthog"].read_text()).get("streams") in (None, {})

    variables["TARGET_POSTHOG_STREAMS"] = '{"users": {"event": {"value": "c"}}}'
    end = project.meltano("invoke", "target-posthog", settings=variables)
    assert end.exit_code == 1
    assert "TypeError: 'str' object does not support item assignment" in end.stderr


_WRONG_FOR_THE_TAP = {
    "TAP_AMPLITUDE_START_DATE": "2023",
    "TAP_AMPLITUDE_END_DATE": "2023-13-01",
    "TAP_AMPLITUDE_MAX_SPOOL_GB": "2.5",
    "TAP_AMPLITUDE_FLATTENING_ENABLED": "ture",
}
_WRONG_FOR_THE_TARGET = {
    "TARGET_POSTHOG_API_KEY": "phc_0123",
    "TARGET_POSTHOG_MAX_EVENTS_PER_SECOND": "5,000",
    "TARGET_POSTHOG_STANDARD_EVENTS": "maybe",
    "TARGET_POSTHOG_SKIP_EVENTS": "session_start,session_end",
    "TARGET_POSTHOG_IDENTITY_EVENTS": "aliases",
}


@pytest.mark.parametrize(
    ("plugin", "variables"),
    [("tap-amplitude", _WRONG_FOR_THE_TAP), ("target-posthog", _WRONG_FOR_THE_TARGET)],
)
def test_a_variable_that_cannot_be_read_ends_in_words(
    tmp_path: Path, plugin: str, variables: dict[str, str]
) -> None:
    """Every mistake is named, exit code 2, without a traceback of Meltano's or the plugin's."""
    project = MeltanoProject(tmp_path)
    end = project.meltano("invoke", plugin, settings=variables)
    assert "Traceback" not in end.stderr
    prefix = f"{plugin.upper().replace('-', '_')}_"
    for variable in variables.keys() - {"TARGET_POSTHOG_API_KEY"}:
        name = variable.removeprefix(prefix).lower()
        assert name in end.stderr, end.stderr
    assert end.exit_code == 2


def test_a_replay_sees_what_a_run_sees(tmp_path: Path, posthog: PosthogCapture) -> None:
    """The shell wins over `.env`, and `.env` over meltano.yml; checks: see `test_checks`."""
    whole = own_definition()
    (loader,) = whole["plugins"]["loaders"]
    loader["config"] = {
        "source_format": "fields",
        "streams": {"orders": {"event": {"value": "Placed"}, "distinct_id": ["nobody", "buyer"]}},
        "skip_events": ["no*"],
        "rejects_path": "of_the_file",
    }
    project = MeltanoProject(tmp_path, whole)
    (tmp_path / ".env").write_text(
        f"TARGET_POSTHOG_API_KEY={posthog.api_key}\n"
        f"TARGET_POSTHOG_HOST={posthog.url}\n"
        "TARGET_POSTHOG_REJECTS_PATH=of_dotenv\n"
    )
    (tmp_path / "of_dotenv").mkdir()
    record = {"id": 1, "buyer": "ann", "created_at": "2024-01-01T10:00:00Z"}
    reject = {"code": "bad_time", "stage": "convert", "reason": "", "record": record}
    line = json.dumps({**reject, "stream": "orders", "key_properties": ["id"]})
    (tmp_path / "of_dotenv/a.jsonl").write_text(f"{line}\n")

    with PosthogCapture(api_key="phc_scratch") as scratch:
        shell = {"TARGET_POSTHOG_API_KEY": scratch.api_key, "TARGET_POSTHOG_HOST": scratch.url}
        project.meltano("invoke", "target-posthog:replay", settings=shell).checked()
        assert posthog.requests == []
        assert [(one["event"], one["distinct_id"]) for one in scratch.events] == [("Placed", "ann")]


def test_a_command_that_would_see_half_an_object_stops(tmp_path: Path) -> None:
    """A run merges the objects of variable and file; a replay must not map by one of them alone."""
    whole = own_definition()
    (loader,) = whole["plugins"]["loaders"]
    in_file = {"public\\.orders*": {"event": {"value": "Placed"}, "set": {}}}
    loader["config"] = {"streams": in_file}
    project = MeltanoProject(tmp_path, whole)
    variables = {"TARGET_POSTHOG_API_KEY": "phc_0123"}
    project.meltano("invoke", "target-posthog:replay", settings=variables).checked()

    variables["TARGET_POSTHOG_STREAMS"] = '{"users": {"event": {"value": "Joined"}}}'
    end = project.meltano("invoke", "target-posthog:replay", settings=variables)
    assert end.exit_code == 2
    assert "more of `streams` (`TARGET_POSTHOG_STREAMS_PUBLIC__ORDERS" in end.stderr

    variables["TARGET_POSTHOG_STREAMS"] = json.dumps(in_file)
    project.meltano("invoke", "target-posthog:replay", settings=variables).checked()


def test_a_setting_that_meltano_drops_stops_the_run(
    tmp_path: Path, posthog: PosthogCapture
) -> None:
    """A preview that a short definition knows nothing of is not sent for real."""
    whole = own_definition()
    for plugin in (*whole["plugins"]["extractors"], *whole["plugins"]["loaders"]):
        plugin["settings"] = [{"name": "api_key"}, {"name": "host"}, {"name": "archive_path"}]
    project = MeltanoProject(tmp_path, whole)
    variables = {
        "TAP_AMPLITUDE_ARCHIVE_PATH": _EXPORT,
        "TARGET_POSTHOG_API_KEY": posthog.api_key,
        "TARGET_POSTHOG_HOST": posthog.url,
        "TARGET_POSTHOG_PREVIEW_PATH": "preview",
    }
    end = project.meltano("run", "tap-amplitude", "target-posthog", settings=variables)
    assert end.exit_code == 1
    assert "TARGET_POSTHOG_PREVIEW_PATH is set, but Meltano did not pass it on" in (
        end.stderr.replace("`", "")
    )
    assert "Traceback" not in end.stderr
    assert posthog.events == []


def test_a_property_that_meltano_would_not_leave_out_stops_the_run(
    tmp_path: Path, posthog: PosthogCapture
) -> None:
    """A null in meltano.yml is nothing to Meltano, and the property would be sent."""
    whole = own_definition()
    (target,) = whole["plugins"]["loaders"]
    project = MeltanoProject(tmp_path, whole)
    variables = {
        "TAP_AMPLITUDE_ARCHIVE_PATH": _EXPORT,
        "TARGET_POSTHOG_API_KEY": posthog.api_key,
        "TARGET_POSTHOG_HOST": posthog.url,
    }
    for left_out, code in ((None, 1), ("__NULL__", 0)):
        target["config"] = {"stream_maps": {"events": {"language": left_out, "one": "'1'"}}}
        project.define(whole)
        end = project.meltano("run", "tap-amplitude", "target-posthog", settings=variables)
        assert end.exit_code == code, end.stderr
        assert ("and each null as __NULL__" in end.stderr.replace("`", "")) == bool(code)
        assert bool(posthog.events) != bool(code)
    assert not any("language" in event["properties"] for event in posthog.events)
