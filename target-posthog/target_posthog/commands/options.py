"""What the commands beside the target share: its settings, as a run sees them, and their end."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from target_posthog.cli import run
from target_posthog.common.checked_settings import given_by_variables, read_given
from target_posthog.common.given_settings import load_variables
from target_posthog.common.log_filters import leave_out_unknown_levels
from target_posthog.common.signals import SIGNALS
from target_posthog.errors import FixConfiguration
from target_posthog.posthog.times import any_time
from target_posthog.sdk import SingerPlugin
from target_posthog.validation import parts_kept_back, problems_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_posthog.common.checked_settings import Given
    from target_posthog.settings import Settings

_HOUR = len("2024-01-31T05")
#: As the commands themselves write hours.
_BARE_HOUR = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\dZ?", re.ASCII)


def plugin_command(name: str) -> Callable[[Callable[..., int]], click.Command]:
    """Return what makes a command of a function: with `--config` as the target has it.

    The function returns the exit code (see `errors`).
    """

    def made(function: Callable[..., int]) -> click.Command:
        with_config = click.option(
            "--config",
            multiple=True,
            is_eager=True,
            callback=SingerPlugin.cb_config,
            help="The target's configuration file, or 'ENV' for environment variables.",
        )(function)
        with_version = click.version_option(package_name=SingerPlugin.name)(with_config)
        return click.command(name, context_settings={"help_option_names": ["--help"]})(with_version)

    return made


def settings_of(config: Any) -> Settings:
    """Return the settings that a run would have.

    Raises:
        FixConfiguration: they do not fit, each problem in a sentence.
    """
    return SingerPlugin(**arguments_of(config)).settings


def arguments_of(config: Any) -> dict[str, Any]:
    """Return what makes a plugin whose settings are those that a command was given."""
    given = {"config": config.config, "parse_env_config": config.parse_env}
    return {**given, "validate_config": True}


def given_of(config: Any) -> Given:
    """Return the settings as they were given, and all that is wrong with them."""
    schema = SingerPlugin.config_jsonschema
    prefix = SingerPlugin._env_var_prefix  # noqa: SLF001 - the SDK has no other name for it
    SingerPlugin.append_builtin_config(schema)
    problems: list[str] = []
    if config.parse_env:
        load_variables()
        problems += parts_kept_back(schema, prefix, os.environ)
    given, wrong = given_by_variables(
        config.config, schema, prefix, os.environ, are_asked=config.parse_env
    )
    return read_given(given, schema, problems_with, known=[*problems, *wrong])


def hour_of(
    context: click.Context, option: click.Parameter, value: str | None, *, is_bound: bool = True
) -> str:
    """Return the hour that an option names, `2024-01-31T05`; empty for none. A click callback.

    For the bound of a range a day is its first hour, and an empty text is no bound.

    Raises:
        FixConfiguration: it is not an hour.
    """
    del context
    if value is None or (is_bound and not value):
        return ""
    text = value.strip()
    is_day = len(text) == len("2024-01-31")
    moment = any_time(f"{text.rstrip('Z')}:00:00Z" if _BARE_HOUR.fullmatch(text) else text)
    if moment is None or moment[_HOUR:] != ":00:00.000000Z" or (is_day and not is_bound):
        example = "2024-01-31 or 2024-01-31T05:00:00Z" if is_bound else "2024-01-31T05"
        raise FixConfiguration(f"{option.opts[0]} is not an hour.", f"Write it like {example}.")
    return moment[:_HOUR]


def program_of(command: click.Command) -> Callable[[], NoReturn]:
    """Return what runs a command as a process, and leaves with its exit code."""

    def main() -> NoReturn:
        os.umask(0o077)  # see `__main__`
        SIGNALS.listen()
        leave_out_unknown_levels(SingerPlugin.name)
        # To ask for its own command is how the SDK sets up its log, as for a run.
        _ = SingerPlugin.cli
        sys.exit(run(command, SingerPlugin.name, reads_a_tap=False))

    return main
