"""Takes the picture of the partition page for docs/scale.md, of a `make scale` that runs.

python -m tools.scale.picture docs/scale.png 2024-02-29-05:00
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.browser import browser
from tools.scale.__main__ import PAGE

_WIDTH, _HEIGHT = 1400, 900
#: Dagster's pages load their numbers after themselves.
_LOADS_MS = 4000


def main() -> None:
    """Write the file that the first argument names, with the hour of the second one in view."""
    with browser() as chromium:
        context = chromium.new_context(viewport={"width": _WIDTH, "height": _HEIGHT})
        page = context.new_page()
        page.goto(f"{PAGE}&partition={sys.argv[2]}")
        page.get_by_text("Materialized").first.wait_for()
        page.wait_for_timeout(_LOADS_MS)
        Path(sys.argv[1]).write_bytes(page.screenshot())


if __name__ == "__main__":
    main()
