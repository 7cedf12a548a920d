"""The shape of both packages: classes that can be read at once, and a place for every module."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tap_amplitude
import target_posthog
from tests.support.documents import document

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_LINES, _MOST_METHODS = 150, 15
#: How the sentence begins that says why a class is larger.
_REASON = re.compile(r"\bOne class, as \w")
_RELATIVE = re.compile(r"(?<![/\w])docs/[\w/-]*\.md")
_PACKAGES = {
    "tap-amplitude": Path(*tap_amplitude.__path__),
    "target-posthog": Path(*target_posthog.__path__),
}


def large_classes(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each large class of a module: its name and size, and its docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            methods = sum(isinstance(one, ast.FunctionDef) for one in node.body)
            if lines > _MOST_LINES or methods > _MOST_METHODS:
                name = f"{path.name}: {node.name} ({lines} lines, {methods} methods)"
                yield name, ast.get_docstring(node) or ""


@pytest.mark.parametrize("plugin", _PACKAGES)
def test_a_large_class_says_why_it_is_one(plugin: str) -> None:
    """Its docstring has a sentence that begins with "One class, as"."""
    modules = _PACKAGES[plugin].rglob("*.py")
    found = [large for path in modules for large in large_classes(path)]
    assert found
    assert [name for name, docstring in found if not _REASON.search(docstring)] == []


@pytest.mark.parametrize("plugin", _PACKAGES)
def test_a_message_names_a_document_by_its_address(plugin: str) -> None:
    """Whoever installed the package has no `docs/`; comments and docstrings are for its makers."""
    for path in _PACKAGES[plugin].rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
        texts = [str(node.value) for node in constants if id(node) not in docstrings]
        assert [text for text in texts if _RELATIVE.search(text)] == [], path.name


def rooms_in(part: str) -> set[str]:
    """What a part of CONTRIBUTING's tables has of a package's root."""
    table = document("CONTRIBUTING.md").text.partition(f"### {part}\n")[2].partition("\n#")[0]
    return set(re.findall(r"`(\w+\.py|\w+)/?(?:\w+/)*`", table))


@pytest.mark.parametrize("plugin", _PACKAGES)
def test_every_module_in_a_root_and_every_room_has_its_line(plugin: str) -> None:
    """CONTRIBUTING's tables are the plan of both packages: nothing stands beside it."""
    own, both = rooms_in(plugin), rooms_in("Both, and around them")
    there = {
        path.name
        for path in _PACKAGES[plugin].iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.name != "__init__.py"
    }
    assert there - own - both == set()
    assert {name for name in own if name.endswith(".py")} - there == set()
