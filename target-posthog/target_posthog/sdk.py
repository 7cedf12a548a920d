"""The seam to the Singer SDK: every override of a private or final member of it, in one place.

Each override names the function of singer-sdk 0.54.9 that it stands for, so that an upgrade of the
SDK is a review of this file (and of `common.checked_mapper`, which watches over stream maps).
The rest of the package overrides public members only.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from contextlib import suppress
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Target
from singer_sdk.configuration._dict_config import merge_missing_config_jsonschema
from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers.capabilities import ADD_RECORD_METADATA_CONFIG, PluginCapabilities
from singer_sdk.plugin_base import PluginBase
from singer_sdk.singerlib.encoding.base import GenericSingerReader
from singer_sdk.sinks import Sink
from typing_extensions import override

from target_posthog.common.about_text import AboutText
from target_posthog.common.checked_mapper import CheckedMapper
from target_posthog.common.given_settings import (
    from_variables,
    load_variables,
    misspelt_variables,
    not_passed_on,
)
from target_posthog.common.signals import SIGNALS
from target_posthog.errors import (
    BrokenInput,
    FixConfiguration,
    StateNotWritten,
    TargetPosthogError,
)
from target_posthog.settings import SETTINGS, Settings
from target_posthog.validation import checked_config, parts_kept_back

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from target_posthog.model import Json

#: Where a command keeps what it was given as `--config`.
_CONFIG_FILES = "target_posthog.config_files"


def config_files() -> tuple[str, ...]:
    """Return the configuration files of this process's command line."""
    context = click.get_current_context(silent=True)
    return () if context is None else tuple(context.meta.get(_CONFIG_FILES, ()))


class RecordWithoutKey(BrokenInput, MissingKeyPropertiesError):
    """A record lacks what the tap says its key is.

    The key is not what makes the event's uuid. But two records that are equal without it, and so
    have the same uuid, may be two for the tap.

    Args:
        lacking: the names of the fields.
        place: where the record stands, if that can be said.
    """

    def __init__(self, stream: str, lacking: Sequence[str], place: str = "") -> None:
        which = ", ".join(lacking) + (f"; {place}" if place else "")
        super().__init__(
            f"The tap sent a record of the stream {stream} without its key properties ({which}).",
            "Correct the key of the stream in the tap's catalog, and run again.",
        )


class RecordWithoutSchema(BrokenInput, RecordsWithoutSchemaException):
    """A record came of whose stream nothing is known."""


