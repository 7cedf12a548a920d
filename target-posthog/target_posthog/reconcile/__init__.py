"""The book against PostHog: what is missing there, what is more, and how to send it."""

from __future__ import annotations
