"""Singer messages → standard output, fast and never half."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import orjson
from singer_sdk.singerlib import Message, RecordMessage
from singer_sdk.singerlib.encoding.base import GenericSingerWriter

from tap_amplitude.errors import RunAgain, Stopped, TargetEnded, no_room

#: A pipe holds 64 KiB on Linux. Flushing each record, as the SDK's writer does, wakes the reader
#: for each record.
_FLUSH_BYTES = 64 * 1024


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages in blocks of whole lines; all but records are flushed at once."""

    def __init__(self) -> None:
        super().__init__()
        # Looked up here and not in the class body, so that a redirected stdout is respected.
        self._out = sys.stdout.buffer
        self._pending = bytearray()
        self._writing = False
        self._deferred: Stopped | None = None

    def serialize_message(self, message: Message) -> bytes:
        """Write a message as one line of JSON.

        Args:
            message: Any Singer message.

        Returns:
            The line, without its end.
        """
        content: dict[str, Any] = message.to_dict()
        try:
            return orjson.dumps(content)
        except TypeError:  # an integer beyond 64 bits, or deep nesting
            return msgspec.json.encode(content)

    def write_message(self, message: Message) -> None:
        """Put a message into the output.

        Args:
            message: Any Singer message.

        Raises:
            TapError: The reader has ended, or there is no room.
        """
        self._pending += self.serialize_message(message)
        self._pending += b"\n"
        if len(self._pending) >= _FLUSH_BYTES or not isinstance(message, RecordMessage):
            self.flush()

    def flush(self) -> None:
        """Hand everything over to the reader.

        Raises:
            TapError: The reader has ended, or there is no room.
        """
        self._writing = True
        try:
            with memoryview(self._pending) as lines:
                sent = 0
                while sent < len(lines):
                    # With PYTHONUNBUFFERED, a write that a signal interrupts stops half-way.
                    sent += self._out.write(lines[sent:])
            self._out.flush()
            self._pending.clear()
        except BrokenPipeError as error:
            if self._deferred:  # Ctrl-C ends both, and the target went first
                raise self._deferred from error
            raise TargetEnded(
                "The target ended before the tap was done; the cause is in the target's log.",
                remedy="Mend it, and run the same command again.",
            ) from error
        except OSError as error:
            raise no_room(error, "the output") or RunAgain(
                f"The output could not be written ({error}).",
                remedy="Run the same command again.",
            ) from error
        finally:
            self._writing = False
        if self._deferred:
            raise self._deferred

    def defer(self, stop: Stopped) -> bool:
        """Keep a stop for the end of a write that is under way: a line cut in two ends a target.

        Args:
            stop: What a signal handler is about to raise.

        Returns:
            Whether it is kept. A second signal is not: the reader may have hung up for good.
        """
        if not self._writing or self._deferred:
            return False
        self._deferred = stop
        return True
