"""Batch files are delivered in the very order of their records, in whatever order workers end."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.batches import Limits
from target_posthog.formats.converter import Conversions, Converter
from target_posthog.input import batch_files
from target_posthog.input.batch_files import BatchFile
from target_posthog.input.intake import Intake
from target_posthog.workers.block_taker import BlockTaker
from target_posthog.workers.conversion import BlockConversion
from target_posthog.workers.messages import BlockStream, ConvertedBlock, Task, decoded, encoded
from target_posthog.workers.ordered_intake import OrderedIntake
from target_posthog.workers.pool import InlineWorkers
from tests.support.deliveries import MEMORY, WIRE, FakeTransport, delivery_to, rejected_lines
from tests.support.examples import examples
from tests.support.target_settings import settings_of
from tests.support.unusual_files import Part, Writer, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from target_posthog.delivery.delivery import Delivery
    from target_posthog.model import Json
    from target_posthog.settings import Settings

SECONDS = 30.0


class Kind(NamedTuple):
    """Whose records they are: the settings, and the stream."""

    settings: Settings
    stream: BlockStream

    def intake(self) -> Intake:
        """Return what converts the records here."""
        stream = self.stream
        converter = Converter(
            Conversions(self.settings), stream.name, stream.schema, stream.key_properties,
            lambda *_: None,
        )  # fmt: skip
        return Intake(converter, WIRE)


AMPLITUDE = Kind(
    settings_of(skip_events=["left out"]),
    BlockStream("events", {"properties": {"event_type": {}, "amplitude_id": {}}}, ("uuid",)),
)
OTHER = Kind(
    settings_of(
        source_format="fields",
        streams={
            "orders": {
                "alias": ["anonymous_id", "device"],
                "groups": [{"type": "org", "key": "org", "properties": ["seats"]}],
            }
        },
    ),
    BlockStream(
        "orders",
        {"properties": {"id": {}, "user_id": {}, "anonymous_id": {}, "device": {}, "org": {},
                        "seats": {}, "timestamp": {}}},
        ("id",),
    ),
)  # fmt: skip


class AnyWorkers:
    """Workers of which any may be done next.

    Args:
        kind: whose records they convert.
        pick: chooses from so many.
        most: how many blocks they take.
    """

    def __init__(self, kind: Kind, pick: Callable[[int], int], most: int) -> None:
        self.kind = kind
        self._conversion = BlockConversion(kind.settings, WIRE)
        self._is_introduced = False
        self._pick = pick
        self._most = most
        self._under_way: dict[int, bytes] = {}

    @property
    def has_room(self) -> bool:
        """Whether a worker is idle."""
        return len(self._under_way) < self._most

    def give(self, number: int, stream: BlockStream, raw: bytes, latest_time: str) -> None:
        """Convert a block; what comes of it is there at some time."""
        assert self.has_room
        introduces = None if self._is_introduced else stream
        self._is_introduced = True
        task = Task(0, len(raw), 0, latest_time, introduces)
        self._under_way[number] = encoded(self._conversion.converted(task, raw))

    def done(self) -> Iterator[tuple[int, ConvertedBlock]]:
        """Yield any blocks, perhaps none."""
        for _ in range(self._pick(len(self._under_way) + 1)):
            number = sorted(self._under_way)[self._pick(len(self._under_way))]
            block = decoded(self._under_way.pop(number))
            assert isinstance(block, ConvertedBlock)
            yield number, block

    def descriptors(self) -> Sequence[int]:
        """Return none: nobody waits."""
        return ()

    def close(self) -> None:
        """Have nothing to close."""


class Outcome(NamedTuple):
    """What a delivery came to."""

    accepted: list[Json]
    rejects: Sequence[tuple[object, ...]]
    counts: Json


def outcome_of(delivery: Delivery, sender: FakeTransport, folder: Path) -> Outcome:
    """Return what a delivery came to."""
    rejects = [
        (line["code"], line["record"], line.get("stream"), line.get("key_properties"))
        for line in rejected_lines(folder)
    ]
    return Outcome(sender.accepted, rejects, delivery.counts.as_json())


def by_records(kind: Kind, files: Sequence[Sequence[Part]], limits: Limits) -> Outcome:
    """Deliver the records of files one by one, and lines that are none in their places."""
    sender = FakeTransport()
    with (
        TemporaryDirectory() as name,
        delivery_to(
            sender, Path(name), limits=limits, max_reject_ratio=1, ledger_url=MEMORY
        ) as delivery,
    ):
        intake = kind.intake()
        for part in (part for file in files for part in file):
            for one in part.records:
                known = intake.converter.known(one)
                delivery.take(intake.outcome_of(one, delivery.latest_time), known)
            for text in part.bad:
                delivery.fates.take_unreadable(text.encode(), "not JSON", "events")
        delivery.flush()
        return outcome_of(delivery, sender, Path(name))


def intake_by(
    workers: AnyWorkers, delivery: Delivery, intake_of: Callable[[str], Intake]
) -> OrderedIntake:
    """Return what takes files, and has nothing to say."""
    here = InlineWorkers(workers.kind.settings, WIRE)
    taker = BlockTaker(delivery, take_line=lambda *_: None, say=lambda *_: None)
    return OrderedIntake(lambda: workers, here, delivery, taker, intake_of)


def by_files(
    files: Sequence[Sequence[Part]], limits: Limits, workers: AnyWorkers, block_bytes: int
) -> Outcome:
    """Deliver files, and see that each passes once all of it is settled, in order."""
    sender = FakeTransport()
    with (
        TemporaryDirectory() as name,
        patch.object(batch_files, "_BLOCK_BYTES", block_bytes),
        delivery_to(
            sender, Path(name), limits=limits, max_reject_ratio=1, ledger_url=MEMORY
        ) as delivery,
    ):
        kind = workers.kind
        batches = intake_by(workers, delivery, lambda _: kind.intake())
        made = []
        for number, parts in enumerate(files):
            path = Path(name, f"{number}.json")
            path.write_bytes(text_of(parts, ends=number % 2 == 0))
            made.append(BatchFile(str(path), is_gzip=False))
            batches.add(kind.stream, made[-1:])
            batches.note(number)
        end = time.monotonic() + SECONDS
        while not batches.is_idle:
            assert time.monotonic() < end
            batches.attend()
        delivery.flush()
        assert list(delivery.passed()) == [
            mark for pair in zip(made, range(len(files)), strict=True) for mark in pair
        ]
        batches.close()
        return outcome_of(delivery, sender, Path(name))


@examples(120)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(0, 12), max_size=4),
    limits=st.builds(Limits, st.integers(1, 9), st.just(10**6)),
    block_bytes=st.sampled_from([50, 400, 1_000, 10_000]),
    most=st.integers(1, 8),
    order=st.integers(0, 10**6),
)
def test_files_come_to_the_same_sequence_as_their_records(
    seed: int,
    sizes: list[int],
    limits: Limits,
    block_bytes: int,
    most: int,
    order: int,
) -> None:
    """Events, links and group updates in their order, the rejects in theirs, and all counts.

    The order of workers is not hypothesis's own: a thread reads meanwhile.
    """
    writer = Writer(random.Random(seed), devices_of_user=None)
    files = [writer.file(size) for size in sizes]
    workers = AnyWorkers(AMPLITUDE, random.Random(order).randrange, most)
    check_same(workers, files, limits, block_bytes)


@examples(60)
@given(
    records=st.lists(
        st.fixed_dictionaries(
            {
                "user_id": st.sampled_from(["u1", "u2", None]),
                "anonymous_id": st.sampled_from(["a1", "a2", "a3", None]),
                "timestamp": st.sampled_from(
                    [*["2024-01-01T00:00:00Z"] * 5, "2024-02-02", "never"]
                ),
            },
            optional={
                "device": st.sampled_from(["d1", "d2"]),
                "org": st.sampled_from(["o1", "o2"]),
                "seats": st.integers(1, 3),
            },
        ),
        max_size=30,
    ),
    limits=st.builds(Limits, st.integers(1, 9), st.just(10**6)),
    block_bytes=st.sampled_from([50, 400, 10_000]),
    order=st.integers(0, 10**6),
)
def test_files_of_other_taps_come_to_the_same_sequence_as_their_records(
    records: list[Json], limits: Limits, block_bytes: int, order: int
) -> None:
    """A record may show several ids of a person, and groups; its rejects name its stream."""
    parts = [
        Part(json.dumps({**one, "id": number}).encode() + b"\n", [{**one, "id": number}])
        for number, one in enumerate(records)
    ]
    workers = AnyWorkers(OTHER, random.Random(order).randrange, 3)
    check_same(workers, [parts[:12], parts[12:]], limits, block_bytes)


def check_same(
    workers: AnyWorkers, files: Sequence[Sequence[Part]], limits: Limits, block_bytes: int
) -> None:
    """See that files and records come to the same."""
    wanted = by_records(workers.kind, files, limits)
    got = by_files(files, limits, workers, block_bytes)
    assert texts_of(got.accepted) == texts_of(wanted.accepted)
    assert got.rejects == wanted.rejects
    assert got.counts == wanted.counts


def texts_of(events: Sequence[Json]) -> list[str]:
    """Return events as texts: 1 and 1.0 are different, the order of properties says nothing."""
    return [json.dumps(event, sort_keys=True) for event in events]


def test_unusual_lines_are_read_by_the_schema_that_came_before_their_file(tmp_path: Path) -> None:
    """As workers read the usual ones, although the tap has sent another schema meanwhile."""
    path = tmp_path / "a.json"
    record = {"id": 1, "user_id": "u", "timestamp": "2024-01-01T00:00:00Z"}
    path.write_bytes(json.dumps([record]).encode() + b"\n")
    sender, kinds = FakeTransport(), [AMPLITUDE, OTHER]
    with delivery_to(sender, tmp_path, max_reject_ratio=1) as delivery:
        workers = AnyWorkers(OTHER, random.Random(1).randrange, 1)
        batches = intake_by(workers, delivery, lambda _: kinds[-1].intake())
        batches.add(OTHER.stream, [BatchFile(str(path), is_gzip=False)])
        kinds.pop()
        end = time.monotonic() + SECONDS
        while not batches.is_idle:
            assert time.monotonic() < end
            batches.attend()
        delivery.flush()
        batches.close()
    assert [event["event"] for event in sender.accepted] == ["orders"]
