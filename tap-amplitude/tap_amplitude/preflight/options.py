"""The options of the tap's command that ask before a run, and write no event."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any

import click
from singer_sdk.plugin_base import _ConfigInput

from tap_amplitude.common.checked_settings import given_by_variables, read_given
from tap_amplitude.common.findings import as_json, as_text, exit_code_of
from tap_amplitude.common.given_settings import load_variables
from tap_amplitude.given_files import checked_file
from tap_amplitude.settings import Settings
from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.state.given_state import checked_state
from tap_amplitude.streams.events import EventsStream
from tap_amplitude.streams.merged_ids import MergedIdsStream
from tap_amplitude.tap import TapAmplitude
from tap_amplitude.validation import problems

if TYPE_CHECKING:
    from tap_amplitude.common.checked_settings import Given

_TEST = "--test"
_OFF = "disabled"
_SCHEMAS = "schema"
_CHECKS = {"all": False, "json": True}
_ESTIMATE = "--estimate"
#: So many hours of the day there are.
_USUAL_SAMPLES = 24
_MOST_SAMPLES = 500


def with_checks(command: click.Command) -> click.Command:
    """Have the tap's command check what it is given, where the SDK would write events.

    The option `--test` of the SDK's command is changed.
    """
    option = next(option for option in command.params if _TEST in option.opts)
    schema_test, option.callback, option.expose_value = option.callback, None, True
    option.help = (
        "Check everything that can be known before the first event, without writing one; "
        "--test=json for a machine. --test=schema writes the schemas of all streams."
    )
    command.params.append(
        click.Option(
            [_ESTIMATE],
            type=click.IntRange(2, _MOST_SAMPLES),
            is_flag=False,
            flag_value=_USUAL_SAMPLES,
            help="Print as JSON what some hours of the range weigh, one request each (by default "
            f"{_USUAL_SAMPLES}), for target-posthog-estimate.",
        )
    )
    run = command.callback
    assert run is not None  # noqa: S101 - the SDK has set both
    assert schema_test is not None  # noqa: S101

    def invoke(*, test: str, estimate: int | None, **options: Any) -> Any:
        if estimate is not None:
            return _estimate(options.get("config"), options.get("state"), estimate)
        if test == _OFF:
            return run(**options)
        if test in _CHECKS:
            return _check(
                options.get("config"),
                options.get("state"),
                options.get("catalog"),
                is_json=_CHECKS[test],
            )
        if test == _SCHEMAS:
            return schema_test(click.get_current_context(), option, test)
        raise click.BadOptionUsage(_TEST, f"{_TEST} takes json or schema, or nothing.")

    command.callback = invoke
    return command


def _check(
    config: _ConfigInput | None,
    state: IO[str] | None,
    catalog: IO[str] | None,
    *,
    is_json: bool,
) -> int:
    from tap_amplitude.preflight.check import check  # noqa: PLC0415 - no run needs it

    known = _bookmarks_in(state)
    findings = list(
        check(
            given_of(config or _ConfigInput()),
            known.get(EventsStream.name),
            datetime.now(timezone.utc),
            _user_agent(),
            has_state=state is not None,
            selected=_selected_in(catalog),
            merges=known.get(MergedIdsStream.name),
        )
    )
    if is_json:
        click.echo(json.dumps(as_json(findings), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(findings, colours="NO_COLOR" not in os.environ))
    return exit_code_of(findings)


def _estimate(config: _ConfigInput | None, state: IO[str] | None, most: int) -> int:
    from tap_amplitude.preflight.estimate import (  # noqa: PLC0415 - no run needs it
        estimate_files,
        estimate_project,
    )

    given = config or _ConfigInput()
    tap = TapAmplitude(config=given.config, parse_env_config=given.parse_env, setup_mapper=False)
    settings, now = Settings.read(tap.config), datetime.now(timezone.utc)
    bookmark = _bookmarks_in(state).get(EventsStream.name)
    if settings.archive_path is None:
        weights = estimate_project(bookmark, settings, now, _user_agent(), most)
    else:
        weights = estimate_files(bookmark, settings, now, most)
    click.echo(json.dumps(weights, indent=2, ensure_ascii=False))
    return 0


def _user_agent() -> str:
    return f"{TapAmplitude.name}/{TapAmplitude.plugin_version}"


def _bookmarks_in(file: IO[str] | None) -> dict[str, Bookmark | None]:
    """Return what a state remembers of each stream with hours.

    The state is one of the tap's, or as `meltano state get` writes it.
    """
    text = checked_file(file, "--state")
    if text is None:
        return {}
    content = json.load(text)
    known = checked_state(content.get("singer_state", content)).get("bookmarks", {})
    names = (EventsStream.name, MergedIdsStream.name)
    return {name: Bookmark.from_state(known.get(name, {})) for name in names}


def _selected_in(file: IO[str] | None) -> frozenset[str]:
    """Return the names of the streams that a run with this catalog reads."""
    from tap_amplitude.preflight.selection import selected_streams  # noqa: PLC0415 - as above

    text = checked_file(file, "--catalog")
    tap = TapAmplitude(config={}, validate_config=False, setup_mapper=False)
    return selected_streams(
        {stream.name: stream.selected_by_default for stream in tap.discover_streams()},
        None if text is None else json.load(text),
    )


def given_of(config: _ConfigInput) -> Given:
    """Return the settings as a run would have them, and all that is wrong with them."""
    schema = TapAmplitude.config_jsonschema
    TapAmplitude.append_builtin_config(schema)
    if config.parse_env:
        load_variables()
    given, found = given_by_variables(
        config.config,
        schema,
        TapAmplitude._env_var_prefix,  # noqa: SLF001 - the SDK has no other name for it
        os.environ,
        are_asked=config.parse_env,
    )
    return read_given(given, schema, problems, known=found)
