"""A sample of the devices: spread, repeatable, and never more than there are."""

from __future__ import annotations

import hashlib
from contextlib import closing

import pytest

from target_posthog.identity.ledger import Ledger
from target_posthog.identity.samples import owned_devices
from target_posthog.model import Link


def links(count: int) -> list[Link]:
    """Return links of devices whose ids are hexadecimal, as most are."""
    ids = [hashlib.sha256(f"device {number}".encode()).hexdigest() for number in range(count)]
    return [Link(f"user {number}", one) for number, one in enumerate(ids)]


def test_a_sample_is_spread_and_the_same_again(ledger: Ledger) -> None:
    """Not the first ones in the order of the ids."""
    made = links(600)
    ledger.claim(made)
    ledger.accept([link.device_id for link in made])
    sample = owned_devices(ledger, 20)
    assert owned_devices(ledger, 20) == sample
    assert len(set(sample)) == 20
    assert set(sample) <= set(made)
    assert len({link.device_id[0] for link in sample}) > 5


@pytest.mark.parametrize(("number", "expected"), [(0, 0), (2, 2), (5, 5), (5000, 5)])
def test_a_sample_is_of_this_project(
    ledger: Ledger, ledger_url: str, number: int, expected: int
) -> None:
    """However many are wanted, whatever the ids look like, whether PostHog was told or not."""
    with closing(Ledger(ledger_url, "phc_other")) as other:
        other.claim([Link("u", "elsewhere")])
    made = [Link("u", one) for one in ("Zoë's phone", "zz", "Ω", "open")]
    made.append(Link("zz", "zzz"))
    ledger.claim([*made, Link("u", "u")])
    ledger.claim([Link("zzzz", "zzzz")])
    ledger.accept([link.device_id for link in made[:3]])
    sample = owned_devices(ledger, number)
    assert len(sample) == expected
    assert set(sample) <= set(made)
