"""The command `target-posthog`, also as `python -m target_posthog`: it begins and ends quickly."""

from __future__ import annotations

import gc
import os
import sys

from target_posthog.common.signals import SIGNALS


def main() -> None:
    """Run the target and leave with its exit code (see `errors`)."""
    # The ledger, rejects and previews hold people's data: for this user's eyes only.
    os.umask(0o077)
    SIGNALS.listen()
    # What is loaded stays: to look for rings among it would be a fifth of the start.
    gc.disable()
    from target_posthog.cli import run  # noqa: PLC0415 - see above
    from target_posthog.common.log_filters import leave_out_unknown_levels  # noqa: PLC0415
    from target_posthog.progress.summary import Summary  # noqa: PLC0415
    from target_posthog.target import TargetPosthog  # noqa: PLC0415

    gc.freeze()
    # Events are trees and die by themselves; to look for rings among them costs time.
    gc.set_threshold(100_000, 20, 20)
    gc.enable()
    leave_out_unknown_levels(TargetPosthog.name)
    code = run(TargetPosthog.cli, TargetPosthog.name, summary=Summary(TargetPosthog.plugin_version))
    # Nor need it be taken apart at the end, which takes as long.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
