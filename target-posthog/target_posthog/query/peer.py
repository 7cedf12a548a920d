"""PostHog's app as a peer: the same connection as that of the ingestion, with words of its own."""

from __future__ import annotations

from typing_extensions import override

from target_posthog.capture.peer import Peer
from target_posthog.errors import FixConfiguration


class AppPeer(Peer):
    """The host that takes queries."""

    service = "PostHog's query API"

    @override
    def wrong_host(self, why: str) -> FixConfiguration:
        return FixConfiguration(
            f"{self.host} does not take queries: {why}.",
            "Set `app_host` to https://us.posthog.com, https://eu.posthog.com or your own.",
        )
