"""The stand-ins of both services, and the small world in them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fakes.amplitude_archive import upload_hour
from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.fakes.posthog_capture import PosthogCapture
from tests.fakes.posthog_query import PosthogQuery
from tools.sample_export import generate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.sample_export import Row

#: Some 20,000 events, with a few that PostHog would refuse.
DAYS, PEOPLE = 7, 400


@dataclass(frozen=True)
class Services:
    """What runs in a sandbox.

    Attributes:
        amplitude: the Export API.
        capture: PostHog's ingestion.
        query: PostHog's query API over what `capture` stored.
        events: how many events the Export API has.
    """

    amplitude: AmplitudeExportApi
    capture: PosthogCapture
    query: PosthogQuery
    events: int


@contextmanager
def services(ports: Sequence[int], people: int = PEOPLE) -> Iterator[Services]:
    """Serve the stand-ins while the context is open.

    Args:
        ports: of the export API, of ingestion, of the query API; 0 takes any.
        people: how many persons the world has.

    Raises:
        OSError: a port is in use.
    """
    world = generate(days=DAYS, people=people, troublesome=True)
    rows = [row for row in world.rows if _has_an_hour(row)]
    with ExitStack() as stack:
        amplitude = AmplitudeExportApi(
            rows,
            api_key="sandbox-key",
            secret_key="sandbox-secret",  # noqa: S106 - of the stand-in
            port=ports[0],
        )
        stack.enter_context(amplitude)
        capture = stack.enter_context(PosthogCapture(api_key="phc_sandbox", port=ports[1]))
        query = PosthogQuery(capture, key="phx_sandbox", project=1, port=ports[2])
        stack.enter_context(query)
        yield Services(amplitude, capture, query, len(rows))


def _has_an_hour(row: Row) -> bool:
    """Return True if Amplitude could export a row, which it does by `server_upload_time`."""
    try:
        upload_hour(row)
    except (TypeError, ValueError, KeyError):
        return False
    return True
