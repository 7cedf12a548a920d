"""Files as real programs leave them, and the records that stand in them, in order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from tests.support.rows import row

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.support.singer import Json


class Part(NamedTuple):
    """Some bytes of a file.

    Attributes:
        text: they, whole lines.
        records: the records in them, in order.
        bad: the text of each line in them that is none, as the rejects hold it.
    """

    text: bytes
    records: Sequence[Json] = ()
    bad: Sequence[str] = ()


def line_of(record: Json) -> bytes:
    """Return a record as a line without its end."""
    return json.dumps(record, ensure_ascii=False).encode()


class Writer:
    """Writes rows of a few people, each a later one, in all kinds of lines.

    Args:
        choice: decides what comes.
        filling: how many bytes a row has beside its others at most.
        devices_of_user: how many devices each user has; with None, anybody uses any.
    """

    def __init__(
        self, choice: random.Random, *, filling: int = 0, devices_of_user: int | None = 2
    ) -> None:
        self.number = 0
        self._choice = choice
        self._filling = filling
        self._devices_of_user = devices_of_user

    def row(self) -> Json:
        """Return the next row: usual, of the slow way, skipped, rejected, or of a group."""
        number, choice = self.number, self._choice
        self.number += 1
        device = choice.randrange(8)
        user: int | None = None
        if choice.random() < 0.5:
            user = device // self._devices_of_user if self._devices_of_user else choice.randrange(4)
        made = row(
            number,
            device_id=f"device-{device}",
            user_id=None if user is None else f"user-{user}",
            event_properties={"n": number, "filling": "x" * choice.randrange(self._filling + 1)},
        )
        kind = choice.randrange(20)
        if kind == 0:
            made["new_field"] = number
        elif kind == 1:
            made["event_type"] = "left out"
        elif kind == 2:
            made |= {"event_time": "never", "server_upload_time": None}
        elif kind == 3:
            group = f"group-{choice.randrange(3)}"
            made["groups"] = {"org": [group]}
            made["group_properties"] = {"org": {group: {"seats": choice.randrange(3)}}}
        elif kind == 4:
            made["event_properties"]["big"] = 2**70
        return made

    def part(self) -> Part:
        """Return the next lines: most of them usual."""
        kind = self._choice.randrange(40)
        if kind == 0:
            return Part(self._choice.choice([b"\n", b" \t\n", b"\n" * 50, b"\x00\n"]))
        if kind == 1:
            bad = self._choice.choice(["{", '{"a":', "nothing"])
            return Part(bad.encode() + b"\n", bad=[bad])
        if kind == 2:
            return Part(b"\xfa\xff\n", bad=["\\xfa\\xff"])
        rows = [self.row() for _ in range(self._choice.randrange(2, 5) if kind < 12 else 1)]
        lines = [line_of(one) for one in rows]
        texts = {
            3: b"[" + b",".join(lines) + b"]\n",
            4: b"[\n" + b",\n".join(lines) + b"\n]\n",
            5: b" ".join(lines) + b"\n",
            6: b", ".join(lines) + b"\n",
            7: b"\r".join(lines) + b"\r\n",
            8: b"".join(b"\x1e" + line + b"\n" for line in lines),
            9: b"".join(json.dumps(one, indent=1).encode() + b"\n" for one in rows),
            10: b"\xef\xbb\xbf" + b"\n".join(lines) + b"\n",
            11: b"\r\n".join(lines) + b"\r\n",
        }
        return Part(texts.get(kind, b"\n".join(lines) + b"\n"), rows)

    def file(self, parts: int) -> list[Part]:
        """Return the parts of a file."""
        return [self.part() for _ in range(parts)]


def text_of(parts: Sequence[Part], *, ends: bool = True) -> bytes:
    """Return a file; its last line may be without an end."""
    text = b"".join(part.text for part in parts)
    return text if ends else text.removesuffix(b"\n")
