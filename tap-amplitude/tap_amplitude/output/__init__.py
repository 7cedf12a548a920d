"""What leaves the tap: messages, batch files, rejects."""

from __future__ import annotations
