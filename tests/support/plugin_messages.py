"""What the plugins can say when they stop, read out of their code.

A message is a text with gaps: `PostHog answered {status}` becomes `PostHog answered …`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tap_amplitude.errors import TapError
from target_posthog.commands.output_files import CannotWrite
from target_posthog.errors import StateNotWritten, TargetPosthogError
from target_posthog.sdk import RecordWithoutSchema

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "tap-amplitude": ROOT / "tap-amplitude/tap_amplitude",
    "target-posthog": ROOT / "target-posthog/target_posthog",
}
#: Functions that list what is wrong with the settings, each problem as a text of its own.
_LISTS_OF_PROBLEMS = re.compile(
    ".*_problems|problems_of|_in_words|misspelt_variables|not_passed_on|parts_kept_back|typed"
    "|setting_conflicts|unknown_settings|_too_many_rejects|__str__"
)
#: What follows a message: what to do.
_REMEDY = re.compile(r"(?:Run|Set|See) ")


def messages_of(plugin: str) -> set[str]:
    """Return every text with which a plugin says what happened.

    Args:
        plugin: `tap-amplitude` or `target-posthog`.

    Returns:
        The texts, with `…` for what is filled in, without backticks.
    """
    found: set[str] = set()
    for path in sorted(PACKAGES[plugin].rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found.update(_messages(tree))
    return {text for text in found if re.search(r"[a-z]{3}", text) and not _REMEDY.match(text)}


def plain(text: str) -> str:
    """Return a text as it is compared: no backticks, gaps as one `…`, single blanks."""
    gaps = re.sub(r"…(?:[\s']*…)*", "…", text.replace("`", ""))
    return " ".join(gaps.split())


def _messages(tree: ast.Module) -> Iterator[str]:
    names = _names_of(TapError) | _names_of(TargetPosthogError)
    names |= {one.__name__ for one in (StateNotWritten, RecordWithoutSchema, CannotWrite)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in names and node.args:
            yield from _texts(node.args[0])
        elif isinstance(node, ast.ClassDef) and node.name in names:
            for one in _own_messages(node):
                yield from _texts(one)
        elif _is_list_of_texts(node):
            yield from _sentences(node)


def _is_list_of_texts(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and bool(_LISTS_OF_PROBLEMS.fullmatch(node.name))


def _own_messages(error: ast.ClassDef) -> Iterator[ast.AST]:
    """Return the messages that an error's class brings itself: `super().__init__(…)`."""
    for node in ast.walk(error):
        if isinstance(node, ast.Call) and _called(node) == "__init__" and node.args:
            yield node.args[0]


def _names_of(error: type[BaseException]) -> set[str]:
    names = {error.__name__}
    for kind in error.__subclasses__():
        names |= _names_of(kind)
    return names


def _called(call: ast.Call) -> str:
    name = call.func
    return name.id if isinstance(name, ast.Name) else getattr(name, "attr", "")


def _sentences(node: ast.AST) -> Iterator[str]:
    """Return the texts below a node that end as a sentence does."""
    inside: set[ast.AST] = set()
    for child in ast.walk(node):
        if child in inside or not isinstance(child, (ast.JoinedStr, ast.Constant)):
            continue
        inside.update(ast.walk(child))
        text = plain(_template(child))
        if text.endswith((".", "?", ". …")) and " " in text and child is not _docstring(node):
            yield text


def _docstring(node: ast.AST) -> ast.AST | None:
    first = node.body[0] if isinstance(node, ast.FunctionDef) else None
    return first.value if isinstance(first, ast.Expr) else None


def _texts(message: ast.AST) -> Iterator[str]:
    """Return a message, or both sides of one that is chosen."""
    sides = [message.body, message.orelse] if isinstance(message, ast.IfExp) else [message]
    for side in sides:
        yield plain(_template(side))


def _template(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) for part in node.values)
    return "…"
