"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.projects import MeltanoProject

_OF_THE_PLUGINS = ("singer-sdk", "orjson", "msgspec", "isal", "requests")


def described(project: MeltanoProject | None, load: float) -> str:
    """Return one sentence.

    Args:
        project: with the plugins whose libraries are named, if any was measured.
        load: how many processes wanted to run before the benchmark began.
    """
    libraries = [f"{name} {project.version_of(name)}" for name in _OF_THE_PLUGINS if project]
    libraries.append(f"posthog {version('posthog')}")
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores, "
        f"{gigabytes:.0f} GB, Linux {platform.release()}, Python {platform.python_version()}, "
        f"meltano {version('meltano')}, {', '.join(libraries)}; "
        f"load of the machine before the start: {load:.1f}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
