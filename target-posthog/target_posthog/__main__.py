"""The command `target-posthog`, also as `python -m target_posthog`."""

from __future__ import annotations

import sys

from target_posthog.plugin import run
from target_posthog.target import TargetPosthog


def main() -> None:
    """Run the target and leave with its exit code (see `errors`)."""
    sys.exit(run(TargetPosthog.cli, TargetPosthog.name))


if __name__ == "__main__":
    main()
