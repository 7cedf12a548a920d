"""PostHog asked: whether it knows the token, in which region, and whether it takes events.

No event is sent. The ingestion gets a request without any, which it refuses in a way of its own
(rust/capture: "request holds no event"; v1: `empty_batch`).
"""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from isal import igzip
from typing_extensions import override

from target_posthog.capture.bounded_http import BadResponse
from target_posthog.capture.hosts import REGIONS, ingestion_host, without_credentials
from target_posthog.capture.key_check import KeyCheck
from target_posthog.capture.peer import Peer
from target_posthog.capture.protocols import V1Wire, wire_of
from target_posthog.capture.responses import Responses
from target_posthog.capture.retries import Retryable, RetryPolicy
from target_posthog.common.findings import Finding, Level
from target_posthog.errors import FixConfiguration, RunAgain, TargetPosthogError
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.capture.bounded_http import HttpResponse
    from target_posthog.settings import Settings

#: Somebody waits before a screen: a network that is away this long is away.
PATIENCE_SECONDS = 10.0
#: Of the form that a token has; of nobody.
_NO_TOKEN = "phc_check"  # noqa: S105 - see above
_MAX_BYTES = 1024 * 1024
_WRONG_TOKEN = 401
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_AGAIN = "Check the network and `host`, and check again."


class _Question(KeyCheck):
    """Asks whether a token is known, and keeps a doubt to itself."""

    said: str | None = None

    @override
    def doubt(self, why: str) -> None:
        self.said = why


def host_findings(given: str, regions: Mapping[str, str]) -> Iterator[Finding]:
    """Say where events go. Pure."""
    try:
        host = ingestion_host(given)
    except FixConfiguration as error:
        yield Finding("host", Level.FIX, error.happened, error.remedy)
        return
    shown = without_credentials(host)
    place = regions.get(host, "an installation of your own, or a proxy")
    asked = urlsplit(given.strip() if "://" in given else f"https://{given.strip()}")
    parts = urlsplit(host)
    corrected = f" (`host` names the browser app, {asked.hostname})"
    yield Finding(
        "host",
        Level.OK,
        f"Events go to {shown}: {place}{corrected if asked.hostname != parts.hostname else ''}.",
    )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        yield Finding(
            "host",
            Level.NOTE,
            "The connection is not encrypted: whoever carries it can read events and token.",
            "Give `host` with https://.",
        )


def token_form_finding(settings: Settings) -> Finding:
    """Say whether the token looks like one. Pure."""
    try:
        api_key_of(settings)
    except FixConfiguration as error:
        return Finding("token", Level.FIX, error.happened, error.remedy)
    return Finding("token", Level.OK, "`api_key` has the form of a project token.")


class PosthogQuestions:
    """What is asked of PostHog's ingestion.

    Args:
        regions: PostHog's own hosts, by which a token of another region is found.
        patience_seconds: how long to try while the network fails.
    """

    def __init__(
        self,
        settings: Settings,
        program: str,
        *,
        regions: Mapping[str, str] = REGIONS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._settings = settings
        self._program = program
        self._regions = regions
        self._patience = min(patience_seconds, settings.max_retry_seconds)

    def token_finding(self) -> Finding:
        """Return whether PostHog knows the token, which has the form of one."""
        if not self._settings.check_api_key:
            return Finding(
                "token",
                Level.NOTE,
                "Whether PostHog knows it is not asked: `check_api_key` is false.",
            )
        return self._is_known(api_key_of(self._settings), ingestion_host(self._settings.host))

    def ingestion_finding(self) -> Finding:
        """Return whether PostHog takes events at this address, by the protocol that is set."""
        try:
            token, is_known_form = api_key_of(self._settings), True
        except FixConfiguration:
            token, is_known_form = _NO_TOKEN, False
        protocol = self._settings.protocol
        try:
            self._post_no_events(token, judges_token=is_known_form)
        except (FixConfiguration, RunAgain) as error:
            return Finding("ingestion", Level.FIX, error.happened, error.remedy)
        except (Retryable, BadResponse) as error:
            return Finding("ingestion", Level.UNKNOWN, f"No usable answer: {error}.", _AGAIN)
        return Finding(
            "ingestion",
            Level.OK,
            f"PostHog takes requests by `protocol: {protocol}` (asked without an event).",
        )

    def _is_known(self, token: str, host: str) -> Finding:
        try:
            doubt = self._asked(token, host)
        except FixConfiguration as error:
            return self._elsewhere(token, host) or Finding(
                "token", Level.FIX, error.happened, error.remedy
            )
        except RunAgain as error:
            return Finding("token", Level.UNKNOWN, error.happened, _AGAIN)
        if doubt is None:
            return Finding("token", Level.OK, "PostHog knows it.")
        return Finding(
            "token",
            Level.UNKNOWN,
            f"Whether PostHog knows it could not be asked at {without_credentials(host)}/flags/: "
            f"{doubt}.",
            "Compare `api_key` with PostHog, Settings, Project: events of an unknown token vanish.",
        )

    def _elsewhere(self, token: str, host: str) -> Finding | None:
        """Return what to say of a token that another region knows."""
        if host not in self._regions:
            return None
        for other, name in self._regions.items():
            if other == host:
                continue
            try:
                if self._asked(token, other) is not None:
                    continue
            except TargetPosthogError:
                continue
            return Finding(
                "token",
                Level.FIX,
                f"It belongs to a project in {name}, and `host` is {self._regions[host]}.",
                f"Set `host` to {other}.",
            )
        return None

    def _asked(self, token: str, host: str) -> str | None:
        """Return None if PostHog knows a token, or why it cannot tell."""
        question = _Question(
            host, token, user_agent=self._program, max_retry_seconds=self._patience
        )
        try:
            question.run_once()
        finally:
            question.close()
        return question.said

    def _post_no_events(self, token: str, *, judges_token: bool) -> None:
        """Post a batch without events; return if the response is that of PostHog's ingestion.

        Raises:
            FixConfiguration: nobody takes events there, or not with this token.
            RunAgain: PostHog takes no events of this project now.
            Retryable: there is no response, or that of a service that is down.
            BadResponse: the response is too long or damaged.
        """
        wire = wire_of(self._settings.protocol, token, self._program)
        host = ingestion_host(self._settings.host)
        headers = {"Content-Encoding": "gzip", "User-Agent": self._program}
        # Installations of one's own may be older than v1.
        also = " Or set `protocol` to `batch`." if isinstance(wire, V1Wire) else ""
        peer = Peer(host, token, headers, also)
        now = datetime.now(timezone.utc).isoformat()
        body: bytes = igzip.compress(wire.head(historical=True, created_at=now) + b"]}")

        def post() -> HttpResponse:
            own = wire.headers_of(attempt=1, request_id=str(uuid.uuid4()), now=now)
            return peer.post(wire.path, body, headers=own, max_bytes=_MAX_BYTES)

        try:
            response = RetryPolicy(self._patience).call(post, lambda _: None)
            if response.status == _WRONG_TOKEN and not judges_token and not response.is_of_a_gate:
                return
            Responses(peer, wire).read(response, ())
        finally:
            peer.close()
