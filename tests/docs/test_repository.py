"""What holds for every file: links lead somewhere, and nothing tells of one machine."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli
from packaging.requirements import Requirement

from tests.support.documents import ROOT, Document, document, documents, tracked_files

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLUGINS = ("tap-amplitude", "target-posthog")
_PACKAGES = ("tap-amplitude/tap_amplitude", "target-posthog/target_posthog")
_REPOSITORY = "https://github.com/amplitude-to-posthog/amplitude-to-posthog"
_HOME = f"{_REPOSITORY}/blob/main/"
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
#: Written in pieces, so that this file does not hold what it looks for.
_PLACES = re.compile(
    rb"/(?:wor[k]|roo[t]|opt/py[p]i)/|/(?:hom[e]|User[s])/\w|\bC:\\\\User[s]"
    rb"|https?://[^\s\"'/]*(?:py[p]i|artifactor[y]|nexu[s]|devp[i])"
)
_TEXTS = frozenset({"", ".cfg", ".example", ".json", ".md", ".py", ".toml", ".typed", ".yml"})


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.name)
def test_every_link_between_documents_resolves(page: Document) -> None:
    """A link into the repository names a file that is there, and an anchor a heading of it."""
    for link in _LINK.findall(page.prose):
        whole = link.startswith(_HOME)
        if not whole and link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.removeprefix(_HOME).partition("#")
        folder = ROOT if whole else page.path.parent
        path = (folder / name).resolve() if name else page.path
        assert path in tracked_files(), f"{page.name}: {link}"
        if anchor:
            target = document(path.relative_to(ROOT).as_posix())
            assert anchor in target.anchors, f"{page.name}: {link}"


@pytest.mark.parametrize("plugin", _PLUGINS)
def test_a_package_can_stand_alone(plugin: str) -> None:
    """On a package index nothing lies beside its README, and the wheel has a licence of its own."""
    links = _LINK.findall(document(f"{plugin}/README.md").prose)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert [link for link in links if link.startswith(_HOME)] != []
    assert (ROOT / plugin / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_both_packages_have_the_version_of_the_newest_release() -> None:
    """`--version` and `$lib_version` come from the installed package; the changelog leads."""
    [newest, *_] = re.findall(r"^## \[(\d\S*)\]", document("CHANGELOG.md").text, re.MULTILINE)
    for plugin in _PLUGINS:
        assert _project(f"{plugin}/pyproject.toml")["project"]["version"] == newest
        assert version(plugin) == newest, "make setup installs it"


def test_every_address_of_the_repository_is_the_same() -> None:
    """The packages, the forms for issues and the documents lead to one place, and to its files."""
    for path in tracked_files():
        if path.suffix not in _TEXTS - {".py"}:
            continue
        for address in re.findall(rf"{_REPOSITORY}([^\s)\"'#]*)", path.read_text(encoding="utf-8")):
            name = address.removeprefix("/blob/main/").rstrip(".")
            assert name in ("", "/issues", "/security/policy") or (ROOT / name).is_file(), address
    urls = [_project(f"{plugin}/pyproject.toml")["project"]["urls"] for plugin in _PLUGINS]
    assert {url["Repository"] for url in urls} == {_REPOSITORY}


def test_every_document_can_be_reached_from_the_readme() -> None:
    """Following links from the README leads to each page of docs/."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        page = document(path.relative_to(ROOT).as_posix())
        links = (link.partition("#")[0] for link in _LINK.findall(page.prose) if "://" not in link)
        waiting += [(path.parent / link).resolve() for link in links if link]
    missed = [page.name for page in documents() if page.path not in reached]
    assert missed == []


def test_no_file_tells_of_one_machine() -> None:
    """No path of a developer's machine and no host of a package registry stands in any file."""
    files = [path for path in tracked_files() if path.suffix in _TEXTS]
    assert len(files) > 50
    found = {
        path.relative_to(ROOT).as_posix(): match[0]
        for path in files
        if (match := _PLACES.search(path.read_bytes()))
    }
    assert found == {}


def test_a_machines_path_would_be_seen() -> None:
    """The search above can fail."""
    for place in ("/ho" + "me/ann/project", "https://py" + "pi.example.org/simple"):
        assert _PLACES.search(place.encode())


def test_every_file_in_the_guide_for_contributors_exists() -> None:
    """A path or a module in backticks in CONTRIBUTING.md names a file or a folder."""
    page = document("CONTRIBUTING.md")
    named = {word for word in page.code_words if re.fullmatch(r"\S*/\S*|\S+\.py", word)}
    assert len(named) > 15
    folders = ("", *_PACKAGES, f"{_PACKAGES[1]}/formats/amplitude", "orchestration/migration")
    for name in named:
        assert any((ROOT / folder / name).exists() for folder in folders), name


@pytest.mark.parametrize("package", _PACKAGES)
def test_the_guide_for_contributors_names_every_room(package: str) -> None:
    """Each folder of code has its line."""
    rooms = {path.parent.relative_to(ROOT / package) for path in _code_below(package)}
    named = document("CONTRIBUTING.md").code_words
    missed = [room for room in rooms if room != Path() and f"{room.as_posix()}/" not in named]
    assert missed == []


def _code_below(folder: str) -> list[Path]:
    return [
        path for path in tracked_files() if path.suffix == ".py" and ROOT / folder in path.parents
    ]


def test_every_requirement_has_its_exact_versions() -> None:
    """`constraints.txt` pins what the projects ask for, and says nothing of where it is from."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[^\s;]+(?: ; .+)?", line) for line in lines)
    pinned = [Requirement(line) for line in lines]
    for wanted in _requirements():
        versions = [next(iter(one.specifier)).version for one in pinned if one.name == wanted.name]
        assert versions, f"{wanted}: run make upgrade"
        assert all(map(wanted.specifier.contains, versions)), f"{wanted}: run make upgrade"


def _requirements() -> Iterator[Requirement]:
    """Yield what the three projects need to be built, run and tested."""
    for path in ("pyproject.toml", "tap-amplitude/pyproject.toml", "target-posthog/pyproject.toml"):
        file = _project(path)
        project = file["project"]
        yield from map(Requirement, project.get("dependencies", []))
        yield from map(Requirement, file.get("build-system", {}).get("requires", []))
        groups = (project.get("optional-dependencies", {}), file.get("dependency-groups", {}))
        for requirements in (one for group in groups for one in group.values()):
            yield from (Requirement(one) for one in requirements if isinstance(one, str))


def _project(path: str) -> dict[str, Any]:
    return tomli.loads((ROOT / path).read_text(encoding="utf-8"))
