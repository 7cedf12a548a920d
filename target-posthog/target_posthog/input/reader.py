"""Singer lines in: read as bytes, decoded without bending a value."""

from __future__ import annotations

import codecs
import sys
from typing import IO, TYPE_CHECKING, Any, cast

from typing_extensions import override

from target_posthog.common.lenient_json import MAX_DEPTH, TooDeep, loads
from target_posthog.errors import BrokenInput
from target_posthog.input.deep_records import deep_record_message
from target_posthog.input.stdin import PollingStdin
from target_posthog.sdk import MessageReader

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator

    from target_posthog.input.record_blocks import RecordBlocks
    from target_posthog.input.stdin import OnIdle

#: The parts of a message that the SDK relies on without looking, and their types.
_PARTS: dict[str, dict[str, type]] = {
    "SCHEMA": {"stream": str, "schema": dict},
    "RECORD": {"stream": str, "record": dict},
    "ACTIVATE_VERSION": {"stream": str},
    "BATCH": {"stream": str},
}
#: How a text begins that is UTF-16.
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class SingerLines(MessageReader):
    """Reads the messages of a tap from standard input, or from a file."""

    def __init__(self) -> None:
        super().__init__()
        self._read = 0
        #: What must not wait while the input is silent; see `PollingStdin`.
        self.on_idle: OnIdle | None = None
        #: Hears how long the input was waited for.
        self.on_waited: Callable[[float], object] = lambda _: None
        #: What takes plain records without the SDK's way through each of them.
        self.blocks: RecordBlocks | None = None
        self._earlier: int | None = None

    @override
    def process_lines(
        self,
        file_input: IO[bytes] | None,
        callbacks: dict[str, Callable[[dict[str, Any]], None]],
    ) -> Counter[str]:
        lines: Any = file_input or self.default_input
        if self.blocks is not None:
            lines = self.blocks.others(lines)
        messages: Any = self._messages(lines)
        counts = super().process_lines(messages, callbacks)
        counts["RECORD"] += self._taken
        return counts

    def _messages(self, lines: Iterable[Any]) -> Iterator[Any]:
        """Yield the lines that are not blank, without the mark at the start of a text (BOM)."""
        for line in lines:
            self._read += 1
            first = self._line == 1
            message = _without_mark(line) if first else line
            if message.strip():
                yield message

    @property
    def _taken(self) -> int:
        return 0 if self.blocks is None else self.blocks.taken

    @property
    def _line(self) -> int:
        """The number of the line that is looked at: mostly the one that was read last."""
        return self._earlier or self._read + self._taken

    @property
    @override
    def default_input(self) -> IO[bytes]:
        if self.on_idle is None or sys.platform == "win32":
            return sys.stdin.buffer
        return cast("IO[bytes]", PollingStdin(sys.stdin.buffer, self.on_idle, self.on_waited))

    def record_message(self, line: bytes, number: int) -> dict[str, Any]:
        """Return the RECORD message of a line that was read earlier.

        Raises:
            BrokenInput: it is none.
        """
        self._earlier = number
        try:
            message = self.deserialize_json(line)
            if message["type"] != "RECORD":
                # Such as one that names its type twice.
                raise self._no_message()
        finally:
            self._earlier = None
        return message

    @override
    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Return the message of a line.

        Of a RECORD that nests too deep, a `Found` stands in the place of the record.

        Raises:
            BrokenInput: it is not a JSON object with a type. The line itself is not shown: it may
                hold a person's data.
        """
        if self._line == 1 and line[:2] in _UTF_16:
            raise BrokenInput(
                "The input is UTF-16 text, not UTF-8.",
                "A shell wrote it, such as PowerShell with `>`: convert it, and run again.",
            )
        try:
            # One level is the message: a line of a batch file is the record alone.
            message = loads(line, deepest=MAX_DEPTH + 1)
        except TooDeep:
            return self._too_deep(line)
        except ValueError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise self._no_message()
        kind = message["type"]
        unsound = next(_unsound_parts(kind, message), None)
        if unsound is not None:
            raise BrokenInput(
                f"Line {self._line} of the input is not a valid {kind} message: `{unsound}` is "
                "missing or has the wrong type.",
                "Fix the tap, and run again.",
            )
        return message

    def _no_message(self) -> BrokenInput:
        return BrokenInput(
            f"Line {self._line} of the input is not a Singer message.",
            "The tap writes something else to its standard output, or was cut off: see its "
            "log, and run again.",
        )

    def _too_deep(self, line: bytes | str) -> dict[str, Any]:
        text = line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")
        message = deep_record_message(text, self._line)
        if message is None:
            raise BrokenInput(
                f"Line {self._line} of the input nests deeper than {MAX_DEPTH} levels.",
                "It is not a record, which could be kept aside: deselect the stream in the tap, "
                "and run again.",
            )
        return message

    @override
    def refuse_type(self) -> None:
        raise BrokenInput(
            f"Line {self._line} of the input is a message of an unknown type.",
            "See which tap wrote it, and run again with one that follows the Singer specification.",
        )


def _unsound_parts(kind: str, message: dict[str, Any]) -> Iterator[str]:
    """Yield the parts of a message that the SDK or this target could not use."""
    for part, wanted in _PARTS.get(kind, {}).items():
        if not isinstance(message.get(part), wanted) or message[part] == "":
            yield part
    keys = message.get("key_properties") or []
    if kind == "SCHEMA" and not (
        isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    ):
        yield "key_properties"
    if kind == "STATE" and "value" not in message:
        yield "value"


def _without_mark(line: bytes | str) -> bytes | str:
    if isinstance(line, bytes):
        return line.removeprefix(codecs.BOM_UTF8)
    return line.removeprefix("\ufeff")
