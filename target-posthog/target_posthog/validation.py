"""All that a user gave: the settings checked, each by itself and beside the others.

No setting is ignored in silence: those that could not act beside the others are refused. All
others act in every format, by either protocol, and in a preview: that shows the run that would be,
and what concerns the sending alone waits for it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from singer_sdk.plugin_base import JSONSchemaValidator

from target_posthog.capture.hosts import app_host, ingestion_host
from target_posthog.capture.project_token import token_in
from target_posthog.capture.protocols import BatchWire, V1Wire
from target_posthog.common.given_settings import (
    LIMITS,
    from_variables,
    limits_of,
    typed,
    types_of,
)
from target_posthog.common.remote_lines import begins_as_address, problem_of
from target_posthog.common.setting_names import unknown_settings
from target_posthog.common.stream_map_checks import stream_map_problems, without_map_parts
from target_posthog.errors import FixConfiguration
from target_posthog.formats.mapping_reader import read_mappings
from target_posthog.posthog.names import ACTING_NAMES, MAX_EVENT_NAME_LENGTH, RESERVED_NAMES
from target_posthog.query.credentials import personal_key_of, project_id_of
from target_posthog.settings import OWN_FORMATS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jsonschema import ValidationError

_PREVIEW_KEY = "phc_preview"
_FLATTENING = ("flattening_max_depth", "flattening_max_key_length", "flattening_separator")
_MAPPING = ("stream_map_config", "faker_config")


_TYPES_IN_WORDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "object": "an object",
    "string": "text",
}


def checked_config(
    config: dict[str, Any],
    schema: Mapping[str, Any],
    *,
    lost: Iterable[str] = (),
    raise_errors: bool,
) -> list[str]:
    """Return everything that is wrong with the settings, after filling in the defaults.

    Raises:
        FixConfiguration: something is wrong, and `raise_errors` is set.
    """
    problems = [*lost, *problems_with(config, schema)]
    if problems and raise_errors:
        raise FixConfiguration(
            " ".join(problems), "`target-posthog --about` explains every setting."
        )
    return problems


def problems_with(config: dict[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with the settings, each in a sentence.

    The SDK's own check shows the value that it refuses; ours does not, it may be a secret. A
    setting that is null or an empty text counts as not set; a text may stand for what the schema
    wants, a truth value for a text. The settings become those of a run, with the defaults.
    """
    given, problems = typed(config, schema)
    config.clear()
    for name, value in given.items():
        types = schema["properties"].get(name, {}).get("type", ())
        is_text = isinstance(value, bool) and "string" in types
        config[name] = str(value).lower() if is_text else _plain(value)
    problems += unknown_settings(config, schema)
    refused = list(JSONSchemaValidator(without_map_parts(schema)).iter_errors(config))
    problems += map(_in_words, refused)
    if all(error.validator in LIMITS for error in refused):
        problems += problems_of(config)
    return problems


def _plain(value: Any) -> Any:
    """Return a value without decimals, which the SDK reads from a file of settings."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _in_words(error: ValidationError) -> str:
    path = ".".join(str(part) for part in error.absolute_path)
    setting = f"`{path}`" if path else "The configuration"
    wanted: Any = error.validator_value
    schema: Any = error.schema
    if error.validator == "required":
        return f"{setting} must have {' and '.join(f'`{name}`' for name in wanted)}."
    if error.validator == "enum":
        choices = [f"`{value}`" for value in wanted if value is not None]
    elif error.validator in LIMITS:
        choices = [limits_of(schema)]
    else:
        choices = [_TYPES_IN_WORDS[name] for name in sorted(types_of(schema))]
    first, last = ", ".join(choices[:-1]), choices[-1]
    return f"{setting} must be {f'{first} or {last}' if first else last}."


def api_key_of(settings: Settings) -> str:
    """Return the project token.

    Raises:
        FixConfiguration: it is missing, or is not one; the error has the reason, and not the value.
    """
    if not settings.api_key and settings.preview_path:
        return _PREVIEW_KEY
    return token_in(settings.api_key)


def problems_of(config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong beyond the types, each as one sentence, without any secret."""
    problems = [
        *_complaints(lambda: api_key_of(Settings.read(config))),
        *_complaints(lambda: ingestion_host(config["host"])),
        *read_mappings(config["streams"])[1],
    ]
    problems += _problems_of_places(config)
    problems += _problems_of_queries(config)
    problems += _rename_problems(config)
    return [*problems, *setting_conflicts(config), *stream_map_problems(config)]


