"""What the tests of the check share."""

from __future__ import annotations

from tests.target.query.conftest import api

__all__ = ["api"]
