"""Amplitude's Export API: one window → one verified archive on disk. Nothing else knows HTTP.

`GET {api_url}/api/2/export?start=…&end=…` with Basic authentication answers with a .zip of gzip
files (https://amplitude.com/docs/apis/analytics/export). What each answer means is one table,
`answers.RULES`; an answer that can get better is asked for again, within a bounded time.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import requests

from tap_amplitude.answers import Action, action_for, message_in, seconds_to_wait, sentence
from tap_amplitude.archive import open_archive
from tap_amplitude.deliveries import Downloaded, NoEvents, TooLarge
from tap_amplitude.errors import (
    DamagedArchive,
    FixConfiguration,
    FixSource,
    ForeignArchive,
    TapError,
    WrongCredentials,
    no_room,
)
from tap_amplitude.patience import Patience, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_amplitude.archive import Archive
    from tap_amplitude.deliveries import Answer, Lease
    from tap_amplitude.windows import Window

logger = logging.getLogger("tap-amplitude.export_api")

REGION_URLS = {"us": "https://amplitude.com", "eu": "https://analytics.eu.amplitude.com"}

_CONNECT_SECONDS = 30
_CHUNK_BYTES = 1024 * 1024
_ERROR_BODY_BYTES = 64 * 1024
_ADDRESS_TRIES = 3

_WRONG_ADDRESS = (
    requests.TooManyRedirects,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)

BUCKET_REMEDY = (
    "Let Amplitude export these hours to a bucket (Amazon S3, Google Cloud Storage or Azure), "
    "download the files, and read them with `archive_path`."
)


class ExportApi:
    """A client of the Export API of one project; threads may share it.

    Args:
        base_url: `https://amplitude.com` or another base; the endpoint's path is added.
        api_key: The project's API key.
        secret_key: The project's secret key.
        user_agent: How to introduce the tap.
        spool: An existing folder for downloads.
        max_member_bytes: What one file of an archive may unpack to.
        answer_seconds: How long to wait for an answer, and between two blocks of one.
        retry_seconds: How long to go on trying a window after its first failure.
        sleep: Waits some seconds, for a fetch without a lease.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        secret_key: str,
        user_agent: str,
        spool: Path,
        max_member_bytes: int,
        answer_seconds: float,
        retry_seconds: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = base_url.rstrip("/") + "/api/2/export"
        self._secrets = (api_key, secret_key)
        self._spool = spool
        self._max_member_bytes = max_member_bytes
        self._answer_seconds = answer_seconds
        self._patience = Patience(
            retry_seconds,
            remedy=f"Run the same command again later. If it keeps failing: {BUCKET_REMEDY}",
            sleep=sleep,
        )
        self._user_agent = user_agent
        self._of_thread = threading.local()

    def fetch(self, window: Window, lease: Lease | None = None) -> Answer:
        """Get the events of a window.

        Args:
            window: At most 365 days.
            lease: What the download may use; without one, whatever it needs.

        Returns:
            A verified archive, `NoEvents`, or `TooLarge` for a window of several hours.

        Raises:
            TapError: The window cannot be had: wrong keys or address, refused, one hour too large,
                or it failed for longer than `retry_seconds`.
        """
        return self._patience.keep_trying(
            lambda: self._try_once(window, lease), str(window), lease.pause if lease else None
        )

    @property
    def _session(self) -> requests.Session:
        """The session of this thread: requests does not promise that threads can share one."""
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = requests.Session()
            # On a redirect to another host, requests leaves this header out.
            session.auth = self._secrets
            session.headers["User-Agent"] = self._user_agent
        return session

    def _try_once(self, window: Window, lease: Lease | None) -> Answer:
        try:
            response = self._session.get(
                self._url,
                params=window.as_parameters(),
                stream=True,
                timeout=(_CONNECT_SECONDS, self._answer_seconds),
            )
        except requests.ReadTimeout as error:
            reason = f"no answer within {self._answer_seconds:g} seconds."
            return self._split(window, reason, retry=TryAgain(reason), cause=error)
        except requests.RequestException as error:
            raise self._network_failure(error) from error
        with response:
            return self._handle(window, response, lease)

    def _handle(self, window: Window, response: requests.Response, lease: Lease | None) -> Answer:
        status = response.status_code
        if action_for(status, "") is Action.READ:
            return self._save(window, response, lease)
        body = self._error_text(response)
        told = sentence(f"it answered {status}" + (f": {body}" if body else ""))
        action = action_for(status, body)
        if action is Action.EMPTY:
            return NoEvents()
        if action is Action.SPLIT:
            # A gateway time-out of a single hour may pass; "too large" will not.
            retry = TryAgain(told) if status == requests.codes.gateway_timeout else None
            return self._split(window, told, retry=retry)
        if action is Action.WAIT:
            asked = response.headers.get("Retry-After")
            wait = seconds_to_wait(asked, datetime.now(timezone.utc))
            raise TryAgain(told, at_least=wait)
        if action is Action.CHECK_ADDRESS:
            final = FixConfiguration(
                f"{self._url} is not the address of Amplitude's Export API: {told}",
                remedy="Check `api_url`, or leave it out and set `region`.",
            )
            raise TryAgain(told, tries=_ADDRESS_TRIES, final=final)
        raise self._refusal(window, told, action)

    def _split(
        self,
        window: Window,
        reason: str,
        *,
        retry: TryAgain | None,
        cause: Exception | None = None,
    ) -> TooLarge:
        if window.can_be_split:
            return TooLarge(reason)
        raise retry or FixSource(
            f"A single hour is too large for Amplitude's Export API ({window}): {reason}",
            remedy=BUCKET_REMEDY,
        ) from cause

    def _refusal(self, window: Window, told: str, action: Action) -> TapError:
        if action is Action.UNAUTHORIZED:
            return WrongCredentials(
                f"Amplitude refused the keys: {told}",
                remedy="Check `api_key`, `secret_key` and `region`. The usual cause is a project "
                "that lives in the other region (`us` or `eu`).",
            )
        return FixConfiguration(
            f"Amplitude refused the request for {window}: {told}",
            remedy="Check `start_date`, `end_date` and `api_url`.",
        )

    def _save(self, window: Window, response: requests.Response, lease: Lease | None) -> Downloaded:
        name = "-".join(window.as_parameters().values())
        part, whole = self._spool / f"{name}.zip.part", self._spool / f"{name}.zip"
        try:
            try:
                self._write_to(part, response, lease)
                part.replace(whole)
                archive = open_archive(whole, max_member_bytes=self._max_member_bytes)
                archive.verify()
            except (requests.RequestException, DamagedArchive) as error:
                raise self._broken_download(response, error) from error
            _refuse_foreign_hours(window, archive)
        except BaseException:
            part.unlink(missing_ok=True)
            whole.unlink(missing_ok=True)
            raise
        return Downloaded(archive, whole, whole.stat().st_size)

    def _write_to(self, path: Path, response: requests.Response, lease: Lease | None) -> None:
        size = 0
        try:
            with path.open("wb") as file:
                for block in response.iter_content(_CHUNK_BYTES):
                    # Counted, not taken from Content-Length: it may be missing.
                    size += len(block)
                    if lease:
                        lease.hold(size)
                    file.write(block)
        except requests.RequestException:  # an OSError, but not one of the disk
            raise
        except OSError as error:
            raise no_room(error, "the download") or FixConfiguration(
                f"The download cannot be written to {path.parent} ({error.strerror}).",
                remedy="Set `spool_path` to a folder that can be written.",
            ) from error

    def _broken_download(self, response: requests.Response, error: Exception) -> TryAgain:
        if isinstance(error, requests.RequestException):
            return self._network_failure(error)
        kind = response.headers.get("Content-Type", "no content type")
        # Never the body: what is no whole archive may still be somebody's events.
        return TryAgain(f"the archive arrived damaged, or is none ({self._redact(kind)}).")

    def _network_failure(self, error: requests.RequestException) -> TryAgain:
        if isinstance(error, _WRONG_ADDRESS):
            final = FixConfiguration(
                f"{self._url} cannot be reached: {self._redact(str(error))}",
                remedy="Check `api_url`, or leave it out and set `region`.",
            )
            return TryAgain(str(error), tries=1, final=final)
        cause = self._redact(str(error))
        told = f"the connection failed ({type(error).__name__}: {cause})."
        if isinstance(error, requests.exceptions.SSLError):
            # A certificate does not mend itself in half an hour; a cut handshake may.
            final = FixConfiguration(
                f"No secure connection to {self._url}: {cause}",
                remedy="Check `api_url` and the proxy; behind a company's proxy, point "
                "REQUESTS_CA_BUNDLE to its certificates.",
            )
            return TryAgain(told, tries=_ADDRESS_TRIES, final=final)
        return TryAgain(told)

    def _error_text(self, response: requests.Response) -> str:
        """The message of an error answer: one bounded line without the keys."""
        try:
            block = next(response.iter_content(_ERROR_BODY_BYTES), b"")
        except requests.RequestException:
            return ""
        text = block[:_ERROR_BODY_BYTES].decode("utf-8", "replace")
        return self._redact(message_in(text))

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _refuse_foreign_hours(window: Window, archive: Archive) -> None:
    for member in archive.members:
        if not window.holds(member.hour):
            raise ForeignArchive(
                f"Amplitude was asked for {window} and sent the file {member.name!r}.",
                remedy="Check `api_url`; if it is right, report this to Amplitude.",
            )
