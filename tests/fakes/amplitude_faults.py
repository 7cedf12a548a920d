"""What can go wrong with an export request, to be programmed by a test."""

from __future__ import annotations

import enum
import inspect
import io
import struct
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tests.fakes import amplitude_answers as answers
from tests.fakes.amplitude_answers import Answer
from tests.fakes.amplitude_archive import Member, zip_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

_GZIP_HEADER = 10
_ZIP_LOCAL_HEADER = 30


@dataclass(frozen=True)
class Ordinary:
    """What the request would have got without the fault.

    Attributes:
        answer: The answer.
        members: The files of its archive; none if it is not an archive.
        hour: The hour that the fault was programmed for.
    """

    answer: Answer
    members: Sequence[Member]
    hour: datetime | None

    def damaged(self, body: bytes) -> Answer:
        """Return the archive's answer with another body, no hour of which counts as served."""
        return replace(self.answer, body=body, hours=frozenset())

    def victim(self) -> int:
        """Return the place of the file to damage: the last one of the fault's hour.

        The last, so that a reader that gives rows out before it has checked the whole
        archive has given out some.
        """
        places = range(len(self.members))
        return max(p for p in places if self.hour is None or self.hour in self.members[p].hours)


def size_400(
    _: Ordinary, *, text: str = answers.TOO_LARGE_TEXT, form: Literal["json", "plain"] = "json"
) -> Answer:
    """Refuse the range as too large, whatever its size."""
    return answers.too_large(text, form)


def other_400(_: Ordinary, *, details: str = "Invalid user property country") -> Answer:
    """Refuse for a reason that no smaller range mends.

    Observed: this body, on the Dashboard API (airbytehq/airbyte#46712).
    """
    return answers.envelope(400, "invalid", "Invalid chart definition", details)


def rate_limit_429(_: Ordinary, *, retry_after: float | str | None = None) -> Answer:
    """Refuse for the rate; `retry_after` is seconds or an HTTP date, `None` sends none."""
    return answers.too_many_requests(None if retry_after is None else str(retry_after))


def server_5xx(_: Ordinary, *, status: int = 503, body: str = "Service Unavailable") -> Answer:
    """Fail on the server's side. 500, 502 and 503 are seen by clients of the live service."""
    return Answer(status, body.encode(), answers.TEXT)


def not_a_zip_200(_: Ordinary, *, form: Literal["html", "json", "zip-typed"] = "html") -> Answer:
    """Answer 200 with an error page or a rate-limit message in place of the archive.

    Observed by a public tap on the live service. `zip-typed` calls the page a zip.
    """
    if form == "json":
        return replace(answers.too_many_requests(None), status=200)
    answer = answers.page(200, "Access Denied")
    return answer if form == "html" else replace(answer, content_type=answers.ZIP)


def truncated_zip(
    ordinary: Ordinary, *, keep: float = 0.5, length: Literal["whole", "cut", "none"] = "whole"
) -> Answer:
    """Send only the share `keep` of the archive.

    `length` says what Content-Length tells: the whole archive's bytes, the bytes that are
    sent (so that HTTP looks right), or nothing.
    """
    body = ordinary.answer.body
    kept = int(len(body) * keep)
    if length == "whole":
        return replace(ordinary.damaged(body), stop_after=kept)
    return replace(ordinary.damaged(body[:kept]), declare_length=length == "cut")


