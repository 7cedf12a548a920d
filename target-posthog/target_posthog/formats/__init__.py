"""One record to one PostHog event, a module for each `source_format`. Pure."""

from __future__ import annotations
