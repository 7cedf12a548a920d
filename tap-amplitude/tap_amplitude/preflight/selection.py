"""Which streams the next run reads: by its catalog, by Meltano's `select`, or by default."""

from __future__ import annotations

import json
import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib import Catalog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What Meltano sets for a plugin that it starts: the extra setting `select`
#: (docs.meltano.com/concepts/plugins#select-extra). A command is given no catalog.
SELECT_VARIABLE = "MELTANO_EXTRACT__SELECT"


def selected_streams(
    names: Mapping[str, bool],
    catalog: Mapping[str, Any] | None,
    environment: Mapping[str, str] = os.environ,
) -> frozenset[str]:
    """Return the names of the streams that are read.

    `names` has every stream, and whether it is selected without a choice.
    """
    if catalog is not None:
        entries = Catalog.from_dict(dict(catalog))
        return frozenset(
            name
            for name, entry in entries.items()
            if name in names and entry.metadata.resolve_selection()[()]
        )
    patterns = _patterns_in(environment.get(SELECT_VARIABLE, ""))
    if patterns:
        return frozenset(name for name in names if _is_selected(name, patterns))
    return frozenset(name for name, is_selected in names.items() if is_selected)


def _patterns_in(text: str) -> Sequence[str]:
    try:
        read = json.loads(text)
    except ValueError:
        return ()
    patterns = read if isinstance(read, list) else []
    return [pattern for pattern in patterns if isinstance(pattern, str)]


def _is_selected(name: str, patterns: Sequence[str]) -> bool:
    """Return True if a stream is among Meltano's patterns, `stream.field`, and not left out."""
    streams = [pattern.partition(".")[0] for pattern in patterns if not pattern.startswith("!")]
    left_out = [
        pattern[1:].removesuffix(".*")
        for pattern in patterns
        if pattern.startswith("!") and ("." not in pattern or pattern.endswith(".*"))
    ]
    return any(fnmatchcase(name, stream) for stream in streams) and not any(
        fnmatchcase(name, pattern) for pattern in left_out
    )