def _rename_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each rename that could only end in rejects, or not act at all."""
    for setting, taken in (("event_names", RESERVED_NAMES), ("property_names", ACTING_NAMES)):
        wanted: dict[str, str] = {}
        for old, new in ((rename["from"], rename["to"]) for rename in config[setting]):
            if new in taken:
                yield f"`{setting}` cannot make {new}: PostHog acts upon that name."
            if setting == "event_names" and not new.strip():
                yield f"`event_names` leaves {old} without a name. `skip_events` leaves it out."
            if setting == "event_names" and len(new) > MAX_EVENT_NAME_LENGTH:
                yield f"`event_names`: PostHog keeps {MAX_EVENT_NAME_LENGTH} letters of a name."
            if wanted.setdefault(old, new) != new:
                yield f"`{setting}` has two names for {old}, of which only one could act."


def _problems_of_places(config: Mapping[str, Any]) -> list[str]:
    problems = []
    if begins_as_address(config.get("preview_path") or ""):
        problems.append("`preview_path` is an address; it must be a folder of this machine.")
    if begins_as_address(config.get("summary_path") or ""):
        problems.append("`summary_path` is an address; it must be a file of this machine.")
    if problem := problem_of(config["rejects_path"]):
        problems.append(
            f"`rejects_path` cannot be used ({problem}): correct it, install its driver, an extra "
            "of the target (`s3`, `gcs` or `azure`), or set it to a folder."
        )
    return problems


def _problems_of_queries(config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the settings of commands that ask; a run needs none of them."""
    checks = {
        "app_host": lambda: app_host(config["app_host"], config["host"]),
        "project_id": lambda: project_id_of(config["project_id"]),
        "personal_api_key": lambda: personal_key_of(config["personal_api_key"]),
    }
    given = [check for name, check in checks.items() if config.get(name)]
    return [problem for check in given for problem in _complaints(check)]


def _complaints(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except FixConfiguration as error:
        return [str(error)]
    return []


def setting_conflicts(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each setting that cannot act beside the others."""
    source_format = config["source_format"]
    for name in ("streams", "unmapped_streams"):
        if config.get(name) and source_format in OWN_FORMATS:
            yield (
                f"`{name}` cannot act with `source_format: {source_format}`: take it out, or set "
                "`source_format` to `auto` or `fields`."
            )
    for name in _FLATTENING:
        if name in config and "flattening_enabled" not in config:
            yield f"`{name}` cannot act without `flattening_enabled`: set that, too."
    for name in _MAPPING:
        if config.get(name) and not config.get("stream_maps"):
            yield f"`{name}` cannot act without `stream_maps`: take it out."
    yield from _free_order_problems(config)
    protocol = config["protocol"]
    most = V1Wire.max_bytes if protocol == "v1" else BatchWire.max_bytes
    if config["max_batch_bytes"] > most:
        yield f"`max_batch_bytes` can be at most {most} with `protocol: {protocol}`."


def _free_order_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Say which settings cannot act beside `free_order`."""
    chosen = config["free_order"]
    if chosen != "none" and config["user_properties"] == "set_once":
        yield (
            "`free_order` cannot act with `user_properties: set_once`: PostHog keeps the values "
            "that arrive first, so hours must go in order."
        )
    if chosen == "collect" and config["remove_batch_files"]:
        yield (
            "`remove_batch_files` cannot act with `free_order: collect`: the files are needed "
            "again, to be sent."
        )


def parts_kept_back(
    schema: Mapping[str, Any], prefix: str, environment: Mapping[str, str]
) -> Iterator[str]:
    """Yield a sentence for each object that Meltano gives to a run whole, to a command in part.

    A run has the object of a variable, and of that in meltano.yml what the variable leaves open. A
    command has the variable, and of each part in meltano.yml a variable whose name, such as
    `STREAMS_ORDERS_EVENT`, no longer says what the part was called.
    """
    if "MELTANO_LOADER_NAME" not in environment:
        return
    given, _ = typed(from_variables(schema, prefix, environment), schema)
    for name, value in given.items():
        if not isinstance(value, dict):
            continue
        whole = f"{prefix}{name.upper()}"
        known = set(_variables_of_parts(value, whole))
        for part in environment:
            if part.startswith(f"{whole}_") and _folded(part) not in known:
                yield (
                    f"`{whole}` is set, and `config` in meltano.yml has more of `{name}` "
                    f"(`{part}`): a run has both, and Meltano passes only the variable on to a "
                    "command."
                )
                break


def _variables_of_parts(value: Mapping[str, Any], above: str) -> Iterator[str]:
    for name, inner in value.items():
        part = f"{above}_{name}"
        yield _folded(part)
        if isinstance(inner, dict):
            yield from _variables_of_parts(inner, part)


def _folded(name: str) -> str:
    """Return the variable of a part; Meltano makes two underscores of an escaped dot, we one."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).upper()
