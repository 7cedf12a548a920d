"""PostHog's query API: what a project holds, asked with HogQL."""

from __future__ import annotations
