"""Fields of rows that the schema does not name: what the schema becomes (pure).

A target with columns leaves out what no SCHEMA has named. So a field that Amplitude adds one day
is declared before the first record that holds something in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: By Python type, as a JSON reader gives them. An `array` has no `items`: targets then keep it as
#: JSON, whatever is in it.
_TYPES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
}


class SchemaDrift:
    """Notices fields that the schema lacks, and learned ones that come with another type."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._learned: dict[str, list[str]] = {}

    def observe(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return JSON schemas of a record's fields, to be added or to replace earlier ones.

        As a rule there are none; a field without a value says nothing about its type.
        """
        if self._known.issuperset(record):  # half the time of `record.keys() <= …`
            return {}
        return {
            name: self._property(name)
            for name in record.keys() - self._known
            if record[name] is not None and self._is_news(name, _TYPES[type(record[name])])
        }

    def _is_news(self, name: str, kind: str) -> bool:
        kinds = self._learned.setdefault(name, [])
        if kind in kinds:
            return False
        kinds.append(kind)
        return True

    def _property(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {"type": [*self._learned[name], "null"]}
        if "object" in found["type"]:
            found["additionalProperties"] = True
        return found
