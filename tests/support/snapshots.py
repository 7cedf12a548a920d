"""What a whole run says, as a text that a person reads and git compares.

`--update-snapshots` writes the texts anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: What differs from run to run and from machine to machine.
_CHANGING = (
    (re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", re.MULTILINE), "<time>"),
    (re.compile(r'("time_extracted": )"[^"]*"'), r'\1"<time>"'),
    # Of the key and the address, and so of the port.
    (re.compile(r'("project": )"\w{16}'), r'\1"<project>'),
    (re.compile(r'("run":)"[0-9a-f]{32}"'), r'\1"<run>"'),
    (re.compile(r"\b\d{8}T\d{6}Z(?:-\w+)*"), "<moment>"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://<server>"),
    (re.compile(r"\bv\d+\.\d+\.\d+"), "v<version>"),
    (re.compile(r"in \d:\d\d:\d\d"), "in <duration>"),
)


@dataclass(frozen=True)
class Snapshot:
    """A text in a file beside its test.

    Attributes:
        path: The file.
        renews: Whether it is written, instead of compared.
    """

    path: Path
    renews: bool

    def check(self, folder: Path, **parts: Iterable[Any]) -> None:
        """Compare what a run left with the file.

        Args:
            folder: Where it ran.
            parts: What it left: a text, an object, or objects that are shown one a line.
        """
        text = "\n".join(f"── {name}\n{_shown(part)}" for name, part in parts.items())
        text = text.replace(str(folder), "<folder>")
        for pattern, stable in _CHANGING:
            text = pattern.sub(stable, text)
        if self.renews:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text(text, encoding="utf-8")
        assert text == self.path.read_text(encoding="utf-8"), "if it is right: --update-snapshots"


def _shown(part: Iterable[Any]) -> str:
    if isinstance(part, str):
        return part
    part = [part] if isinstance(part, dict) else part
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in part)
