"""What PostHog makes of an event, whatever its source. Pure."""

from __future__ import annotations
