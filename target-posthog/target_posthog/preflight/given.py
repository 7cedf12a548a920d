"""The settings as they were given: everything that is wrong with them, and what the rest comes to.

A run stops at the first list of problems. Here the settings that fit are used all the same, so
that the other questions can be asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk.plugin_base import JSONSchemaValidator

from target_posthog.common.findings import Finding, Level
from target_posthog.common.given_settings import (
    from_variables,
    misspelt_variables,
    not_passed_on,
)
from target_posthog.common.stream_map_checks import without_map_parts
from target_posthog.validation import checked_config, parts_kept_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_AREA = "settings"
_REMEDY = "`target-posthog --about` explains every setting."


@dataclass(frozen=True)
class Given:
    """What the user set.

    Attributes:
        names: the settings that have a value, in their order.
        config: the settings that a run would have, with the defaults; those that do not fit have
            theirs, too.
        problems: what is wrong, each in a sentence, without values.
    """

    names: tuple[str, ...]
    config: Mapping[str, Any]
    problems: tuple[str, ...]


def read_given(
    given: Mapping[str, Any], schema: Mapping[str, Any], *, problems: tuple[str, ...] = ()
) -> Given:
    """Read settings; see `Given`.

    Args:
        given: as they were given.
        schema: the JSON schema of all settings.
        problems: what is known to be wrong already.
    """
    config = dict(given)
    found = [*problems, *checked_config(config, schema, raise_errors=False)]
    fitting = without_map_parts(schema)
    for error in JSONSchemaValidator(fitting).iter_errors(config):
        if error.absolute_path:
            config.pop(str(error.absolute_path[0]), None)
    # Once more: beside a setting of a wrong type the others were not looked at.
    found += checked_config(config, schema, raise_errors=False)
    names = tuple(name for name, value in given.items() if value not in (None, ""))
    return Given(names, config, tuple(dict.fromkeys(found)))


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
        given: what files say.
        schema: the JSON schema of all settings.
        prefix: of the variables.
        environment: the variables.
        are_asked: the user wants them to count (`--config=ENV`).
    """
    config = dict(given)
    problems: list[str] = []
    if are_asked:
        problems += misspelt_variables(schema, prefix, environment)
        problems += parts_kept_back(schema, prefix, environment)
        config |= from_variables(schema, prefix, environment)
    problems += not_passed_on(config, schema, prefix, environment)
    return config, tuple(problems)


def settings_findings(given: Given, *, told_elsewhere: frozenset[str]) -> Iterator[Finding]:
    """Say what is wrong with the settings, or how many there are.

    Args:
        given: the settings.
        told_elsewhere: problems that other findings tell.
    """
    problems = [problem for problem in given.problems if problem not in told_elsewhere]
    for number, problem in enumerate(problems, start=1):
        yield Finding(_AREA, Level.FIX, problem, _REMEDY if number == len(problems) else "")
    if not problems:
        names = ", ".join(f"`{name}`" for name in given.names)
        told = f"Given: {names}. All are known, fit, and can act beside each other."
        yield Finding(_AREA, Level.OK, told if names else "None is given: all have their defaults.")
