"""The tap: its settings, its streams, and what it is given on the command line."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Stream, Tap
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import _ConfigInput

from tap_amplitude.common.about_text import AboutText
from tap_amplitude.common.checked_mapper import CheckedMapper
from tap_amplitude.common.given_settings import (
    from_variables,
    load_variables,
    misspelt_variables,
    not_passed_on,
    typed,
)
from tap_amplitude.errors import FixConfiguration, Stopped
from tap_amplitude.output.messages import MessageWriter
from tap_amplitude.settings import SETTINGS, Settings
from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.state.notes import count
from tap_amplitude.streams.base import HourlyStream
from tap_amplitude.streams.daily import FIGURES
from tap_amplitude.streams.events import EventsStream
from tap_amplitude.streams.lists import LISTS, Project, ProjectStream
from tap_amplitude.streams.merged_ids import MergedIdsStream
from tap_amplitude.streams.reject_share import RejectLimit, RejectShare
from tap_amplitude.validation import problems

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from singer_sdk.helpers.capabilities import CapabilitiesEnum


class TapAmplitude(Tap):
    """Raw events of an Amplitude project: every event of every export hour, nothing twice."""

    name = "tap-amplitude"
    config_jsonschema: ClassVar[dict[str, Any]] = SETTINGS.to_dict()
    message_writer_class = MessageWriter

    # Without ACTIVATE_VERSION: events are only ever added, no version replaces another.
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.BATCH,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def discover_streams(self) -> Sequence[Stream]:
        """Give the streams of the tap."""
        project = Project(self)
        return [
            EventsStream(self),
            MergedIdsStream(self),
            *(stream(self, project) for stream in (*LISTS, *FIGURES)),
        ]

    @property
    def streams(self) -> dict[str, Stream]:
        """The streams by name; events first, so that nothing else can keep them waiting."""
        found = super().streams
        name = EventsStream.name
        return {name: found[name]} | found if name in found else found

    # Final in the SDK, which has no other place before the first stream.
    def sync_all(self) -> None:  # type: ignore[misc]
        """Sync what is selected; refuse, before hours are exported, what cannot be read.

        Raises:
            TapError: A selected stream lacks a setting, or cannot be read; or the run is done, and
                too many lines were rejected.
        """
        for stream in self.streams.values():
            if stream.selected and isinstance(stream, ProjectStream):
                stream.check_needs()
        super().sync_all()
        RejectLimit(Settings.read(self.config)).stop_at_the_end(self._reject_shares())

    # Final in the SDK, which would test every stream, selected or not.
    def run_connection_test(self) -> bool:  # type: ignore[misc]
        """Ask for one record of each selected stream, not of each that there is.

        Returns:
            Whether it worked; it raises when it did not.
        """
        selected = [stream for stream in self.streams.values() if stream.selected]
        return self.run_sync_dry_run(dry_run_record_limit=1, streams=selected)

    def _reject_shares(self) -> list[RejectShare]:
        hourly = [one for one in self.streams.values() if isinstance(one, HourlyStream)]
        return [stream.reject_share for stream in hourly if stream.reject_share is not None]

    def setup_mapper(self) -> None:
        """Make the stream maps.

        Raises:
            FixConfiguration: they do not fit the streams that there are.
        """
        mapper = CheckedMapper(self.config, self.logger)
        self.mapper = mapper
        mapper.register_raw_streams_from_catalog(self.catalog)
        vain = [key for key, _ in mapper.sources() if key not in mapper.met]
        if vain:
            streams = ", ".join(sorted(one.tap_stream_id for one in self.catalog.streams))
            raise FixConfiguration(
                f"`stream_maps` has an entry for {', '.join(vain)}, and there is no such stream.",
                remedy=f"There are {streams}.",
            )

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the state of the last run.

        Args:
            state: A Singer state; an empty one starts at `start_date`.

        Raises:
            FixConfiguration: It is no state of this tap. Starting over by itself would export
                everything again.
        """
        checked = checked_state(state)
        super().load_state(checked)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings.

        Unlike the SDK's check, this one finds mistakes that no schema can express, and never
        repeats the value of a secret.
        """
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        prefix = self._env_var_prefix
        lost = list(not_passed_on(self._config, schema, prefix, os.environ))
        self._config, unreadable = typed(self._config, schema)
        found = [*lost, *unreadable, *problems(self._config, schema)]
        if not raise_errors:
            return found
        if found:
            told = (
                found[0]
                if len(found) == 1
                else " ".join(
                    f"({number}) {problem}" for number, problem in enumerate(found, start=1)
                )
            )
            raise FixConfiguration(
                f"The configuration has {count(len(found), 'problem')}: {told}",
                remedy="`tap-amplitude --about` explains every setting.",
            )
        return found

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop on Ctrl-C or SIGTERM, with exit code 1.

        The SDK writes the state here and exits with 0. But the run is not complete, and a handler
        may interrupt a message half-written. The state of every whole hour is already out.
        """
        stop = Stopped(signal.Signals(signum).name)
        writer = getattr(self, "message_writer", None)  # not yet there while the tap is made
        if not (isinstance(writer, MessageWriter) and writer.defer(stop)):
            raise stop

    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        """Settings from the environment, and beneath it from `.env`, as texts."""
        schema = cls.config_jsonschema
        cls.append_builtin_config(schema)
        load_variables()
        for problem in misspelt_variables(schema, cls._env_var_prefix, os.environ):
            raise FixConfiguration(problem, remedy="Correct the name of the variable.")
        return from_variables(schema, cls._env_var_prefix, os.environ)

    @classmethod
    def print_about(cls, output_format: str | None = None) -> None:
        """Print every setting with what it is for."""
        if output_format in {None, "text"}:
            click.echo(AboutText().format_about(cls._get_about_info()))
        else:
            super().print_about(output_format)

    @classmethod
    def cb_config(
        cls,
        ctx: click.Context,  # noqa: ARG003
        param: click.Option,  # noqa: ARG003
        value: tuple[str, ...],
    ) -> _ConfigInput:
        """Read the files of `--config`, later ones over earlier ones; say which cannot be read."""
        given = _ConfigInput()
        for name in value:
            if name == "ENV":
                given.parse_env = True
            else:
                # Once only: `--config <(…)` is a pipe, which cannot be read again.
                given.config |= _read_object(Path(name), "--config")
        return given

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run the tap; say which of the given files cannot be read."""
        super().invoke(
            about=about,
            about_format=about_format,
            config=config,
            state=checked_file(state, "--state"),
            catalog=checked_file(catalog, "--catalog"),
        )


def _read_object(path: Path, option: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise FixConfiguration(
            f"The file of `{option}`, {path}, cannot be read ({reason}).",
            remedy="Check its name and its permissions.",
        ) from error
    return _object_in(text, str(path), option)


def checked_file(file: IO[str] | None, option: str) -> IO[str] | None:
    """Give a file of the command line, to be read again, once it is seen to hold a JSON object.

    Args:
        file: The file; None when none was given.
        option: The option that names it.

    Raises:
        FixConfiguration: It holds none.
    """
    if file is None:
        return None
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise FixConfiguration(
            f"The file of `{option}`, {file.name}, cannot be read (it is not UTF-8 text).",
            remedy="Give it a file with a JSON object.",
        ) from error
    _object_in(text, file.name, option)
    return io.StringIO(text)


def _object_in(text: str, name: str, option: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        # Not the parser's message: that of another parser may quote the text, and so a key.
        place = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "its text"
        raise FixConfiguration(
            f"The file of `{option}`, {name}, is not valid JSON (see {place}).",
            remedy="Give it a file with a JSON object.",
        ) from error
    if not isinstance(content, dict):
        raise FixConfiguration(
            f"The file of `{option}`, {name}, is not a JSON object.",
            remedy='A JSON object looks like {"name": "value"}.',
        )
    return content


def checked_state(state: Any) -> dict[str, Any]:
    """Give the state, of the hourly streams with the tap's own keys only.

    Args:
        state: A Singer state.

    Raises:
        FixConfiguration: It is no state of this tap.
    """
    remedy = (
        "Correct it with `meltano state set` (or in the file of `--state`), "
        "or start over from `start_date` with `--full-refresh`."
    )
    bookmarks = state.get("bookmarks", {}) if isinstance(state, dict) else None
    if not isinstance(bookmarks, dict) or (state and "bookmarks" not in state):
        raise FixConfiguration("The state has no valid `bookmarks`.", remedy=remedy)
    checked = {name: mine for name, mine in bookmarks.items() if mine}
    for name in (EventsStream.name, MergedIdsStream.name):
        if bookmark := _checked_bookmark(name, checked.pop(name, None) or {}, remedy):
            checked[name] = bookmark.to_state()
    for name, mine in checked.items():
        if not isinstance(mine, dict):
            raise FixConfiguration(f"The bookmark of `{name}` is not a JSON object.", remedy=remedy)
    return {"bookmarks": checked} if checked else {}


def _checked_bookmark(name: str, mine: Any, remedy: str) -> Bookmark | None:
    if not isinstance(mine, dict):
        raise FixConfiguration(f"The bookmark of `{name}` is not a JSON object.", remedy=remedy)
    if "replication_key_value" in mine and "next_export_hour" not in mine:
        raise FixConfiguration(
            f"The state was written by another tap: its bookmark of `{name}` names a record, not "
            "an hour (`next_export_hour`).",
            remedy=remedy,
        )
    try:
        return Bookmark.from_state(mine)
    except ValueError as error:
        raise FixConfiguration(
            f"The state cannot be read: {error} (bookmark of `{name}`).", remedy=remedy
        ) from error
