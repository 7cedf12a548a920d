"""What both plugins need, byte for byte the same in both: neither depends on the other.

So both take the same bytes for the same lines and events. `tests/common/test_twins.py` compares.
"""

from __future__ import annotations
