"""How many examples a property test tries: a tenth at a desk, all of them in CI.

`--hypothesis-profile=ci` chooses, which is read before any module of tests.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

#: The examples of a test that names no number.
_PROFILES = {"dev": 10, "ci": 100}


def choose_profile() -> None:
    """Register both profiles, and choose `dev` until the command line says otherwise."""
    for name, count in _PROFILES.items():
        settings.register_profile(
            name,
            max_examples=count,
            # Either would measure the machine.
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile("dev")


def examples(count: int) -> settings:
    """Return the settings of a property test that CI tries with a number of examples."""
    return settings(max_examples=settings().max_examples * count // _PROFILES["ci"])
