"""The command `target-posthog-preview`: records, their events and why, as pairs."""

from __future__ import annotations
