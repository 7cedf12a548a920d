"""Texts of variables become the settings that they stand for, in both plugins alike."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.common.given_settings import misspelt_variables, not_passed_on, typed
from target_posthog.validation import parts_kept_back

SCHEMA: dict[str, Any] = {
    "properties": {
        "text": {"type": ["string", "null"]},
        "flag": {"type": ["boolean", "null"]},
        "count": {"type": "integer"},
        "share": {"type": ["number", "null"]},
        "list": {"type": "array"},
        "tree": {"type": ["object", "array"]},
        "stream_maps": {"type": ["object"]},
    }
}
_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\\"), min_size=1, max_size=5)
_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
_JSON = st.recursive(
    _LEAVES | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_NAMES.map(lambda name: name.replace(".", "")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=st.lists(_JSON, max_size=4))
def test_a_list_comes_back_from_json_and_from_meltanos_own_writing(value: list[Any]) -> None:
    """Meltano writes a list of meltano.yml into the environment as Python does."""
    for text in (json.dumps(value), str(value)):
        assert typed({"list": text}, SCHEMA) == ({"list": value}, [])


@given(value=st.dictionaries(_NAMES.filter(lambda name: "." not in name), _JSON, max_size=4))
def test_an_object_comes_back_whole_and_taken_apart(value: dict[str, Any]) -> None:
    """Meltano writes an object of meltano.yml with the ways to its leaves as names."""
    flat = _flat(value)
    assert typed({"tree": json.dumps(flat)}, SCHEMA) == ({"tree": value}, [])


def test_a_name_with_dots_stays_one() -> None:
    """In a user's own JSON, and escaped where Meltano takes it apart."""
    tree = {"a.b": {"c": 1}}
    assert typed({"tree": json.dumps(tree)}, SCHEMA)[0] == {"tree": tree}
    assert typed({"tree": json.dumps({"a\\.b": {"c": 1}})}, SCHEMA)[0] == {"tree": tree}
    assert typed({"tree": json.dumps({"a\\.b.c": 1})}, SCHEMA)[0] == {"tree": tree}


@given(text=st.text(max_size=8), name=st.sampled_from(sorted(SCHEMA["properties"])))
def test_a_text_is_read_or_named_and_never_raises(text: str, name: str) -> None:
    """What cannot be read is left out and told, without its value."""
    read, problems = typed({name: text}, SCHEMA)
    assert len(problems) <= 1
    assert not (read and problems)
    assert all(problem.startswith(f"`{name}` is not a valid ") for problem in problems)
    if name == "text":
        assert read == ({"text": text} if text else {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("count", text) for text in ("many", "2.5", "1e3", "1_000", "٣", "9" * 5000, "[1]")),
        *(("share", text) for text in ("nan", "inf", "1e999", "5,000", "1_0", "half")),
        *(("flag", text) for text in ("ture", "2", "y")),
        *(("list", text) for text in ("a,b", '{"a": 1}', "[1", "(" * 9999, "{[]}", "[{1}]")),
        *(("tree", text) for text in ("x", '"x"', "1", "[" * 100_000)),
    ],
)
def test_a_text_of_another_type_is_refused(name: str, text: str) -> None:
    """A number that is none does not become one, and a list is not guessed."""
    read, problems = typed({name: text}, SCHEMA)
    assert (read, len(problems)) == ({}, 1)


def test_an_empty_variable_counts_as_not_set() -> None:
    """As a line of `.env` that was not filled in."""
    assert typed(dict.fromkeys(SCHEMA["properties"], ""), SCHEMA) == ({}, [])


MELTANO = {"MELTANO_LOADER_NAME": "target-x", "MELTANO_LOADER_NAMESPACE": "target_x"}


def lost(config: dict[str, Any], **variables: str) -> list[str]:
    """Return what Meltano kept to itself, of variables of the target `target-x`."""
    return list(not_passed_on(config, SCHEMA, "TARGET_X_", MELTANO | variables))


