"""The only place that knows Amplitude: one exported row in, one PostHog event out.

Pure: no clock, no input or output, no randomness. The same row always gives the same event.
"""

from __future__ import annotations
