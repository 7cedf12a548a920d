"""Write what `tap-amplitude --discover` prints, from the tap's own streams.

python docs/generate_catalog.py           write it
python docs/generate_catalog.py --check   exit 1 when it is out of date
"""

from __future__ import annotations

import json
import sys

from tap_amplitude.__main__ import CATALOG
from tap_amplitude.tap import TapAmplitude


def catalog() -> str:
    """Return the catalog as JSON, as the SDK would print it."""
    tap = TapAmplitude(validate_config=False)
    return f"{json.dumps(tap.catalog_dict, indent=2)}\n"


def main() -> int:
    """Write the catalog, or with `--check` compare it."""
    wanted = catalog()
    if CATALOG.exists() and CATALOG.read_text(encoding="utf-8") == wanted:
        return 0
    if "--check" in sys.argv:
        print(f"{CATALOG.name} is out of date: run python docs/generate_catalog.py")
        return 1
    CATALOG.write_text(wanted, encoding="utf-8")
    print(f"{CATALOG.name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
