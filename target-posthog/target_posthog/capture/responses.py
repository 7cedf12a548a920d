"""What PostHog's responses to a batch mean, by status; facts from PostHog/posthog rust/capture."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from target_posthog.capture.protocols import V1Wire, quota_used_up
from target_posthog.capture.results import Accepted, BatchRefused
from target_posthog.capture.retries import Retryable
from target_posthog.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.capture.bounded_http import HttpResponse
    from target_posthog.capture.peer import Peer
    from target_posthog.capture.protocols import Wire
    from target_posthog.posthog.events import OutgoingEvent

_TOO_LARGE, _UNAVAILABLE = 413, 503
#: v1 says with a status of its own, 429 or 402, that the project is over its quota
#: (rust/capture v1/error.rs). To wait would not help.
_BILLING_LIMIT = b'"billing_limit_exceeded"'


class _Action(Enum):
    ACCEPTED = auto()
    REFUSED = auto()
    WRONG_KEY = auto()
    WRONG_HOST = auto()
    UNPAID = auto()
    RETRY = auto()


ACTIONS = {
    200: _Action.ACCEPTED,
    # One bad event refuses the whole body; a body or an event is too large.
    400: _Action.REFUSED,
    _TOO_LARGE: _Action.REFUSED,
    401: _Action.WRONG_KEY,
    402: _Action.UNPAID,
    408: _Action.RETRY,
    429: _Action.RETRY,
}


class Responses:
    """Reads responses to batches."""

    def __init__(self, peer: Peer, wire: Wire) -> None:
        self._peer = peer
        self._wire = wire
        self._has_accepted = False

    def read(
        self, response: HttpResponse, items: Sequence[OutgoingEvent]
    ) -> Accepted | BatchRefused:
        """Return what a response says of the events of its request.

        Raises:
            Retryable: it took nothing, but may take it later.
            FixConfiguration: it takes nothing before a setting is changed.
            RunAgain: it takes nothing before something is done in PostHog.
        """
        status = response.status
        action = ACTIONS.get(status, _Action.RETRY if status >= 500 else _Action.WRONG_HOST)  # noqa: PLR2004 - 5xx
        if action is _Action.ACCEPTED:
            return self._accepted(response, items)
        # A proxy has a bound of its own on a body; anything else it says is not about the events.
        if action is _Action.REFUSED and (status == _TOO_LARGE or not response.is_of_a_gate):
            return BatchRefused(status, self._peer.shown(response.body))
        raise self._refusal(response, action)

    def hint_for(self, error: Retryable) -> str:
        """Return what else to do when nothing was ever accepted and v1 may not be there at all.

        A PostHog that knows v1 and cannot write its events anywhere answers as one that is down
        (rust/capture v1/analytics/process.rs, "v1 sink router not configured", and v1/error.rs).
        """
        is_v1 = isinstance(self._wire, V1Wire)
        may_be = error.status == _UNAVAILABLE and is_v1 and not self._has_accepted
        return " If this PostHog has no v1, set `protocol` to `batch`." if may_be else ""

    def _accepted(self, response: HttpResponse, items: Sequence[OutgoingEvent]) -> Accepted:
        accepted = self._wire.accepted(response.body, items)
        if accepted is None:
            # A maintenance page, a login page, a proxy: perhaps PostHog answers again later.
            raise self._peer.foreign(response)
        self._has_accepted = True
        return accepted

    def _refusal(self, response: HttpResponse, action: _Action) -> Exception:
        """Return the error for a response that took nothing, whatever the events are."""
        status = response.status
        if _BILLING_LIMIT in response.body:
            return quota_used_up()
        if action is _Action.RETRY:
            return Retryable(f"it answered {status}", response.retry_after, status)
        if action is _Action.WRONG_HOST or response.is_of_a_gate:
            return self._refusal_of_another(response)
        if action is _Action.UNPAID:
            return FixConfiguration(
                "PostHog takes no events for this project until its billing is set up (402).",
                "Look at the project's billing page.",
            )
        return FixConfiguration(
            f"PostHog refused the project token ({status}: {self._peer.shown(response.body)}).",
            "Set `api_key` to the token `phc_…` of the project, and `host` to the project's "
            "region.",
        )

    def _refusal_of_another(self, response: HttpResponse) -> Exception:
        """Return the error for a refusal that is not PostHog's: no key is wrong because of it."""
        if (redirected := self._peer.redirect_of(response)) is not None:
            return self._peer.wrong_host(redirected)
        if self._has_accepted:
            return self._peer.foreign(response)
        said = self._peer.shown(response.body)
        answer = f"it answered {response.status}"
        return self._peer.wrong_host(f"{answer} ({said})" if said else answer)
