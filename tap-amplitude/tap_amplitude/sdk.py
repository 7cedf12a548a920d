"""The seam to the Singer SDK: what is overridden of its private and final members.

Each override names the function of singer-sdk 0.54.9 that it answers to, so that an upgrade is a
review of this file, however long it is. What both plugins need of the SDK stands in `common/`
(`about_text`, `checked_mapper`, `log_filters`).
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Stream, Tap
from singer_sdk.exceptions import AbortedSyncExceptionBase
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.singerlib import RecordMessage, StateMessage
from typing_extensions import override

from tap_amplitude.common.about_text import AboutText
from tap_amplitude.common.given_settings import (
    from_variables,
    load_variables,
    misspelt_variables,
    not_passed_on,
    typed,
)
from tap_amplitude.common.log_filters import is_no_chatter
from tap_amplitude.common.quantities import count
from tap_amplitude.common.signals import SIGNALS, StoppedBySignal
from tap_amplitude.errors import FixConfiguration, TapError
from tap_amplitude.given_files import checked_file, read_object
from tap_amplitude.output.messages import MessageWriter
from tap_amplitude.settings import Settings
from tap_amplitude.summary import Summary
from tap_amplitude.validation import problems

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Generator, Iterator, Mapping
    from types import FrameType

    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig, SDKBatchMessage
    from singer_sdk.helpers.types import Context, Record


class SdkTap(Tap):
    """A tap as the SDK runs it, from the command line to the last stream."""

    @cached_property
    def settings(self) -> Settings:
        """The settings, once they are checked."""
        return Settings.read(self.config)

    @property
    def user_agent(self) -> str:
        """How the tap introduces itself to Amplitude."""
        return f"{self.name}/{self.plugin_version}"

    def before_sync(self) -> None:
        """Do what comes before the first stream."""

    def after_sync(self) -> None:
        """Do what comes after the last stream."""

    # tap_base.Tap.sync_all, final: there is no other place before the first stream.
    @override  # type: ignore[misc]
    def sync_all(self) -> None:
        self.before_sync()
        super().sync_all()
        writer = self.message_writer
        if isinstance(writer, MessageWriter) and writer.lacks_state:
            # So that its reader knows that this was all, also where there was nothing to read.
            writer.write_message(StateMessage(value=self.state))
        self.after_sync()

    # tap_base.Tap.run_connection_test, final: it tests every stream, selected or not.
    @override  # type: ignore[misc]
    def run_connection_test(self) -> bool:
        """Ask for one record of each selected stream; return True, or raise."""
        selected = [stream for stream in self.streams.values() if stream.selected]
        return self.run_sync_dry_run(dry_run_record_limit=1, streams=selected)

    # plugin_base.PluginBase._validate_config: it stops at what a schema can express, and repeats
    # the values of secrets.
    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        if summary := _summary():
            summary.begin(self._config)
        lost = list(not_passed_on(self._config, schema, self._env_var_prefix, os.environ))
        self._config, unreadable = typed(self._config, schema)
        found = [*lost, *unreadable, *problems(self._config, schema)]
        if found and raise_errors:
            numbered = [f"({number}) {problem}" for number, problem in enumerate(found, start=1)]
            raise FixConfiguration(
                f"The configuration has {count(len(found), 'problem')}: "
                f"{' '.join(numbered if len(found) > 1 else found)}",
                remedy="`tap-amplitude --about` explains every setting.",
            )
        return found

    # tap_base.Tap._handle_termination: it writes the state and exits with 0. But the run is not
    # complete, a message may be half-written, and the state of every whole hour is already out.
    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Stop on Ctrl-C or SIGTERM, with exit code 1."""
        SIGNALS.handle(signum, frame)

    # plugin_base.PluginBase._env_var_config: it reads values as JSON, and lets `.env` win.
    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        """Settings from the environment, and beneath it from `.env`, as texts."""
        schema = cls.config_jsonschema
        cls.append_builtin_config(schema)
        load_variables()
        for problem in misspelt_variables(schema, cls._env_var_prefix, os.environ):
            raise FixConfiguration(problem, remedy="Correct the name of the variable.")
        return from_variables(schema, cls._env_var_prefix, os.environ)

    # plugin_base.PluginBase.print_about, by _get_about_info: it leaves out the descriptions.
    @classmethod
    @override
    def print_about(cls, output_format: str | None = None) -> None:
        if output_format in {None, "text"}:
            click.echo(AboutText().format_about(cls._get_about_info()))
        else:
            super().print_about(output_format)

    # plugin_base.PluginBase.cb_config, by _ConfigInput: it fails with a traceback.
    @classmethod
    @override
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        """Read the files of `--config`, later ones over earlier ones."""
        given = _ConfigInput(parse_env="ENV" in value)
        for name in value:
            if name != "ENV":
                # Once only: `--config <(…)` is a pipe, which cannot be read again.
                given.config |= read_object(Path(name), "--config")
        return given

    # tap_base.Tap.invoke: it reads both files without a word about what is wrong with them.
    @classmethod
    @override
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        super().invoke(
            about=about,
            about_format=about_format,
            config=config,
            state=checked_file(state, "--state"),
            catalog=checked_file(catalog, "--catalog"),
        )


