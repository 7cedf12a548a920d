"""What goes out: one class for each kind of stream."""

from __future__ import annotations
