"""How large a migration is, how long it takes, and what to ask PostHog before it."""

from __future__ import annotations
