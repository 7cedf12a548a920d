"""The settings as they were given: everything that is wrong with them, and what the rest comes to.

A run stops at the list of problems. Here the settings that fit are used all the same, so that the
other questions can be asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk.plugin_base import JSONSchemaValidator

from tap_amplitude.common.findings import Finding, Level
from tap_amplitude.common.given_settings import (
    from_variables,
    misspelt_variables,
    not_passed_on,
    typed,
)
from tap_amplitude.common.stream_map_checks import without_map_parts
from tap_amplitude.validation import problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_AREA = "settings"
_REMEDY = "`tap-amplitude --about` explains every setting."
#: Settings without which Amplitude cannot be asked.
_KEYS = ("api_key", "secret_key")
#: Settings without which nobody knows which hours to ask for.
_DATES = ("start_date", "end_date")


@dataclass(frozen=True)
class Given:
    """What the user set.

    Attributes:
        names: The settings that have a value, in their order.
        config: The settings that a run would have, with the defaults; those that do not fit have
            theirs, too.
        problems: What is wrong, each in a sentence or two, without secrets.
    """

    names: tuple[str, ...]
    config: Mapping[str, Any]
    problems: tuple[str, ...]

    def is_wrong(self, *names: str) -> bool:
        """Return True if something is wrong with one of some settings."""
        begins = tuple(f"`{name}`" for name in names)
        return any(problem.startswith(begins) for problem in self.problems)

    @property
    def has_keys(self) -> bool:
        """Whether Amplitude can be asked."""
        set_keys = all(self.config.get(name) for name in _KEYS)
        return set_keys and not self.is_wrong(*_KEYS, "api_url", "region")

    @property
    def has_dates(self) -> bool:
        """Whether the range is known; exported files need no dates."""
        needs_start = not self.config.get("archive_path")
        return not self.is_wrong(*_DATES) and bool(self.config.get("start_date") or not needs_start)


def read_given(
    given: Mapping[str, Any], schema: Mapping[str, Any], *, told: tuple[str, ...] = ()
) -> Given:
    """Read settings; see `Given`.

    Args:
        given: As they were given.
        schema: The JSON schema of all settings.
        told: What is known to be wrong already.
    """
    config, unreadable = typed(given, schema)
    names = tuple(config)
    schema = dict(schema)
    found = [*told, *unreadable, *problems(config, schema)]
    for error in JSONSchemaValidator(without_map_parts(schema)).iter_errors(config):
        if error.absolute_path:
            config.pop(str(error.absolute_path[0]), None)
    known = {name: value for name, value in config.items() if name in schema["properties"]}
    # Once more: beside a setting of a wrong type the others were not looked at.
    found += problems(known, schema)
    return Given(names, known, tuple(dict.fromkeys(found)))


def given_by_variables(
    given: Mapping[str, Any],
    schema: Mapping[str, Any],
    prefix: str,
    environment: Mapping[str, str],
    *,
    are_asked: bool,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the settings with what variables say of them, and what is wrong with the variables.

    Args:
        given: What files say.
        schema: The JSON schema of all settings.
        prefix: Of the variables.
        environment: The variables.
        are_asked: The user wants them to count (`--config=ENV`).
    """
    config = dict(given)
    found: list[str] = []
    if are_asked:
        found += misspelt_variables(schema, prefix, environment)
        config |= from_variables(schema, prefix, environment)
    found += not_passed_on(config, schema, prefix, environment)
    return config, tuple(found)


def settings_findings(given: Given) -> Iterator[Finding]:
    """Say what is wrong with the settings, or which there are.

    Args:
        given: The settings.
    """
    for number, problem in enumerate(given.problems, start=1):
        yield Finding(_AREA, Level.FIX, problem, _REMEDY if number == len(given.problems) else "")
    if not given.problems:
        names = ", ".join(f"`{name}`" for name in given.names)
        told = f"Given: {names}. All are known, fit, and can act beside each other."
        yield Finding(_AREA, Level.OK, told if names else "None is given: all have their defaults.")
