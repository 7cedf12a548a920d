"""The target: its settings, its parts, and when the state may be written."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Target
from singer_sdk.configuration._dict_config import merge_missing_config_jsonschema
from singer_sdk.helpers.capabilities import ADD_RECORD_METADATA_CONFIG, PluginCapabilities
from singer_sdk.plugin_base import PluginBase
from typing_extensions import override

from target_posthog import progress
from target_posthog.amplitude.convert import Options
from target_posthog.batches import Limits
from target_posthog.capture_api import CaptureApi, ingestion_host, without_credentials
from target_posthog.delivery import MAX_LANES, Delivery, DeliverySettings
from target_posthog.errors import BrokenInput, FixConfiguration
from target_posthog.in_flight import OneByOne, SideBySide
from target_posthog.ledger import Ledger
from target_posthog.links import Links
from target_posthog.mapping_reader import read_mappings
from target_posthog.pace import Pace
from target_posthog.plugin import StateNotWritten, StoppedBySignal, checked_config
from target_posthog.preview import PreviewFile
from target_posthog.protocols import BatchWire, V1Wire
from target_posthog.reader import SingerLines
from target_posthog.rejects import Rejects
from target_posthog.settings import SETTINGS, api_key_of, problems_of
from target_posthog.sinks import PosthogSink

if TYPE_CHECKING:
    from types import FrameType

    import click

    from target_posthog.conversion import Json
    from target_posthog.protocols import Wire

#: A STATE waits this long for the batch that it stands behind to fill up. It bounds what a killed
#: run sends again.
_STATE_SECONDS = 2.0
_AFTER_PREVIEW = "Next: to send, take preview_path out. The preview left the state as it was."


class TargetPosthog(Target):
    """Sends events to PostHog, Amplitude's whole history first of all."""

    name = "target-posthog"
    config_jsonschema = SETTINGS
    default_sink_class = PosthogSink
    message_reader_class = SingerLines
    rejects_class: ClassVar[type[Rejects]] = Rejects
    capabilities: ClassVar[list[Any]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._started = time.monotonic()
        self._progress = progress.Progress(self._started)
        self._state_written = float("-inf")
        self._begun = False
        self._said: set[str] = set()
        self.mappings, _ = read_mappings(self.config["streams"])
        self.conversion_options = Options.of(self.config)
        self._open()

    def _open(self) -> None:
        """Open what the events go to and what remembers them."""
        started = datetime.now(timezone.utc)
        api_key = api_key_of(self.config)
        self._preview: PreviewFile | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        ledger_url = self.config["ledger_url"]
        if self.config.get("preview_path"):
            self._scratch = tempfile.TemporaryDirectory(prefix="target-posthog-")
            ledger_url = f"sqlite:///{self._scratch.name}/ledger.db"
            self._preview = PreviewFile(Path(self.config["preview_path"]), started)
        self._ledger = Ledger(ledger_url, api_key)
        sender = f"{self.name}/{self.plugin_version}"
        rate = self.config.get("max_events_per_second")
        is_v1 = self.config["protocol"] == "v1"
        wire: Wire = V1Wire(api_key, sender) if is_v1 else BatchWire(api_key)
        self._sender = self._preview or CaptureApi(
            ingestion_host(self.config["host"]),
            wire,
            api_key=api_key,
            max_retry_seconds=self.config["max_retry_seconds"],
            user_agent=sender,
            turns=Pace(rate),
        )
        self._links = Links(self._ledger, self.config["identity_events"])
        self._rejects = self.rejects_class(Path(self.config["rejects_path"]), started)
        self.delivery = Delivery(
            DeliverySettings(
                historical_migration=self.config["historical_migration"],
                limits=Limits(
                    self.config["max_batch_events"], self.config["max_batch_bytes"]
                ).at_rate(rate),
                max_reject_ratio=self.config["max_reject_ratio"],
                # A preview keeps the order, whatever the disk does.
                max_lanes=MAX_LANES if self._preview is None else 1,
            ),
            wire=wire,
            in_flight=SideBySide(self._sender) if self._preview is None else OneByOne(self._sender),
            links=self._links,
            rejects=self._rejects,
            utc_now=lambda: datetime.now(timezone.utc),
        )

    @override
    def _process_record_message(self, message_dict: Json) -> None:
        if not self._begun:
            self._begin(goes_on=False)
        super()._process_record_message(message_dict)
        self._show_progress()

    @override
    def _process_state_message(self, message_dict: Json) -> None:
        if not self._begun:
            self._begin(goes_on=bool(message_dict.get("value")))
        super()._process_state_message(message_dict)
        self._progress.reached(self._latest_state)
        if time.monotonic() - self._state_written >= _STATE_SECONDS:
            self.drain_all()
        self._show_progress()

    def say_once(self, level: int, text: str) -> None:
        """Log what a stream has to say, unless it was said in this run."""
        if text not in self._said:
            self._said.add(text)
            self.logger.log(level, text)

    def _begin(self, *, goes_on: bool) -> None:
        """See at the first message whether the ledger knows what the state says was sent."""
        self._begun = True
        if self._preview is not None:
            return
        ledger = self._ledger.begin(goes_on=goes_on)
        if not ledger.is_complete:
            self._links.be_careful()
        if ledger.is_first and not ledger.is_complete:
            self.logger.warning(
                "An earlier run had another ledger than the one at ledger_url. Links that it told "
                "are told again, each after its record, so that no device joins two users. Keep "
                "the ledger between runs."
            )

    @override
    def _write_state_message(self, state: Json) -> None:
        """Write the state, after everything that came before it is delivered.

        Every way of the SDK to write a state ends here, so none can pass the delivery. A preview
        writes none: PostHog accepted nothing, and the run that sends must begin where it did.
        """
        self.delivery.flush()
        if state != self._drained_state and self._preview is None:
            try:
                super()._write_state_message(state)
            except OSError as error:
                raise StateNotWritten(error) from error
            self._drained_state = state
        self._state_written = time.monotonic()

    @override
    def _process_activate_version_message(self, message_dict: Json) -> None:
        """Pass over it: PostHog keeps every event, so no older version has to go."""

    @override
    def _process_batch_message(self, message_dict: Json) -> None:
        """Refuse it: the SDK's own way would take its records for delivered."""
        raise BrokenInput(
            "The tap sent a BATCH message, which this target does not read.",
            "Take batch_config out of the tap's settings, and run again.",
        )

    @override
    def process_endofpipe(self) -> None:
        self.delivery.flush()
        super().process_endofpipe()
        self._finish()

    def _finish(self) -> None:
        counts = self.delivery.counts
        destination = f"sent to {without_credentials(ingestion_host(self.config['host']))}"
        if self._preview is not None:
            self._preview.summarise(counts.as_json())
            destination = f"previewed in {self.config['preview_path']}, nothing was sent"
        block = progress.summary(
            counts,
            seconds=time.monotonic() - self._started,
            destination=destination,
            rejects=str(self._rejects.path),
        )
        for line in block.splitlines():
            self.logger.info(line)
        if self._preview is not None:
            self.logger.info(_AFTER_PREVIEW)
        self.close()

    def close(self) -> None:
        """Close files and connections."""
        self.delivery.close()
        self._sender.close()
        self._rejects.close()
        self._ledger.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _show_progress(self) -> None:
        line = self._progress.line(time.monotonic(), self.delivery.counts)
        if line is not None:
            self.logger.info(line)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self.append_builtin_config(self.config_jsonschema)
        return checked_config(
            self._config, self.config_jsonschema, problems_of, raise_errors=raise_errors
        )

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the configuration files; say which one cannot be read."""
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, ValueError, TypeError) as error:
            raise FixConfiguration(
                f"The configuration in {', '.join(value)} cannot be read: "
                f"{_why_unreadable(error)}.",
                "Give a JSON file with --config.",
            ) from error

    @classmethod
    @override
    def append_builtin_config(cls, config_jsonschema: Json) -> None:
        """Offer the SDK's settings that change something here: maps, flattening, metadata."""
        merge_missing_config_jsonschema(ADD_RECORD_METADATA_CONFIG, config_jsonschema)
        PluginBase.append_builtin_config.__func__(cls, config_jsonschema)  # type: ignore[attr-defined] # skips Target's own, which adds load_method and batch_size_rows

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Stop at once: what PostHog did not accept yet is not in the state."""
        raise StoppedBySignal(signum)


def _why_unreadable(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        # The SDK's own has no strerror.
        return "there is no such file"
    return getattr(error, "strerror", None) or "it is not a JSON object"
