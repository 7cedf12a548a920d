"""Singer messages → standard output, fast and never half."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from singer_sdk.singerlib import Message, RecordMessage, SchemaMessage, StateMessage
from singer_sdk.singerlib.encoding.base import GenericSingerWriter

from tap_amplitude.common.signals import SIGNALS
from tap_amplitude.errors import RunAgain, TargetEnded, no_room
from tap_amplitude.records import encode

if sys.platform == "linux":
    import fcntl

if TYPE_CHECKING:
    from datetime import datetime

#: Flushing each record, as the SDK's writer does, wakes the reader for each record.
_FLUSH_BYTES = 256 * 1024
#: A pipe holds 64 KiB, which wakes writer and reader for each 30 rows. Linux gives anybody this
#: much (man 7 pipe, `/proc/sys/fs/pipe-max-size`).
_PIPE_BYTES = 1024 * 1024


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages in blocks of whole lines; all but records are flushed at once.

    Attributes:
        lacks_state: Records or files came behind the last STATE, or a schema before any.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lacks_state = False
        self._has_state = False
        # Looked up here and not in the class body, so that a redirected stdout is respected.
        self._out = sys.stdout.buffer
        if sys.platform == "linux":
            with suppress(OSError):  # no pipe, or the system gives no more
                fcntl.fcntl(self._out.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._pending = bytearray()

    def serialize_message(self, message: Message) -> bytes:
        """Return a message as one line of JSON, without its end."""
        return encode(message.to_dict())

    def write_message(self, message: Message) -> None:
        """Put a message into the output.

        Raises:
            TapError: The reader has ended, or there is no room.
        """
        self._pending += self.serialize_message(message)
        self._pending += b"\n"
        if isinstance(message, StateMessage):
            self._has_state, self.lacks_state = True, False
        elif not (self._has_state and isinstance(message, SchemaMessage)):
            self.lacks_state = True
        if len(self._pending) >= _FLUSH_BYTES or not isinstance(message, RecordMessage):
            self.flush()

    def frame(self, stream: str, extracted: datetime) -> tuple[bytes, bytes]:
        """Return what stands before and behind a record in its message, for `write_record`."""
        message = RecordMessage(stream, {}, time_extracted=extracted)
        before, _, behind = self.serialize_message(message).rpartition(b"{}")
        return before, behind + b"\n"

    def write_record(self, frame: tuple[bytes, bytes], record: bytes) -> None:
        """Put the message of a record, one line of JSON, into the output; see `frame`.

        Raises:
            TapError: The reader has ended, or there is no room.
        """
        before, behind = frame
        self.lacks_state = True
        self._pending += before + record + behind
        if len(self._pending) >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything over to the reader; a stop waits: a line cut in two ends a target.

        Raises:
            TapError: The reader has ended, or there is no room.
            StoppedBySignal: A signal came meanwhile.
        """
        try:
            # Ctrl-C ends both, and the target may go first: then the signal is the reason.
            with SIGNALS.deferred():
                with memoryview(self._pending) as lines:
                    sent = 0
                    while sent < len(lines):
                        # With PYTHONUNBUFFERED, a write that a signal interrupts stops half-way.
                        sent += self._out.write(lines[sent:])
                self._out.flush()
                self._pending.clear()
        except BrokenPipeError as error:
            raise TargetEnded from error
        except OSError as error:
            raise no_room(error, "the output", setting=None) or RunAgain(
                f"The output could not be written ({error}).",
                remedy="Run the same command again.",
            ) from error
