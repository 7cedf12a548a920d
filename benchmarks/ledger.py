"""How fast and how large the ledger is: claims, look-ups and accepts of many (user, device) pairs.

python benchmarks/ledger.py                       2 million pairs in SQLite, in a temporary folder
python benchmarks/ledger.py --pairs 200000 --url postgresql+psycopg://user@host/database

Devices come in random order, as a tap meets them: each step works on a batch of 5,000, the size of
one request. What 100 million pairs would take is reckoned from the last tenth of the pairs.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from target_posthog.identity.database import open_engine
from target_posthog.identity.ledger import Ledger
from target_posthog.model import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BATCH = 5_000
_MANY = 100_000_000
_KEY = "phc_benchmark"


def link(number: int) -> Link:
    """Return a made-up pair: a device like a UUID, and one of its users."""
    digest = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
    device = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}R"
    return Link(f"user-{number // 2}", device)


def batches(pairs: int) -> Iterator[list[Link]]:
    """Yield all pairs, a batch at a time."""
    for start in range(0, pairs, _BATCH):
        yield [link(number) for number in range(start, min(start + _BATCH, pairs))]


def known(pairs: int, looked_up: int) -> Iterator[list[Link]]:
    """Yield batches of pairs that are in the ledger, anywhere in it."""
    chosen = random.Random(0)
    for _ in range(looked_up // _BATCH):
        yield [link(chosen.randrange(pairs)) for _ in range(_BATCH)]


def measured(name: str, work: Callable[[list[Link]], object], todo: Iterator[list[Link]]) -> None:
    """Do some work on each batch, and print how many pairs a second it did."""
    seconds, done, memory = [], [], []
    for batch in todo:
        started = time.perf_counter()
        work(batch)
        seconds.append(time.perf_counter() - started)
        done.append(len(batch))
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    tenth = max(1, len(done) // 10)
    print(
        f"{name:<22}{sum(done) / sum(seconds):>10,.0f}/s"
        f"   first tenth {sum(done[:tenth]) / sum(seconds[:tenth]):>9,.0f}/s"
        f"   last tenth {sum(done[-tenth:]) / sum(seconds[-tenth:]):>9,.0f}/s"
        f"   peak memory {memory[tenth - 1] // 1024} -> {memory[-1] // 1024} MiB",
        flush=True,
    )


def size_of(url: str) -> int:
    """Return how many bytes the ledger takes on the disk, indexes included."""
    engine = open_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            query = "SELECT pg_total_relation_size('device_users')"
        else:
            connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
            query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        size = int(connection.execute(sa.text(query)).scalar_one())
    engine.dispose()
    return size


def main() -> None:
    """Fill a ledger, look its pairs up, and print the table."""
    options = argparse.ArgumentParser(description="How fast and how large the ledger is.")
    options.add_argument("--pairs", type=int, default=2_000_000)
    options.add_argument("--url", help="an empty database; by default a temporary SQLite file")
    given = options.parse_args(sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{Path(folder) / 'ledger.db'}"
        ledger = Ledger(url, _KEY)
        print(f"{given.pairs:,} pairs, batches of {_BATCH:,}")
        measured("claim (new)", ledger.claim, batches(given.pairs))
        looked_up = max(_BATCH, given.pairs // 4)
        measured("claim (known)", ledger.claim, known(given.pairs, looked_up))
        measured(
            "accept",
            lambda batch: ledger.accept([one.device_id for one in batch]),
            known(given.pairs, looked_up),
        )
        ledger.close()
        each = size_of(url) / given.pairs
        print(f"{each:.0f} bytes a pair: {each * _MANY / 1e9:.0f} GB for {_MANY:,} pairs")


if __name__ == "__main__":
    main()
