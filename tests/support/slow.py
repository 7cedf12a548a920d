"""What is slow: tests from end to end, and those of modules that start processes."""

from __future__ import annotations

import subprocess
from functools import cache
from typing import TYPE_CHECKING

from tests.support import processes
from tests.support.browser import browser
from tests.support.documented_project import DocumentedProject
from tests.support.field_cases import run_case
from tests.support.meltano_project import MeltanoProject
from tests.support.target import run_apart, started
from tests.support.third_party import ThirdParty

if TYPE_CHECKING:
    from types import ModuleType

    import pytest

_FOLDERS = ("tests/end_to_end/", "tests/benchmarks/")
#: A module that has one of these to call starts processes, forked or not.
_STARTERS = (
    subprocess,
    browser,
    processes.Running,
    processes.run_tap,
    processes.run_target,
    processes.start,
    run_apart,
    run_case,
    started,
    DocumentedProject,
    MeltanoProject,
    ThirdParty,
)


def is_slow(test: pytest.Item) -> bool:
    """Return True if a test is for `make test` only, not for `make test-fast`."""
    module = getattr(test, "module", None)
    return test.nodeid.startswith(_FOLDERS) or (module is not None and _starts_processes(module))


@cache
def _starts_processes(module: ModuleType) -> bool:
    return any(value is starter for value in vars(module).values() for starter in _STARTERS)
