"""What a run tells: its counts, the line or the bar, whom it waits for, its end, its summary."""

from __future__ import annotations
