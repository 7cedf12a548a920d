"""PostHog's ingestion API over HTTP."""

from __future__ import annotations
