"""Writes a sample export: a zip if the path ends in .zip, else a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tools.sample_export import generate, write_folder, write_zip
from tools.sample_export.generator import DAYS, PEOPLE, SEED

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The bundled demo, which is what the defaults give.
DEMO = Path(__file__).parents[2] / "tests/fixtures/demo_export.zip"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tools.sample_export", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEMO, help="zip or folder (default: the demo)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--troublesome", action="store_true", help="add rows to be rejected")
    chosen = parser.parse_args(arguments)
    export = generate(chosen.seed, chosen.days, chosen.people, troublesome=chosen.troublesome)
    write = write_zip if chosen.out.suffix == ".zip" else write_folder
    write(export.rows, chosen.out)


if __name__ == "__main__":
    main()
