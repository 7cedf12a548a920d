"""Amplitude's Export API: one window → one verified archive on disk.

`GET {api_url}/api/2/export?start=…&end=…` with Basic authentication answers with a .zip of gzip
files (https://amplitude.com/docs/apis/analytics/export). What each response means is one table,
`responses.RULES`; a response that can get better is asked for again, within a bounded time.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import requests

from tap_amplitude.api.bodies import blocks
from tap_amplitude.api.connection import ADDRESS_TRIES, answered, refused_keys
from tap_amplitude.api.responses import (
    PROVEN_RULES,
    RULES,
    Action,
    action_for,
    error_in,
    sentence,
)
from tap_amplitude.api.results import Downloaded, NoEvents, TooLarge
from tap_amplitude.api.retry import Retryable, RetryPolicy
from tap_amplitude.api.server_clock import refuse_unfinished
from tap_amplitude.common.retry_after import retry_after
from tap_amplitude.errors import (
    DamagedArchive,
    FixConfiguration,
    FixSource,
    TapError,
    no_room,
)
from tap_amplitude.files.archive import open_download

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tap_amplitude.api.connection import Connection
    from tap_amplitude.api.results import DownloadSlot, FetchResult
    from tap_amplitude.windows import Window

logger = logging.getLogger("tap-amplitude.export_api")

_PATH = "/api/2/export"
_WORDS_BYTES = 64 * 1024

BUCKET_REMEDY = (
    "Let Amplitude export these hours to a bucket (Amazon S3, Google Cloud Storage or Azure), "
    "download the files, and read them with `archive_path`."
)


class ExportApi:
    """A client of the Export API of one project; threads may share it.

    Args:
        spool: An existing folder for downloads.
        max_member_bytes: What one file of an archive may unpack to.
        raw: Check archives by their checksums alone; see `Member.verify`.
        retry_seconds: How long to go on trying a window after its first failure.
        sleep: Waits some seconds, for a fetch without a slot.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        spool: Path,
        max_member_bytes: int,
        raw: bool = False,
        retry_seconds: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._spool = spool
        self._max_member_bytes = max_member_bytes
        self._as_stored = raw
        #: Whether address and keys have brought a response in this run.
        self._is_proven = False
        self._retries = RetryPolicy(
            retry_seconds,
            remedy=f"Run the same command again later. If it keeps failing: {BUCKET_REMEDY}",
            sleep=sleep,
        )

    def fetch(self, window: Window, slot: DownloadSlot | None = None) -> FetchResult:
        """Get the events of a window of at most 365 days; without a slot, with whatever it needs.

        Returns:
            A verified archive, `NoEvents`, or `TooLarge` for a window of several hours.

        Raises:
            TapError: The window cannot be downloaded: wrong keys or address, refused, one hour too
                large, or it failed for longer than `retry_seconds`.
        """
        return self._retries.call(
            lambda: self._try_once(window, slot), str(window), slot.sleep if slot else None
        )

    def _try_once(self, window: Window, slot: DownloadSlot | None) -> FetchResult:
        try:
            response = self._connection.get(_PATH, window.as_parameters())
        except requests.ReadTimeout as error:
            reason = f"no answer within {self._connection.answer_seconds:g} seconds."
            return _split(window, reason, retry=Retryable(reason), cause=error)
        except requests.RequestException as error:
            raise self._connection.failure(error) from error
        with response:
            result = self._handle(window, response, slot)
        self._is_proven = True
        return result

    def _handle(
        self, window: Window, response: requests.Response, slot: DownloadSlot | None
    ) -> FetchResult:
        status = response.status_code
        if action_for(status, "") is Action.READ:
            refuse_unfinished(str(window), window.finished, response.headers.get("Date"))
            return self._save(window, response, slot)
        body = self._connection.error_text(response)
        reason = answered(status, body)
        action = action_for(status, body, PROVEN_RULES if self._is_proven else RULES)
        if action is Action.EMPTY:
            refuse_unfinished(str(window), window.finished, response.headers.get("Date"))
            return NoEvents()
        if action is Action.SPLIT:
            # A gateway time-out of a single hour may pass; "too large" will not.
            retry = Retryable(reason) if status == requests.codes.gateway_timeout else None
            return _split(window, reason, retry=retry)
        if action is Action.WAIT:
            if action is not action_for(status, body):
                earlier = "although these keys and this address worked earlier in this run."
                reason = f"{reason[:-1]}, {earlier}"
            wait = retry_after(response.headers.get("Retry-After"), time.time())
            raise Retryable(reason, at_least=wait)
        if action is Action.CHECK_ADDRESS:
            address = f"{self._connection.base_url}{_PATH}"
            final = FixConfiguration(
                f"{address} is not the address of Amplitude's Export API: {reason}",
                remedy="Check `api_url`, or leave it out and set `region`.",
            )
            raise Retryable(reason, tries=ADDRESS_TRIES, final=final)
        raise _refusal(window, reason, action)

    def _save(
        self, window: Window, response: requests.Response, slot: DownloadSlot | None
    ) -> Downloaded:
        name = "-".join(window.as_parameters().values())
        part, whole = self._spool / f"{name}.zip.part", self._spool / f"{name}.zip"
        try:
            try:
                patience = self._connection.answer_seconds
                coming = blocks(response, patience_seconds=patience, what=str(window))
                _write_to(part, coming, slot)
                part.replace(whole)
                archive = open_download(
                    whole,
                    window,
                    max_member_bytes=self._max_member_bytes,
                    raw=self._as_stored,
                )
            except requests.RequestException as error:
                raise self._connection.failure(error) from error
            except DamagedArchive as error:
                raise self._broken_download(whole, response, error) from error
        except BaseException:
            part.unlink(missing_ok=True)
            whole.unlink(missing_ok=True)
            raise
        return Downloaded(archive, whole, whole.stat().st_size)

    def _broken_download(
        self, path: Path, response: requests.Response, error: DamagedArchive
    ) -> Retryable:
        if words := self._connection.redact(_words_in(path)):
            return Retryable(sentence(f"it answered 200, but with an error: {words}"))
        kind = response.headers.get("Content-Type", "no content type")
        # Never the body: what is no whole archive may still be somebody's events.
        return Retryable(self._connection.redact(f"{error.happened} Its type is {kind}."))