def corrupt_member(ordinary: Ordinary) -> Answer:
    """Flip one byte of a file's data, so that the zip's checksum of it is wrong."""
    member = ordinary.members[ordinary.victim()]
    body = bytearray(ordinary.answer.body)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        header = archive.getinfo(member.name).header_offset
    name_length, extra_length = struct.unpack_from("<HH", body, header + 26)
    start = header + _ZIP_LOCAL_HEADER + name_length + extra_length
    # Behind the gzip header, in the deflated rows: gunzip alone would stumble or lie too.
    body[start + (_GZIP_HEADER + len(member.data())) // 2] ^= 0xFF
    return ordinary.damaged(bytes(body))


def truncated_gzip(ordinary: Ordinary, *, keep: float = 0.5) -> Answer:
    """Send a sound zip in which one gzip file ends after the share `keep` of its bytes."""
    files = [(member.name, member.data()) for member in ordinary.members]
    name, data = files[ordinary.victim()]
    files[ordinary.victim()] = (name, data[: int(len(data) * keep)])
    return ordinary.damaged(zip_of(files))


def corrupt_line(ordinary: Ordinary, *, text: str = '{"event_type": "cut of') -> Answer:
    """Put a line that is no JSON object between the rows of a file; no row is missing."""
    members = list(ordinary.members)
    member = members[ordinary.victim()]
    middle = (len(member.lines) + 1) // 2
    lines = (*member.lines[:middle], text.encode(), *member.lines[middle:])
    members[ordinary.victim()] = replace(member, lines=lines)
    return ordinary.damaged(zip_of([(m.name, m.data()) for m in members]))


def cut_connection(
    ordinary: Ordinary, *, after_bytes: int | None = None, reset: bool = False
) -> Answer:
    """End the connection after some bytes of the body; `None` = before the status line.

    A `reset` may overtake bytes that the reader has not taken yet.
    """
    answer = replace(ordinary.answer, hours=frozenset(), reset=reset)
    if after_bytes is None:
        return replace(answer, say_nothing=True)
    return replace(answer, stop_after=min(after_bytes, len(answer.body) - 1))


def slow(ordinary: Ordinary, *, seconds: float, after_bytes: int | None = None) -> Answer:
    """Send nothing for a while: before the status line, or after some bytes of the body.

    Observed: big exports run into client time-outs of 180 to 600 seconds.
    """
    return replace(ordinary.answer, stall=seconds, stall_after=after_bytes)


def redirect(_: Ordinary, *, to: str, status: int = 302) -> Answer:
    """Send the reader to another address, which must not get the keys."""
    return Answer(status, b"", answers.TEXT, {"Location": to})


def _always(answer: Answer) -> Callable[[Ordinary], Answer]:
    return lambda _: answer


class Fault(enum.Enum):
    """One way in which a request fails. The functions above tell each one's details."""

    SIZE_400 = (size_400,)
    OTHER_400 = (other_400,)
    UNAUTHORIZED_401 = (_always(answers.no_credentials()),)
    # For example keys that were revoked half way.
    FORBIDDEN_403 = (_always(answers.wrong_keys()),)
    # Of something in front of the service, a firewall's for example.
    FORBIDDEN_PAGE = (_always(answers.page(403, "403 Forbidden")),)
    NOT_FOUND_ODD = (_always(answers.odd_not_found()),)
    RATE_LIMIT_429 = (rate_limit_429,)
    SERVER_5XX = (server_5xx,)
    # Amplitude docs, Export API, "Status codes": 504 if the amount of data is large.
    GATEWAY_TIMEOUT_504 = (_always(answers.page(504, "504 Gateway Time-out")),)
    NOT_A_ZIP_200 = (not_a_zip_200,)
    # A case of PostHog's mock of this API.
    EMPTY_BODY_200 = (_always(Answer(200, b"", answers.ZIP)),)
    TRUNCATED_ZIP = (truncated_zip,)
    CORRUPT_MEMBER = (corrupt_member,)
    TRUNCATED_GZIP = (truncated_gzip,)
    CORRUPT_LINE = (corrupt_line,)
    CUT_CONNECTION = (cut_connection,)
    SLOW = (slow,)
    REDIRECT = (redirect,)

    def __init__(self, answer_to: Callable[..., Answer]) -> None:
        self.answer_to = answer_to


# These wait for a request that has an archive to damage.
_DAMAGE = {Fault.TRUNCATED_ZIP, Fault.CORRUPT_MEMBER, Fault.TRUNCATED_GZIP, Fault.CORRUPT_LINE}


@dataclass
class _Programmed:
    fault: Fault
    times: int | None
    hour: datetime | None
    details: Mapping[str, Any]

    def fits(self, first: datetime, last: datetime, members: Sequence[Member]) -> bool:
        if self.hour is not None and not first <= self.hour <= last:
            return False
        if self.fault not in _DAMAGE:
            return True
        return any(self.hour is None or self.hour in member.hours for member in members)


class FaultPlan:
    """The faults still to come, in the order they were programmed."""

    def __init__(self) -> None:
        self._coming: list[_Programmed] = []

    def add(
        self, fault: Fault, times: int | None, hour: datetime | None, details: Mapping[str, Any]
    ) -> None:
        """Program a fault; `times=None` means every fitting request.

        Raises:
            TypeError: The fault knows no such detail, or lacks one.
            ValueError: `times` or `hour` could never be met.
        """
        inspect.signature(fault.answer_to).bind(None, **details)
        if times is not None and times < 1:
            raise ValueError("times must be at least 1, or None for always")
        if hour is not None and (hour.tzinfo is None or hour.minute or hour.second):
            raise ValueError("hour must be a whole hour with a time zone")
        self._coming.append(_Programmed(fault, times, hour, details))

    def apply(
        self, first: datetime, last: datetime, answer: Answer, members: Sequence[Member]
    ) -> Answer:
        """Return what the next fitting fault makes of the answer, and use it up once."""
        for programmed in self._coming:
            if programmed.fits(first, last, members):
                self._use(programmed)
                ordinary = Ordinary(answer, members, programmed.hour)
                return programmed.fault.answer_to(ordinary, **programmed.details)
        return answer

    def pending(self) -> list[Fault]:
        """Return the faults that no request has met as often as programmed."""
        return [programmed.fault for programmed in self._coming if programmed.times is not None]

    def _use(self, programmed: _Programmed) -> None:
        if programmed.times is None:
            return
        programmed.times -= 1
        if not programmed.times:
            self._coming.remove(programmed)
