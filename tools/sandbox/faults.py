"""The faults that the sandbox makes on demand: one table of names, and what each one does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.fakes.amplitude_faults import Fault as AmplitudeFault
from tests.fakes.posthog_faults import Fault as PosthogFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sandbox.services import Services


@dataclass(frozen=True)
class Fault:
    """A fault on demand.

    Attributes:
        what: what happens, in a sentence.
        begin: makes it happen in so many requests.
    """

    what: str
    begin: Callable[[Services, int], None]


def _amplitude(fault: AmplitudeFault, **details: Any) -> Callable[[Services, int], None]:
    return lambda services, times: services.amplitude.fail(fault, times, **details)


def _posthog(fault: PosthogFault, **details: Any) -> Callable[[Services, int], None]:
    return lambda services, times: services.capture.fail(fault, times, **details)


def _drop_old_events(services: Services, _: int) -> None:
    services.capture.drop_events_older_than = timedelta(days=2)


def _exceed_quota(services: Services, _: int) -> None:
    services.capture.over_quota = True


def _throttle(services: Services, times: int) -> None:
    for _ in range(times):
        services.query.throttle(2)


FAULTS = {
    "amplitude-429": Fault(
        "Amplitude refuses requests: too many. It says when to come back.",
        _amplitude(AmplitudeFault.RATE_LIMIT_429, retry_after=2),
    ),
    "amplitude-503": Fault(
        "Amplitude's export is unavailable.", _amplitude(AmplitudeFault.SERVER_5XX)
    ),
    "amplitude-cut": Fault(
        "Amplitude's archives end in the middle.", _amplitude(AmplitudeFault.TRUNCATED_ZIP)
    ),
    "amplitude-keys": Fault(
        "Amplitude refuses the keys.", _amplitude(AmplitudeFault.FORBIDDEN_403)
    ),
    "posthog-503": Fault("PostHog is unavailable.", _posthog(PosthogFault.STATUS)),
    "posthog-429": Fault(
        "PostHog refuses requests: too many. It says when to come back.",
        _posthog(PosthogFault.STATUS, status=429, body="slow down", retry_after=2),
    ),
    "posthog-lost": Fault(
        "PostHog stores the events, and its response is lost.",
        _posthog(PosthogFault.LOSE_ANSWER),
    ),
    "posthog-slow": Fault(
        "PostHog responds after five seconds.", _posthog(PosthogFault.SLOW, seconds=5.0)
    ),
    "posthog-drops": Fault(
        "PostHog responds 200 and drops each event that is older than two days, until `recover`.",
        _drop_old_events,
    ),
    "posthog-quota": Fault("The project's quota is used up, until `recover`.", _exceed_quota),
    "query-429": Fault("PostHog's query API refuses requests: too many.", _throttle),
}


def recover(services: Services) -> None:
    """End every fault."""
    services.amplitude.recover()
    services.capture.be_well()
    services.capture.drop_events_older_than = None
    services.capture.over_quota = False