def _write_to(path: Path, coming: Iterable[bytes], slot: DownloadSlot | None) -> None:
    size = 0
    try:
        with path.open("wb") as file:
            for block in coming:
                # Counted, not taken from Content-Length: it may be missing.
                size += len(block)
                if slot:
                    slot.reserve(size)
                file.write(block)
    except requests.RequestException:  # an OSError, but not one of the disk
        raise
    except OSError as error:
        raise no_room(error, "the download") or FixConfiguration(
            f"The download cannot be written to {path.parent} ({error.strerror}).",
            remedy="Set `spool_path` to a folder that can be written.",
        ) from error


def _words_in(path: Path) -> str:
    """Return what a file that should be an archive says, when it is an error's text."""
    try:
        with path.open("rb") as file:
            return error_in(file.read(_WORDS_BYTES).decode("utf-8", "replace"))
    except OSError:
        return ""


def _split(
    window: Window,
    reason: str,
    *,
    retry: Retryable | None,
    cause: Exception | None = None,
) -> TooLarge:
    if window.can_be_split:
        return TooLarge(reason)
    raise retry or FixSource(
        f"A single hour is too large for Amplitude's Export API ({window}): {reason}",
        remedy=BUCKET_REMEDY,
    ) from cause


def _refusal(window: Window, reason: str, action: Action) -> TapError:
    if action is Action.UNAUTHORIZED:
        return refused_keys(reason)
    return FixConfiguration(
        f"Amplitude refused the request for {window}: {reason}",
        remedy="Check `start_date`, `end_date` and `api_url`.",
    )
