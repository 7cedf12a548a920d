"""What the state remembers, what of it a run may read, and what to say of it. Pure."""

from __future__ import annotations
