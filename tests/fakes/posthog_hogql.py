"""HogQL → ClickHouse, parsed by PostHog's own grammar: as much of it as this project asks with.

The grammar is PyPI's `hogql-parser`, built from PostHog's `common/hogql_parser`. What the printer
does with time zones and properties follows `posthog/hogql/printer`: `timestamp` is shown in the
project's time zone, and a property that PostHog took for a date is read as one.
"""

from __future__ import annotations

import json
import sys
import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: `posthog/hogql/constants.py`: rows without a LIMIT, and the highest one.
DEFAULT_ROWS, MOST_ROWS = 100, 50_000

_COLUMNS = frozenset({"uuid", "event", "distinct_id", "timestamp", "properties", "created_at"})
#: `posthog/hogql/functions`: those of its functions that mean the same in ClickHouse.
_FUNCTIONS = frozenset(
    {
        *("count", "countIf", "uniqExact", "min", "max", "sum", "any", "groupArray"),
        *("toDate", "toString", "toInt", "toFloat", "toUnixTimestamp", "toTimeZone", "intDiv"),
        *("toStartOfHour", "toStartOfDay", "substring", "left", "length", "lower", "coalesce"),
        *("ifNull", "JSONExtractString", "JSONExtractInt", "JSONHas", "cityHash64", "modulo"),
        *("argMax", "fromUnixTimestamp", "match", "uniqExactIf"),
        *("tuple", "if", "isNull", "isNotNull", "not", "and", "or", "equals", "concat", "has"),
    }
)
_COMPARISONS = {
    "==": "=",
    **{operation: operation for operation in ("!=", ">", "<", ">=", "<=")},
    **{word: word.upper() for word in ("in", "not in", "like", "not like")},
}
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})


class HogQLError(ValueError):
    """What PostHog answers with status 400."""


def parser() -> Callable[[str], str]:
    """Return the grammar's entry; it looks for PostHog's own classes of errors when imported."""
    for name in ("posthog.hogql", "posthog.hogql.errors"):
        sys.modules.setdefault(name, types.ModuleType(name))
    errors = sys.modules["posthog.hogql.errors"]
    for kind in ("BaseHogQLError", "SyntaxError", "NotImplementedError", "ParsingError"):
        vars(errors).setdefault(kind, type(kind, (Exception,), {}))
    from hogql_parser import parse_select_json  # noqa: PLC0415 - needs what stands above

    parse: Callable[[str], str] = parse_select_json
    return parse


@lru_cache
def _parsed(query: str) -> str:
    """Return the tree of a query as JSON; the grammar takes a quarter of a second for some."""
    return parser()(query)


