"""The settings as a check sees them: everything that is wrong, and what the rest comes to.

A run stops at the list of problems. Here the settings that fit are used all the same, so that the
other questions can be asked.
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
    typed,
)
from target_posthog.common.stream_map_checks import without_map_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

_AREA = "settings"


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


def read_given(
    given: Mapping[str, Any],
    schema: dict[str, Any],
    problems_of: Callable[[dict[str, Any], dict[str, Any]], Collection[str]],
    *,
    known: Collection[str] = (),
) -> Given:
    """Read settings; see `Given`.

    `problems_of` returns what is wrong with settings of a schema, after filling in the defaults;
    `known` is what is known to be wrong already.
    """
    config, unreadable = typed(given, schema)
    names = tuple(config)
    found = [*known, *unreadable, *problems_of(config, schema)]
    for error in JSONSchemaValidator(without_map_parts(schema)).iter_errors(config):
        if error.absolute_path:
            config.pop(str(error.absolute_path[0]), None)
    config = {name: value for name, value in config.items() if name in schema["properties"]}
    # Once more: beside a setting of a wrong type the others were not looked at.
    found += problems_of(config, schema)
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

    `given` is what files say. Variables count if the user wants them to (`--config=ENV`).
    """
    config = dict(given)
    problems: list[str] = []
    if are_asked:
        problems += misspelt_variables(schema, prefix, environment)
        config |= from_variables(schema, prefix, environment)
    problems += not_passed_on(config, schema, prefix, environment)
    return config, tuple(problems)


def settings_findings(
    given: Given, plugin: str, *, found_elsewhere: Collection[str] = ()
) -> Iterator[Finding]:
    """Say what is wrong with the settings, or which there are.

    Problems that other findings tell (`found_elsewhere`) are left out.
    """
    problems = [problem for problem in given.problems if problem not in found_elsewhere]
    for number, problem in enumerate(problems, start=1):
        is_last = number == len(problems)
        remedy = f"`{plugin} --about` explains every setting." if is_last else ""
        yield Finding(_AREA, Level.FIX, problem, remedy)
    if not problems:
        names = ", ".join(f"`{name}`" for name in given.names)
        fit = f"Given: {names}. All are known, fit, and can act beside each other."
        yield Finding(_AREA, Level.OK, fit if names else "None is given: all have their defaults.")