def test_a_variable_that_meltano_kept_to_itself_is_named() -> None:
    """A setting that meltano.yml does not declare, a name with dots, a misspelt variable."""
    assert lost({"count": "1"}, TARGET_X_COUNT="1", TARGET_X_TEXT="", TARGET_Y_FLAG="1") == []
    assert "`flag`" in lost({}, TARGET_X_FLAG="1")[0]
    dotted = json.dumps({"a.b": {"c": 1}, "d": {"e": 2}})
    assert "with dots" in lost({"tree": {"d": {"e": 2}}}, TARGET_X_TREE=dotted)[0]
    assert lost({"tree": {"d": {"e": 2}}}, TARGET_X_TREE='{"d.e": 2}', TARGET_X_TREE_D_E="2") == []
    maps = {"stream_maps": {"a": {"b": "c"}}}
    assert lost(maps, TARGET_X_STREAM_MAPS='{"a.b": "c"}') == []
    assert "null as `__NULL__`" in lost(maps, TARGET_X_STREAM_MAPS='{"a.b": "c", "a.d": null}')[0]
    assert lost({"tree": {"a": {"b": "c"}}}, TARGET_X_TREE='{"a.b": "c", "a.d": null}') == []
    inside = json.dumps({"a": {"b": "c", "d.e": "f"}})
    assert "with dots" in lost({"tree": {"a": {"b": "c"}}}, TARGET_X_TREE=inside)[0]
    assert "`TARGET_X_COUNT`?" in lost({}, TARGET_X_CUONT="1")[0]
    others = ("COUNT_OF_MINE", "LOGLEVEL", "OTHER", "_EU_SHARE")
    assert lost({}, **{f"TARGET_X_{name}": "1" for name in others}) == []


def test_without_meltano_nothing_is_missed() -> None:
    """A file of settings may leave out what a variable says; nobody promised to read it."""
    assert list(not_passed_on({}, SCHEMA, "TARGET_X_", {"TARGET_X_FLAG": "1"})) == []
    other = {"TARGET_X_FLAG": "1", "MELTANO_LOADER_NAME": "target-y"}
    assert list(not_passed_on({}, SCHEMA, "TARGET_X_", other)) == []
    assert list(misspelt_variables(SCHEMA, "TARGET_X_", {"TARGET_X_SHAER": "1"}))


@given(value=st.dictionaries(_NAMES.filter(lambda name: "." not in name), _JSON, max_size=4))
def test_an_object_that_a_command_gets_whole_is_no_half(value: dict[str, Any]) -> None:
    """Meltano gives it beside a variable for each of its parts."""
    flat = _flat(value)
    parts = {re.sub("[^A-Za-z0-9]", "_", f"TARGET_X_TREE.{name}").upper(): "" for name in flat}
    whole = {"TARGET_X_TREE": json.dumps(flat)}
    assert list(parts_kept_back(SCHEMA, "TARGET_X_", MELTANO | whole | parts)) == []


def test_an_object_of_which_a_command_gets_half_is_named() -> None:
    """Once, by the first part that is missing; a text that is no object is told elsewhere."""
    half = {"TARGET_X_TREE": '{"a": {"b": 1}}', "TARGET_X_TREE_A_B": "", "TARGET_X_TREE_A_C": ""}
    (problem,) = parts_kept_back(SCHEMA, "TARGET_X_", MELTANO | half | {"TARGET_X_TREE_D": ""})
    assert "`TARGET_X_TREE` is set" in problem
    assert "(`TARGET_X_TREE_A_C`)" in problem
    assert list(parts_kept_back(SCHEMA, "TARGET_X_", half)) == []
    for text in ("", "a", "[1]"):
        assert (
            list(parts_kept_back(SCHEMA, "TARGET_X_", MELTANO | half | {"TARGET_X_TREE": text}))
            == []
        )


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    """Take an object apart as Meltano does."""
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            flat |= {f"{name}.{below}": leaf for below, leaf in _flat(inner).items()}
        else:
            flat[name] = inner
    return flat
