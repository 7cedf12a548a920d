"""What can be known before the first event: the check (`--test`), and what an export weighs."""

from __future__ import annotations
