"""A worker process: blocks of lines in, what became of them out, until the target ends."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any

from target_posthog.common.lenient_json import RECURSION_LIMIT
from target_posthog.common.signals import STOP
from target_posthog.errors import RunAgain, TargetPosthogError, exhausted_system
from target_posthog.workers.conversion import BlockConversion
from target_posthog.workers.messages import Broke, Failed, encoded
from target_posthog.workers.shared_slots import Slots

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from target_posthog.capture.protocols import Wire
    from target_posthog.settings import Settings
    from target_posthog.workers.messages import Answer, Task


def serve(
    target: Connection,
    memory: Any,
    inherited: Sequence[Connection],
    settings: Settings,
    wire: Wire,
) -> None:
    """Convert the target's blocks until it ends; the whole life of a worker.

    `target` is the pipe to it, `memory` what is shared with it; see `shared_slots`. `inherited` is
    what a copy of the target's process has open and must not keep open: the target and the other
    workers would not see each other end.
    """
    # A worker ends with the signal itself: the target decides, and says it. Ctrl-C reaches all
    # processes of a terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
    for connection in inherited:
        connection.close()
    # Events are trees and die by themselves; to look for rings among them costs time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    sys.setrecursionlimit(RECURSION_LIMIT)
    conversion = BlockConversion(settings, wire)
    slots = Slots(memory)
    try:
        while True:
            message = target.recv_bytes()
            task: Task = pickle.loads(slots.beside(message[0], message[1:]))  # noqa: S301 - ours
            answer = encoded(_answer(conversion, task, slots.lines(task.slot, task.size)))
            target.send_bytes(slots.put_beside(task.slot, answer))
    except (EOFError, OSError):
        pass  # the target is gone
    # Nothing is left to do, and nothing that the target's copy had open is this process's to close.
    os._exit(0)


def _answer(conversion: BlockConversion, task: Task, raw: bytes) -> Answer:
    try:
        return conversion.converted(task, raw)
    except TargetPosthogError as error:
        return Failed(type(error).__name__, error.happened, error.remedy)
    except Exception as error:  # noqa: BLE001 - the target says it
        exhausted = exhausted_system(error)
        if exhausted is not None:
            return Failed(RunAgain.__name__, exhausted.happened, exhausted.remedy)
        return Broke(type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