class SingerPlugin(Target):
    """The plugin as its command line knows it: name, settings, `--about`. It opens nothing."""

    name = "target-posthog"
    config_jsonschema = SETTINGS
    capabilities: ClassVar[list[Any]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.BATCH,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    @cached_property
    def settings(self) -> Settings:
        """The settings, once they are checked."""
        return Settings.read(self.config, has_own_rejects=self._has_own_rejects)

    @property
    def program(self) -> str:
        """How the target introduces itself: its name and version."""
        return f"{self.name}/{self.plugin_version}"

    @override
    def setup_mapper(self) -> None:
        self.maps = CheckedMapper(self.config, self.logger)
        self.mapper = self.maps

    # singer_sdk.plugin_base: PluginBase._validate_config, which repeats the values that it refuses.
    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        self.prepare_settings(self._config)
        # Before the default is filled in.
        self._has_own_rejects = bool(self._config.get("rejects_path"))
        lost = list(not_passed_on(self._config, schema, self._env_var_prefix, os.environ))
        return checked_config(self._config, schema, lost=lost, raise_errors=raise_errors)

    def prepare_settings(self, config: dict[str, Any]) -> None:
        """Do what needs the settings as they were given: they are not checked yet.

        A command may change them for its runs.
        """

    # singer_sdk.plugin_base: PluginBase._env_var_config, which ignores misspelt variables.
    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        """Settings from the environment, and beneath it from `.env`, as texts."""
        schema, prefix = cls.config_jsonschema, cls._env_var_prefix
        cls.append_builtin_config(schema)
        load_variables()
        for problem in misspelt_variables(schema, prefix, os.environ):
            raise FixConfiguration(problem, "Correct the name of the variable.")
        for problem in parts_kept_back(schema, prefix, os.environ):
            raise FixConfiguration(problem, "Give the whole object in one of the two.")
        return from_variables(schema, prefix, os.environ)

    # singer_sdk.plugin_base: PluginBase.cb_config, which ends in a traceback.
    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the configuration files; name one that cannot be read."""
        ctx.meta[_CONFIG_FILES] = value
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, ValueError, TypeError) as error:
            raise FixConfiguration(
                f"The configuration in {', '.join(value)} cannot be read: "
                f"{_why_unreadable(error)}.",
                "Give a JSON file with --config.",
            ) from error

    # singer_sdk.plugin_base: PluginBase.print_about, whose text lacks defaults and choices.
    @classmethod
    @override
    def print_about(cls, output_format: str | None = None) -> None:
        """Print every setting with its description."""
        if output_format in {None, "text"}:
            click.echo(AboutText().format_about(cls._get_about_info()))
        else:
            super().print_about(output_format)

    # singer_sdk.target_base: Target.append_builtin_config, which adds `load_method` and
    # `batch_size_rows`; neither can act here.
    @classmethod
    @override
    def append_builtin_config(cls, config_jsonschema: Json) -> None:
        """Offer the SDK's settings that change something here: maps, flattening, metadata."""
        merge_missing_config_jsonschema(ADD_RECORD_METADATA_CONFIG, config_jsonschema)
        PluginBase.append_builtin_config.__func__(cls, config_jsonschema)  # type: ignore[attr-defined] # a class method of the class above Target

    # singer_sdk.plugin_base: PluginBase._handle_termination, which exits at once, and
    # singer_sdk.target_base: Target._handle_termination, which drains before.
    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Stop at once: what PostHog did not accept yet is not in the state."""
        SIGNALS.handle(signum, frame)


class SingerTarget(SingerPlugin):
    """The messages of a tap, one callback for each kind.

    One class, as the SDK looks for each override on the target itself.
    """

    @abstractmethod
    def take_schema(self, message: Json) -> None:
        """Take a SCHEMA message."""

    @abstractmethod
    def take_record(self, message: Json) -> None:
        """Take a RECORD message."""

    @abstractmethod
    def take_batch(self, message: Json) -> None:
        """Take a BATCH message."""

    @abstractmethod
    def take_state(self, state: Any) -> None:
        """Take the value of a STATE message."""

    @abstractmethod
    def deliver_and_write(self, state: Json) -> None:
        """Write a state once everything that came before it is delivered."""

    @abstractmethod
    def save_what_is_safe(self) -> None:
        """Deliver what came before input that cannot be read, and write the state behind it."""

    def require_schema(self, stream: str) -> None:
        """Refuse a record of a stream whose schema did not come.

        Raises:
            RecordWithoutSchema: it did not.
        """
        if not self.sink_exists(stream):
            raise RecordWithoutSchema(
                f"The tap sent a record of the stream {stream} before its schema.",
                "Fix the tap or its catalog, and run again.",
            )

    @property
    def latest_state(self) -> Json:
        """The state that came last."""
        return self._latest_state or {}

    def pass_through_maps(self, message: Json) -> None:
        """Have the SDK pass a record through stream maps, flattening and metadata to its sink."""
        super()._process_record_message(message)

    def print_state(self, state: Json) -> None:
        """Write a state to standard output, unless it was written last.

        Raises:
            StateNotWritten: standard output is closed or full.
        """
        if state == self._drained_state:
            return
        try:
            super()._write_state_message(state)
        except OSError as error:
            raise StateNotWritten(error) from error
        self._drained_state = state

    # singer_sdk.plugin_base: BaseSingerReader.listen, final; nothing else sees a failure of a line.
    @override  # type: ignore[misc] # final
    def listen(self, file_input: IO[str] | None = None) -> None:
        try:
            super().listen(file_input)
        except BrokenInput:
            with suppress(TargetPosthogError):  # the first failure is the one to tell
                self.save_what_is_safe()
            raise

    # singer_sdk.target_base: Target._process_schema_message, which refuses open schemas.
    @override
    def _process_schema_message(self, message_dict: Json) -> None:
        self.take_schema(message_dict)

    # singer_sdk.target_base: Target._process_record_message, one step of `take_record`.
    @override
    def _process_record_message(self, message_dict: Json) -> None:
        self.take_record(message_dict)

    # singer_sdk.target_base: Target._process_batch_message, which decodes whole files.
    @override
    def _process_batch_message(self, message_dict: Json) -> None:
        self.take_batch(message_dict)

    # singer_sdk.target_base: Target._process_state_message, which keeps the last state alone.
    @override
    def _process_state_message(self, message_dict: Json) -> None:
        super()._process_state_message(message_dict)
        self.take_state(message_dict.get("value"))

    # singer_sdk.target_base: Target._process_activate_version_message, which asks sinks to
    # delete what is older.
    @override
    def _process_activate_version_message(self, message_dict: Json) -> None:
        """Pass over it: PostHog keeps every event, so no older version has to go."""

    # singer_sdk.target_base: Target._write_state_message. Every way of the SDK to write a state
    # ends there (drain_all), so none can pass the delivery.
    @override
    def _write_state_message(self, state: Json) -> None:
        self.deliver_and_write(state)

    # singer_sdk.target_base: Target._handle_max_record_age, which drains after five minutes.
    @override
    def _handle_max_record_age(self) -> None:
        """Drain nothing: the delivery lets nothing grow old, and other lines may be on the way."""

    # singer_sdk.target_base: Target._assert_sink_exists, whose error is no `TargetPosthogError`.
    @override
    def _assert_sink_exists(self, stream_name: str) -> None:
        self.require_schema(stream_name)


class SingerSink(Sink):
    """A sink in which nothing waits, and which does nothing to a record but what its class says."""

    @abstractmethod
    def check_key(self, record: Json) -> None:
        """Refuse a record that lacks a part of its key.

        Raises:
            RecordWithoutKey: it does.
        """

    @property
    @override
    def current_size(self) -> int:
        """Nothing waits here: the delivery sends by size, over all streams, in the tap's order."""
        return 0

    @override
    def get_validator(self) -> None:
        """Validate neither schema nor records: the conversion takes any."""

    @override
    def process_batch(self, context: Mapping[str, Any]) -> None:
        """Do nothing; see `current_size`."""

    # singer_sdk.sinks.core: Sink._validate_and_parse, which makes times of texts.
    @override
    def _validate_and_parse(self, record: Json) -> Json:
        """Leave times as texts: the conversion reads them, and a RECORD is never refused."""
        return record

    # singer_sdk.sinks.core: Sink._singer_validate_message, whose error shows the record.
    @override
    def _singer_validate_message(self, record: Json) -> None:
        self.check_key(record)

    # singer_sdk.sinks.core: Sink._after_process_record, which logs the record at level DEBUG.
    @override
    def _after_process_record(self, context: Mapping[str, Any]) -> None:
        """Log nothing."""


class MessageReader(GenericSingerReader[bytes]):
    """Reads lines of messages."""

    @abstractmethod
    def refuse_type(self) -> None:
        """Refuse the message of an unknown type that was read last.

        Raises:
            BrokenInput: always.
        """

    # singer_sdk.singerlib.encoding.base: GenericSingerReader._process_unknown_message, whose error
    # shows the message.
    @override
    def _process_unknown_message(self, message_dict: Json) -> None:
        self.refuse_type()


def _why_unreadable(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        # The SDK's own has no strerror.
        return "there is no such file"
    return getattr(error, "strerror", None) or "it is not a JSON object"
