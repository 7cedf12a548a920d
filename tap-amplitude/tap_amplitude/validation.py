"""What is wrong with a configuration, all at once, each with its fix."""

from __future__ import annotations

import ipaddress
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk.plugin_base import JSONSchemaValidator

from tap_amplitude.common.remote_lines import begins_as_address, problem_of
from tap_amplitude.common.setting_names import unknown_settings
from tap_amplitude.common.stream_map_checks import stream_map_problems, without_map_parts
from tap_amplitude.files.clouds import bucket_problems, is_url
from tap_amplitude.files.forms import (
    COPY_AGAIN,
    HEAD_BYTES,
    READ_AS_FILES,
    Form,
    form_of,
    unread_form,
)
from tap_amplitude.files.names import NAMED_LIKE, read_name
from tap_amplitude.settings import SECRETS, date_in
from tap_amplitude.windows import ceil_to_hour, floor_to_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from urllib.parse import SplitResult


def problems(config: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Return what is wrong with a configuration, each with its fix; no value of a secret.

    The defaults are filled in.
    """
    found = list(unknown_settings(config, schema))
    found += [
        _schema_problem(error)
        for error in JSONSchemaValidator(without_map_parts(schema)).iter_errors(config)
    ]
    found += stream_map_problems(config)
    if found:
        # The checks below rely on the types.
        return [_without_secrets(problem, config) for problem in found]
    if config.get("archive_path"):
        found += _archive_problems(config["archive_path"])
    else:
        found += _api_problems(config)
    found += _place_problems(config)
    found += _ratio_problems(config)
    found += _date_problems(config)
    found += _batch_problems(config.get("batch_config") or {})
    return [_without_secrets(problem, config) for problem in found]


def _without_secrets(problem: str, config: Mapping[str, Any]) -> str:
    """Hide a key that stands in the wrong setting, too."""
    for name in SECRETS:
        value = config.get(name)
        if isinstance(value, str) and value.strip():
            problem = problem.replace(value, "***")
    return problem


def _schema_problem(error: Any) -> str:
    name = str(error.path[0]) if error.path else "the configuration"
    if name in SECRETS:
        return f"`{name}` must be text (its value is not shown here)."
    return f"`{name}`: {error.message}."


def _api_problems(config: Mapping[str, Any]) -> Iterable[str]:
    for name in ("api_key", "secret_key"):
        value = config.get(name) or ""
        if not value:
            yield (
                f"`{name}` is missing. Set it to the project's key "
                "(Amplitude: Settings > Projects > General), or set `archive_path`."
            )
        elif value != value.strip() or not value.isascii() or not value.isprintable():
            yield f"`{name}` has blanks or other characters that no key has. Copy it again."
    if not config.get("start_date"):
        yield "`start_date` is missing. Set it to the first day to export, such as 2024-01-01."
    yield from _url_problems(config.get("api_url"))


def _url_problems(url: str | None) -> Iterable[str]:
    if not url:
        return
    parts = http_parts(url)
    if parts is None:
        yield "`api_url` is not a valid URL. It looks like https://analytics.eu.amplitude.com."
    elif parts.username or parts.password or parts.query or parts.fragment:
        yield "`api_url` must hold no user, password, query or fragment. Leave them out."


def _archive_problems(place: str) -> Iterable[str]:
    if is_url(place):
        yield from bucket_problems(place)
        return
    path = Path(place).expanduser()
    fix = "Set it to a .zip file, an exported file, or a folder of them."
    try:
        if not path.exists():
            yield f"`archive_path`: {path} does not exist. {fix}"
        elif path.is_file() and not zipfile.is_zipfile(path):
            yield from _file_problems(path, fix)
        elif path.is_dir() and not any(path.iterdir()):
            yield f"`archive_path`: the folder {path} is empty. {fix}"
    except OSError as error:
        yield f"`archive_path`: {path} cannot be read ({error.strerror}). {fix}"


def _place_problems(config: Mapping[str, Any]) -> Iterable[str]:
    spool, rejects = config.get("spool_path") or "", config.get("rejects_path") or ""
    if begins_as_address(spool):
        yield "`spool_path` is an address. Set it to a folder of this machine."
    if begins_as_address(config.get("summary_path") or ""):
        yield "`summary_path` is an address. Set it to a file of this machine."
    if problem := problem_of(rejects):
        yield (
            f"`rejects_path` cannot be used ({problem}). Correct it, set it to a folder, or "
            "install the driver: an extra of the tap (`s3`, `gcs` or `azure`)."
        )


def _ratio_problems(config: Mapping[str, Any]) -> Iterable[str]:
    # Not the schema's bounds, which NaN is within.
    if not 0 <= config["max_reject_ratio"] <= 1:
        yield "`max_reject_ratio` must be from 0 to 1."


def _file_problems(path: Path, fix: str) -> Iterable[str]:
    """Find what is wrong with the one file that is no whole .zip."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if (form := form_of(head)) not in READ_AS_FILES:
        what, remedy = unread_form(head, is_foreign=True)
        if form is Form.ZIP:
            what, remedy = "its end, where a .zip lists its files, is missing", COPY_AGAIN
        yield (
            f"`archive_path`: {path} is not an export file or a .zip, or is truncated ({what}). "
            f"{remedy} {fix}"
        )
    elif read_name(path.name) is None:
        yield (
            f"`archive_path`: the name of {path} tells no export hour. {NAMED_LIKE} "
            "Give the file its name back."
        )


def _batch_problems(batch: Mapping[str, Any]) -> Iterable[str]:
    is_wanted = batch and (batch.get("encoding") or {}).get("format") != "records"
    root = (batch.get("storage") or {}).get("root") if is_wanted else None
    if root and begins_as_address(root) and (problem := problem_of(root)):
        yield f"`batch_config.storage.root` cannot be used ({problem})."
    if is_wanted and not root:
        yield (
            "`batch_config` has no `storage.root`. Set it to a folder, such as file:///var/batch, "
            "or to the address of a bucket."
        )


def _date_problems(config: Mapping[str, Any]) -> Iterable[str]:
    dates = {name: date_in(config, name) for name in ("start_date", "end_date") if config.get(name)}
    for name, moment in dates.items():
        if moment is None:
            yield (
                f"`{name}` is {config[name]!r}, which is not a valid date. "
                "Write it like 2024-01-31 or 2024-01-31T05:00:00Z."
            )
    start, end = dates.get("start_date"), dates.get("end_date")
    if start and end and floor_to_hour(start) >= ceil_to_hour(end):
        yield "`start_date` is not before `end_date`, so there is nothing to export. Swap them?"


def rounded_dates(config: Mapping[str, Any]) -> Iterable[str]:
    """Yield a sentence for each date of a valid configuration that is not on the hour."""
    for name, to_hour in (("start_date", floor_to_hour), ("end_date", ceil_to_hour)):
        moment = date_in(config, name)
        if moment and moment != to_hour(moment):
            yield (
                f"Amplitude exports whole hours: `{name}` counts as "
                f"{to_hour(moment):%Y-%m-%dT%H:00Z}."
            )


def http_parts(url: str) -> SplitResult | None:
    """Return the parts of a URL of http or https; None when it is not a valid one."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_valid else None


def sends_keys_in_clear(url: str) -> bool:
    """Return True if a URL is plain http to another machine."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True