class Printer:
    """Prints queries for one project.

    Args:
        team_id: the project.
        timezone: the project's time zone.
        dates: the properties that PostHog took for dates.
    """

    def __init__(self, team_id: int, timezone: str, dates: Collection[str] = ()) -> None:
        self._team_id = team_id
        self._timezone = timezone
        self._dates = dates

    def print(self, query: str) -> str:
        """Return the ClickHouse SQL of a HogQL query.

        Raises:
            HogQLError: it is none, or asks for what is not there.
        """
        tree = json.loads(_parsed(query))
        if tree.get("error"):
            raise HogQLError(tree["message"])
        return self._select(tree, is_outer=True)

    def _select(self, tree: dict[str, Any], *, is_outer: bool = False) -> str:
        if tree["node"] != "SelectQuery":
            raise HogQLError(f"Unsupported: {tree['node']}")
        source, guard = self._source(tree.get("select_from"))
        where = [guard, *([self._expr(tree["where"])] if tree.get("where") else [])]
        parts = [
            "SELECT " + ", ".join(map(self._expr, tree["select"])),
            f"FROM {source}",
            "WHERE " + " AND ".join(f"({one})" for one in where),
        ]
        if tree.get("group_by"):
            parts.append("GROUP BY " + ", ".join(map(self._expr, tree["group_by"])))
        if tree.get("having"):
            parts.append(f"HAVING {self._expr(tree['having'])}")
        if tree.get("order_by"):
            keys = (f"{self._expr(one['expr'])} {one['order']}" for one in tree["order_by"])
            parts.append("ORDER BY " + ", ".join(keys))
        return " ".join([*parts, *self._limits(tree, is_outer=is_outer)])

    def _limits(self, tree: dict[str, Any], *, is_outer: bool) -> list[str]:
        given = tree["limit"]["value"] if tree.get("limit") else None
        if given is None and not is_outer:
            return []
        rows = min(DEFAULT_ROWS if given is None else given, MOST_ROWS)
        # PostHog reads one row more, and so knows whether there are more (`hasMore`).
        limit = [f"LIMIT {rows + 1 if is_outer else rows}"]
        return [*limit, *([f"OFFSET {tree['offset']['value']}"] if tree.get("offset") else [])]

    def _source(self, tree: dict[str, Any] | None) -> tuple[str, str]:
        if tree is None or tree.get("next_join"):
            raise HogQLError("Unsupported: no table, or a join")
        table = tree["table"]
        if table["node"] == "SelectQuery":
            return f"({self._select(table)})", "true"
        if table["chain"] == ["raw_person_distinct_ids"]:
            return "person_distinct_id2", f"team_id = {self._team_id}"
        if table["chain"] != ["events"]:
            raise HogQLError(f"Unknown table `{'.'.join(table['chain'])}`.")
        return "events", f"team_id = {self._team_id}"

    def _expr(self, tree: dict[str, Any]) -> str:
        printer = getattr(self, f"_{tree['node'].lower()}", None)
        if printer is None:
            raise HogQLError(f"Unsupported: {tree['node']}")
        return str(printer(tree))

    def _alias(self, tree: dict[str, Any]) -> str:
        return f"{self._expr(tree['expr'])} AS `{tree['alias']}`"

    def _field(self, tree: dict[str, Any]) -> str:
        chain = [str(one) for one in tree["chain"]]
        if chain == ["timestamp"]:
            return f"toTimeZone(timestamp, {_text(self._timezone)})"
        if chain == ["person_id"]:
            return "joinGet('people', 'person_id', distinct_id)"
        if chain[0] == "properties" and len(chain) > 1:
            return self._property(chain[1:])
        if len(chain) != 1:
            raise HogQLError(f"Unable to resolve field: {chain[0]}")
        return f"`{chain[0]}`"

    def _property(self, names: list[str]) -> str:
        path = ", ".join(map(_text, names))
        raw = f"nullIf(nullIf(JSONExtractString(properties, {path}), ''), 'null')"
        if names[-1] in self._dates:
            return f"parseDateTime64BestEffortOrNull({raw}, 6, {_text(self._timezone)})"
        return raw

    def _constant(self, tree: dict[str, Any]) -> str:
        value = tree["value"]
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return str(value).lower()
        return _text(value) if isinstance(value, str) else repr(value)

    def _call(self, tree: dict[str, Any]) -> str:
        name = tree["name"]
        if name not in _FUNCTIONS:
            raise HogQLError(f"Unsupported function call '{name}(...)'.")
        distinct = "DISTINCT " if tree.get("distinct") else ""
        return f"{name}({distinct}{', '.join(map(self._expr, tree['args']))})"

    def _compareoperation(self, tree: dict[str, Any]) -> str:
        operation = _COMPARISONS.get(tree["op"])
        if operation is None:
            raise HogQLError(f"Unsupported operation: {tree['op']}")
        return f"({self._expr(tree['left'])} {operation} {self._expr(tree['right'])})"

    def _arithmeticoperation(self, tree: dict[str, Any]) -> str:
        if tree["op"] not in _ARITHMETIC:
            raise HogQLError(f"Unsupported operation: {tree['op']}")
        return f"({self._expr(tree['left'])} {tree['op']} {self._expr(tree['right'])})"

    def _and(self, tree: dict[str, Any]) -> str:
        return "(" + " AND ".join(map(self._expr, tree["exprs"])) + ")"

    def _or(self, tree: dict[str, Any]) -> str:
        return "(" + " OR ".join(map(self._expr, tree["exprs"])) + ")"

    def _not(self, tree: dict[str, Any]) -> str:
        return f"(NOT {self._expr(tree['expr'])})"

    def _tuple(self, tree: dict[str, Any]) -> str:
        return "(" + ", ".join(map(self._expr, tree["exprs"])) + ")"

    def _array(self, tree: dict[str, Any]) -> str:
        return "[" + ", ".join(map(self._expr, tree["exprs"])) + "]"

    def _selectquery(self, tree: dict[str, Any]) -> str:
        return f"({self._select(tree)})"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
