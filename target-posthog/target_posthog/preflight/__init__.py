"""What can be known before the first event: settings, token, host, ledger, disk."""

from __future__ import annotations
