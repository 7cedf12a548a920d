"""The sandbox's own small API: what has arrived, and faults on demand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from tests.fakes.local_server import Answer, Incoming, StandIn
from tools.sandbox.faults import FAULTS, recover

if TYPE_CHECKING:
    from typing import Any

    from tools.sandbox.services import Services


class Control(StandIn):
    """Answers `GET /` and `POST /faults/<name>?times=3`; `recover` is the name that ends all.

    Args:
        services: what it reports of, and what it disturbs.
        port: where it answers; 0 takes any.
    """

    def __init__(self, services: Services, port: int = 0) -> None:
        super().__init__(port)
        self._services = services

    def respond(self, incoming: Incoming) -> Answer:
        """Return the answer to one request."""
        if incoming.method == "GET" and incoming.path == "/":
            return _json(200, self._report())
        _, _, name = incoming.path.rpartition("/faults/")
        times = parse_qs(incoming.query).get("times", ["1"])[0]
        if incoming.method != "POST" or not times.isdecimal() or not int(times):
            return _json(400, {"error": "POST /faults/<name>?times=3"})
        if name == "recover":
            recover(self._services)
        elif name in FAULTS:
            FAULTS[name].begin(self._services, int(times))
        else:
            return _json(404, {"error": f"no such fault; there are {', '.join(FAULTS)}, recover"})
        return _json(200, self._report())

    def _report(self) -> dict[str, Any]:
        amplitude, capture = self._services.amplitude, self._services.capture
        return {
            "amplitude_requests": len(amplitude.requests),
            "posthog_requests": len(capture.requests),
            "posthog_events": len({event["uuid"] for event in list(capture.events)}),
            "posthog_dropped": len(capture.dropped),
            "faults_waiting": len(amplitude.pending_faults()) + capture.faults_left,
        }


def _json(status: int, content: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(content).encode() + b"\n", "application/json")
