"""Lines that are not one JSON object each → the objects that stand in them (pure).

One object a line is the rule, and its reader decodes such a line by itself. What it cannot decode
comes here: a JSON array of objects, on one line or on many; several objects on a line, with or
without commas; an object over several lines; lines that end in CR; byte order marks, NULs and the
record separators of RFC 7464 around objects.

Of what is no object as little as possible is given up, and never in silence: one value of an
array, one object whose braces match, else the rest of the line. An object over several lines that
breaks off gives up its first line only, so that a line that was cut does not take its successors
with it. An object followed by what cannot follow one is broken itself: `{"a":{}},"b":1}` must not
become an event without its `b`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .lenient_json import RECURSION_LIMIT, TOO_DEEP, read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Taken = TypeVar("Taken")

#: A longer line takes this way in pieces, so that memory does not grow with it. Amplitude takes
#: events of at most 1 MB.
LONG_LINE_BYTES = 1024 * 1024
#: A longer object is no record, whatever is in it.
MAX_OBJECT_BYTES = 64 * 1024 * 1024
#: Of a text that is no record, so much is kept.
MAX_KEPT_BYTES = 1024 * 1024

_BETWEEN = re.compile(rb"(?:[ \t\x0b\x0c\x00\x1e,\[\]]+|\xef\xbb\xbf)*")
_BLANK_LINES = re.compile(rb"[ \t\x0b\x0c\x00\x1e\r\n]*[\r\n]")
_BRACKET = re.compile(rb"[\[\]]")
_LINE_END = re.compile(rb"[\r\n]")
_STRING = rb'"[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*"'
_TOKEN = re.compile(_STRING + rb'|["{}\[\]]')
#: A value of an array that is no object.
_VALUE = re.compile(rb"(?:" + _STRING + rb"|[A-Za-z0-9+.\-]+)(?=[ \t]*[,\]\r\n])")
_NOT_JSON = "not JSON"
_QUOTE, _OBJECT, _ARRAY = b'"{['
_OPENED_BY = dict(zip(b"}]", b"{[", strict=True))
_UTF16 = re.compile(rb"\xff\xfe|\xfe\xff|[\[{]\x00.\x00|\x00[\[{]\x00")


class NotUtf8(Exception):
    """A file as a whole is text of another coding."""


class Found(NamedTuple):
    """An object, or a text that is none.

    Attributes:
        place: Where it begins, in words.
        text: It, as it stands there; of what is no object at most `MAX_KEPT_BYTES`.
        record: Its value; None when it is no object.
        reason: Why it is none, without any of its content.
    """

    place: str
    text: bytes
    record: dict[str, Any] | None
    reason: str = ""


class _Left(NamedTuple):
    """What is left of a line that is given up, as far as it came."""

    place: str
    head: bytes
    size: int
    reason: str


class ObjectCutter:
    """Cuts objects out of lines that cannot be decoded by themselves.

    One class, as its steps share one state: what came and is not settled.

    Args:
        longest: What is longer is no object.
        kept: How much of what is no object is kept.

    Attributes:
        is_open: The next line goes on with the last one: it must come here, too.
    """

    def __init__(self, *, longest: int = MAX_OBJECT_BYTES, kept: int = MAX_KEPT_BYTES) -> None:
        self.is_open = False
        self._longest = longest
        self._kept = kept
        #: What is not settled, where it begins in all that came, and where in it to go on.
        self._text = bytearray()
        self._base = self._at = 0
        self._line = self._item = 0
        #: From how many bytes on it is worth to look again for the end of what waits.
        self._enough = 0
        #: The brackets that are open in an object, in all that came; how far it was looked at.
        self._brackets: list[int] = []
        self._scanned = 0
        #: Where objects begin that cannot be closed.
        self._hopeless: set[int] = set()
        #: A whole object whose successor is not known yet.
        self._held: tuple[int, int] | None = None
        self._place = self._array_place = ""
        self._arrays = 0
        self._left: _Left | None = None
        self._found: list[Found] = []

    def feed(self, number: int, line: bytes) -> list[Found]:
        """Take a line, or a part of a long one.

        Args:
            number: Its number, from 1.
            line: The line with its end; a part without one goes on with the next line.

        Returns:
            What is settled by now, in order.

        Raises:
            NotUtf8: The file is text of another coding.
        """
        if not self.is_open:
            self._line, self._item = number, 0
            if number == 1 and _UTF16.match(line):
                raise NotUtf8("UTF-16")
        goes_on = not line.endswith(b"\n")
        if self._left is not None:
            line = self._skip(self._left, line)
        self._text += line
        if not goes_on or len(self._text) >= self._enough:
            self._settle(last=False)
        self.is_open = goes_on or bool(self._text) or self._left is not None
        return self._taken()

    def end(self) -> list[Found]:
        """Return what is left at the end of the file."""
        if self._left is not None:
            self._give_up(self._left)
        self._settle(last=True)
        if self._arrays:
            self._reject(self._array_place, b"[", "an array that has no end")
            self._arrays = 0
        self.is_open = False
        return self._taken()

    def _taken(self) -> list[Found]:
        found, self._found = self._found, []
        return found

    def _settle(self, *, last: bool) -> None:
        """Take apart what came; leave what may go on."""
        while self._close(last=last) if self._brackets else self._next(last=last):
            pass
        done = self._at if self._held is None else self._held[0]
        if self._held is not None:
            self._held = 0, self._held[1] - done
        del self._text[:done]
        self._base += done
        self._at -= done
        self._scanned -= done
        self._enough = min(2 * len(self._text), self._longest + 1)

    def _next(self, *, last: bool) -> bool:
        """Go on to what stands next outside of objects; tell whether there is more to do."""
        text = self._text
        between = _BETWEEN.match(text, self._at)
        at = self._at if between is None else between.end()
        if not self._pass_brackets(at):
            return self._give_up_line(self._at, last=last)
        self._at = at
        if at == len(text):
            if last:
                self._confirm()
            return False
        if text[at] in b"\r\n":
            self._confirm()
            self._pass_blank_lines()
            return True
        if text[at] == _OBJECT:
            self._confirm()
            return self._open(last=last)
        return self._take_other(last=last)

    def _pass_brackets(self, end: int) -> bool:
        """Note which arrays begin and end up to a place; tell whether each end has a beginning."""
        for bracket in _BRACKET.finditer(self._text, self._at, end):
            if bracket[0] == b"[":
                self._array_place = self._array_place if self._arrays else f"line {self._line:,}"
                self._arrays += 1
            elif self._arrays:
                self._arrays -= 1
            else:
                self._at = bracket.start()
                return False
        return True

    def _pass_blank_lines(self) -> None:
        blank = _BLANK_LINES.match(self._text, self._at)
        end = self._at + 1 if blank is None else blank.end()
        self._count_lines(self._at, end)
        self._at = end

    def _count_lines(self, begin: int, end: int) -> None:
        ends = self._text.count(b"\n", begin, end)
        if ends:
            self._line, self._item = self._line + ends, 0

    def _name_place(self) -> None:
        """Say where the next item stands."""
        self._item += 1
        item = f", item {self._item:,}" if self._item > 1 else ""
        self._place = f"line {self._line:,}{item}"

    def _open(self, *, last: bool) -> bool:
        """Begin an object, unless it is known to have no end."""
        self._name_place()
        if self._base + self._at in self._hopeless:
            return self._leave_line(self._at, self._at, _NOT_JSON, last=last)
        self._brackets = [self._base + self._at]
        self._scanned = self._at + 1
        return True

    def _take_other(self, *, last: bool) -> bool:
        """Take what is no object: a value of an array, else the rest of the line."""
        text, at = self._text, self._at
        value = _VALUE.match(text, at) if self._arrays else None
        if value is None:
            is_short = len(text) - at <= min(self._kept, self._longest)
            if is_short and not last and _LINE_END.search(text, at) is None:
                return False  # its end may still come
            return self._give_up_line(at, last=last)
        self._confirm()
        self._name_place()
        read = read_object(value[0])
        self._reject(self._place, value[0], read if isinstance(read, str) else _NOT_JSON)
        self._at = value.end()
        return True

    def _close(self, *, last: bool) -> bool:
        """Look for the end of the object that is open; tell whether there is more to do."""
        begin = self._brackets[0] - self._base
        for token in _TOKEN.finditer(self._text, self._scanned):
            at, end = token.span()
            if end - begin > self._longest:
                return self._break_off(self._too_long(), last=last)
            if self._text[at] != _QUOTE:
                if wrong := self._nest(at):
                    return self._break_off(wrong, last=last)
                if not self._brackets:
                    self._held, self._at = (begin, end), end
                    self._count_lines(begin, end)
                    return True
            elif end - at == 1:
                self._scanned = at
                return self._wait_for_string(at, last=last)
        self._scanned = len(self._text)
        return self._wait(last=last)

    def _nest(self, at: int) -> str:
        """Note a bracket in an object; return what is wrong with it."""
        brackets, kind = self._brackets, self._text[at]
        if kind in _OPENED_BY:
            if self._text[brackets[-1] - self._base] != _OPENED_BY[kind]:
                return _NOT_JSON
            brackets.pop()
            return ""
        if not self._may_open(at):
            return _NOT_JSON
        brackets.append(self._base + at)
        return TOO_DEEP if len(brackets) > RECURSION_LIMIT else ""

    def _wait_for_string(self, at: int, *, last: bool) -> bool:
        """Wait for the end of a string, unless the line ends before."""
        line_end = _LINE_END.search(self._text, at)
        if line_end is None:
            return self._wait(last=last)
        begin = self._brackets[0] - self._base
        is_long = line_end.start() - begin > self._longest
        return self._break_off(self._too_long() if is_long else _NOT_JSON, last=last)

    def _wait(self, *, last: bool) -> bool:
        begin = self._brackets[0] - self._base
        if len(self._text) - begin > self._longest:
            return self._break_off(self._too_long(), last=last)
        return self._break_off(_NOT_JSON, last=last) if last else False

    def _may_open(self, at: int) -> bool:
        """Tell whether an object or array can begin here, inside of another."""
        begin, before, size = self._brackets[-1] - self._base, b"", 16
        while not before:  # the bracket around it is not blank
            before = bytes(self._text[max(begin, at - size) : at]).rstrip(b" \t\r\n")
            size *= 4
        in_array = self._text[begin] == _ARRAY
        return before[-1:] in ({b"[", b","} if in_array else {b":"})

    def _break_off(self, reason: str, *, last: bool) -> bool:
        """Give up the first line of an object that has no end.

        What is still open in it has none either. All else is looked at again.
        """
        begin = self._brackets[0] - self._base
        self._hopeless = set(self._brackets)
        self._brackets = []
        return self._leave_line(begin, begin, reason, last=last)

    def _confirm(self) -> None:
        """Take the object that was whole: what follows can follow."""
        if self._held is None:
            return
        begin, end = self._held
        self._held = None
        text = bytes(self._text[begin:end])
        read = read_object(text)
        if isinstance(read, str):
            self._reject(self._place, text, read)
        else:
            self._found.append(Found(self._place, text, read))

    def _give_up_line(self, at: int, *, last: bool) -> bool:
        """Give up the rest of a line, with the object before it on which it hangs."""
        if self._held is None:
            self._name_place()
        begin = at if self._held is None else self._held[0]
        return self._leave_line(begin, at, _NOT_JSON, last=last)

    def _leave_line(self, begin: int, at: int, reason: str, *, last: bool) -> bool:
        """Reject what stands from one place to the end of the line of another."""
        self._held = None
        text = self._text
        line_end = _LINE_END.search(text, at)
        end = len(text) if line_end is None else line_end.start()
        head = bytes(text[begin : min(end, begin + self._kept)])
        left = _Left(self._place, head, end - begin, reason)
        self._at = end
        if line_end is None and not last:
            self._left = left
            return False
        self._give_up(left)
        return True

    def _skip(self, left: _Left, line: bytes) -> bytes:
        """Pass over what belongs to a line that is given up; return the rest."""
        line_end = _LINE_END.search(line)
        end = len(line) if line_end is None else line_end.start()
        head = left.head + line[: min(end, max(0, self._kept - len(left.head)))]
        self._left = left._replace(head=head, size=left.size + end)
        self._base += end
        if line_end is not None:
            self._give_up(self._left)
        return line[end:]

    def _give_up(self, left: _Left) -> None:
        self._left = None
        reason = left.reason
        if reason == _NOT_JSON and left.size == len(left.head):
            read = read_object(left.head)
            reason = read if isinstance(read, str) else reason
        self._reject(left.place, left.head, reason, left.size)

    def _reject(self, place: str, text: bytes, reason: str, size: int = 0) -> None:
        size = max(size, len(text))
        if size > self._kept:
            text = text[: self._kept]
            reason = f"{reason}; only the first {len(text):,} of its {size:,} bytes are kept here"
        self._found.append(Found(place, text, None, reason))

    def _too_long(self) -> str:
        return f"longer than {self._longest:,} bytes"


def taken_from(
    blocks: Iterable[tuple[int, list[bytes]]],
    usual: Callable[[bytes], Taken | None],
    of_object: Callable[[dict[str, Any]], Taken],
) -> Iterator[Taken | Found]:
    """Take the objects of a file, one after the other.

    Args:
        blocks: Lines, or parts of long ones, with the number of the first of each block.
        usual: Takes a line that is one object and nothing else; None for any other.
        of_object: Takes an object of any other line.

    Yields:
        What they return, and texts that are no objects.

    Raises:
        NotUtf8: The file is text of another coding.
    """
    cutter = ObjectCutter()
    for first, lines in blocks:
        number = first
        for line in lines:
            if not cutter.is_open and len(line) <= LONG_LINE_BYTES:
                taken = usual(line)
                if taken is not None:
                    number += 1
                    yield taken
                    continue
            for found in cutter.feed(number, line):
                yield found if found.record is None else of_object(found.record)
            number += line.count(b"\n")
    for found in cutter.end():
        yield found if found.record is None else of_object(found.record)


def as_it_is(content: dict[str, Any]) -> dict[str, Any]:
    """Take an object without a change."""
    return content