def _summary() -> Summary | None:
    """Return the summary of this process, which `cli` writes at every exit; only a run has one."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.find_object(Summary)


class SdkStream(Stream):
    """A stream of records that keep their fields and types, whose failures say what is saved."""

    # streams.core.Stream._generate_record_messages: it would drop fields that the schema lacks.
    # (Conforming would also be the most expensive step of the tap.)
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    _tap: SdkTap

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap)
        self.logger.addFilter(_is_news)

    @property
    def settings(self) -> Settings:
        """The settings of the tap."""
        return self._tap.settings

    def saved(self) -> str:
        """Return what is safe when the run fails now."""
        raise NotImplementedError

    @contextmanager
    def saying_what_is_saved(self) -> Iterator[None]:
        """Complete failures by what is safe."""
        try:
            yield
        except (TapError, StoppedBySignal) as failure:
            failure.saved = self.saved()
            raise

    # streams.core.Stream._sync_records: everything that a stream of records raises passes here.
    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        with self.saying_what_is_saved():
            yield from super()._sync_records(context, write_messages=write_messages)

    # streams.core.Stream._sync_batches: the same for BATCH messages.
    @override
    def _sync_batches(self, batch_config: BatchConfig, context: Context | None = None) -> None:
        with self.saying_what_is_saved():
            super()._sync_batches(batch_config, context)

    # streams.core.Stream.get_batch_config: it would offer BATCH files of the SDK's own making,
    # which decodes and encodes every record once more.
    @override
    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:
        return None


class WholeHoursStream(SdkStream):
    """A stream whose state is written when the last record of an hour is out.

    The SDK's bookmarks hold the replication key of a record. They do not fit here: events of one
    export hour come in any order, and an hour without events must move the bookmark, too. So the
    SDK's bookkeeping of record keys is switched off.
    """

    # streams.core.Stream._sync_records writes a STATE after so many records.
    STATE_MSG_FREQUENCY = sys.maxsize

    #: Whether `write_files` writes the messages when nothing changes the records.
    writes_files: ClassVar[bool] = False

    @cached_property
    def observe(self) -> Callable[[Record], Mapping[str, Any]]:
        """Looks at a record before it is written; returns the schemas of fields that are new."""
        raise NotImplementedError

    def write_files(self, writer: MessageWriter) -> Iterator[int]:
        """Write all records of the run; yield how many there were in each file."""
        raise NotImplementedError

    def batch_message(self, message: SDKBatchMessage) -> SDKBatchMessage:
        """Return a BATCH message as it is to be written."""
        return message

    @cached_property
    def goes_out_unchanged(self) -> bool:
        """Whether no selection, stream map or flattening touches the records."""
        maps = self.stream_maps
        return (
            len(maps) == 1
            and type(maps[0]) is SameRecordTransform
            and not maps[0].flattening_enabled
            and all(self.mask.values())
        )

    def look_at(self, record: Record) -> None:
        """Have the schema name the record's fields before the record is written."""
        if new := self.observe(record):
            self._add_to_schema(new)

    # streams.core.Stream._write_schema_message is private; stream_maps remembers the maps.
    def _add_to_schema(self, new: Mapping[str, Any]) -> None:
        """Write the SCHEMA again, with new fields; a deselected one stays out."""
        selected = {name: kind for name, kind in new.items() if self.mask["properties", name]}
        if not selected:
            return
        raw = self.stream_maps[0].raw_schema
        schema = {**raw, "properties": {**raw["properties"], **selected}}
        self._tap.mapper.register_raw_stream_schema(self.name, schema, self.primary_keys)
        self._stream_maps = None
        self._write_schema_message()

    # streams.core.Stream._sync_records: it looks at each record several times, which costs as much
    # as reading the record.
    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        writer = self._tap.message_writer
        if (
            self.writes_files
            and write_messages
            and self.selected
            and self.goes_out_unchanged
            and self.ABORT_AT_RECORD_COUNT is None
            and isinstance(writer, MessageWriter)
        ):
            counter, timer = self.get_record_counter(), self.get_sync_timer()
            with self.saying_what_is_saved(), counter, timer:
                for records in self.write_files(writer):
                    counter.increment(records)
            return
        try:
            yield from super()._sync_records(context, write_messages=write_messages)
        except AbortedSyncExceptionBase:
            # A record limit is reached: the records up to it still wait for a block to fill up.
            if isinstance(writer, MessageWriter):
                writer.flush()
            raise

    # streams.core.Stream._generate_record_messages: its steps change nothing in most runs.
    @override
    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        self.look_at(record)
        if not self.goes_out_unchanged:
            yield from super()._generate_record_messages(record)
            return
        yield RecordMessage(self.name, record, time_extracted=datetime.now(timezone.utc))

    # streams.core.Stream._generate_batch_messages: the SDK's message has no other place.
    @override
    def _generate_batch_messages(
        self, encoding: BaseBatchFileEncoding, manifest: list[str]
    ) -> Generator[SDKBatchMessage, None, None]:
        yield from map(self.batch_message, super()._generate_batch_messages(encoding, manifest))

    # streams.core.Stream._write_starting_replication_value
    @override
    def _write_starting_replication_value(self, context: Context | None) -> None:
        """Leave the state alone."""

    # streams.core.Stream._increment_stream_state
    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        """Leave the state alone: a record says nothing about its hour being whole."""

    # streams.core.Stream._write_state_message
    @override
    def _write_state_message(self) -> None:
        """Write no state between two hours."""

    # streams.core.Stream._process_record
    @override
    def _process_record(
        self,
        record: Record,
        child_context: Context | None = None,
        partition_context: Context | None = None,
    ) -> None:
        """Do nothing: there are no child streams, and the SDK would copy each record for them."""


class DaysStream(SdkStream):
    """A stream whose replication key is a day, some of which come again."""

    def write_state(self) -> None:
        """Write a STATE, if it changed."""
        self._write_state_message()

    # streams.core.Stream._increment_stream_state: it fails at a day that `lookback_hours` brings
    # again, or moves back to it.
    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        key = str(self.replication_key)
        if latest_record[key] > str(self.stream_state.get("replication_key_value") or ""):
            super()._increment_stream_state(latest_record, context=context)

    # streams.core.Stream._write_starting_replication_value: it takes a `start_date` that is later
    # than the day of the state for one that is done.
    @override
    def _write_starting_replication_value(self, context: Context | None) -> None:
        state = self.stream_state
        state.pop("starting_replication_value", None)
        if done := state.get("replication_key_value"):
            state["starting_replication_value"] = done


# streams.core.Stream.sync: it logs every failure as an "unhandled error", also one that is handled.
def _is_news(record: logging.LogRecord) -> bool:
    return is_no_chatter(record) and not (
        isinstance(sys.exc_info()[1], (TapError, AbortedSyncExceptionBase))
        and str(record.msg).startswith("An unhandled error occurred while syncing")
    )
