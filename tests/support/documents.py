"""The documents of the repository, and what stands in them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text without the indent, and its line number."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Document:
    """A Markdown file."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Its path from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def blocks(self) -> list[Block]:
        """Its fenced blocks, in order."""
        return [
            Block(
                match["language"],
                re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
                self.text.count("\n", 0, match.start()) + 1,
            )
            for match in _FENCE.finditer(self.text)
        ]

    @property
    def prose(self) -> str:
        """Its text without the fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def code_words(self) -> set[str]:
        """What stands in backticks."""
        return set(_CODE.findall(self.prose))

    @property
    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub makes them."""
        return {
            re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
            for heading in _HEADING.findall(self.prose)
        }

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of every table row below a heading, down to the next one of its level.

        Args:
            heading: the heading's line, such as `## Rejects`.
        """
        level = heading.partition(" ")[0]
        _, found, below = self.text.partition(f"\n{heading}\n")
        assert found, f"{self.name} has no heading {heading!r}"
        section = re.split(rf"^#{{1,{len(level)}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]
        lines = [line for line in section.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        rule = [number for number, row in enumerate(cells) if set("".join(row)) <= {"-"}]
        heads = {number - 1 for number in rule}
        return [row for number, row in enumerate(cells) if number not in heads | set(rule)]


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git of the machine
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


@cache
def documents() -> tuple[Document, ...]:
    """Return every Markdown file of the repository."""
    return tuple(
        Document(path, path.read_text(encoding="utf-8"))
        for path in tracked_files()
        if path.suffix == ".md"
    )


def document(name: str) -> Document:
    """Return a document by its path from the root."""
    return next(one for one in documents() if one.name == name)
