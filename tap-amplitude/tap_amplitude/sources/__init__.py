"""Where hours come from: verified, in order, from the API or from exported files."""

from __future__ import annotations
