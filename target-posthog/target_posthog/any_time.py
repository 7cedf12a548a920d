"""Times of any tap: text in the usual forms, days, and numbers since 1970."""

from __future__ import annotations

from target_posthog.amplitude.times import any_time

__all__ = ["any_time"]
