"""What PostHog cannot have: written, read, replayed."""

from __future__ import annotations
