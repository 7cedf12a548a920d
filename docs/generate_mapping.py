"""Write `docs/mapping.md`: the text of `mapping.md.in` with the conversion's tables and an example.

python docs/generate_mapping.py           write it
python docs/generate_mapping.py --check   exit 1 when it is out of date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from target_posthog.common.amplitude_columns import (
    BOOLEAN_FIELDS,
    INTEGER_FIELDS,
    OBJECT_FIELDS,
)
from target_posthog.formats.amplitude import fields
from target_posthog.formats.amplitude.fields import ANY, ELSEWHERE, FIELDS, MOBILE, SERVER, WEB
from target_posthog.formats.amplitude.notes import words_of
from target_posthog.formats.amplitude.times import EVENT_TIME_SOURCES, TIME_FIELDS
from target_posthog.formats.names import STANDARD_EVENTS
from target_posthog.posthog.library import MIGRATION_MARKS
from target_posthog.posthog.names import ACTING_NAMES, MAX_EVENT_NAME_LENGTH, RESERVED_NAMES
from target_posthog.posthog.people import ILLEGAL_IDS, MAX_DISTINCT_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_posthog.formats.amplitude.fields import Field

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/mapping.md"
TEXT = ROOT / "docs/mapping.md.in"
EXAMPLE = ROOT / "tests/fixtures/mapping/web_page_view"
SCHEMA = ROOT / "tap-amplitude/tap_amplitude/schemas/events.json"

#: The sections of the table, each with the rows that count there and nowhere wider.
PLATFORMS = {"On every platform": ANY, "Web": WEB, "Mobile": MOBILE, "Server": SERVER}

Rows = list[tuple[str, ...]]


def mapping_page() -> str:
    """Return docs/mapping.md."""
    return TEXT.read_text(encoding="utf-8").format(
        elsewhere=_table(("Amplitude", "goes to"), [(f"`{k}`", v) for k, v in ELSEWHERE.items()]),
        times=_list(EVENT_TIME_SOURCES, ", else "),
        max_id=MAX_DISTINCT_ID_LENGTH,
        max_name=MAX_EVENT_NAME_LENGTH,
        illegal_ids=_list(sorted(ILLEGAL_IDS)),
        kept=_list(_kept_fields()),
        object_fields=_list(sorted(OBJECT_FIELDS)),
        integer_fields=_list(sorted(INTEGER_FIELDS)),
        boolean_fields=_list(sorted(BOOLEAN_FIELDS)),
        time_fields=_list(sorted(TIME_FIELDS & _kept_fields().keys())),
        web_libraries=_list(fields.WEB_LIBRARIES),
        mobile_platforms=_list(sorted(fields.MOBILE_PLATFORMS)),
        mobile_libraries=_list(fields.MOBILE_LIBRARIES),
        platforms="\n".join(_section(name, when) for name, when in PLATFORMS.items()),
        standard_events=_table(
            ("Amplitude", "PostHog"), [(f"`{k}`", f"`{v}`") for k, v in STANDARD_EVENTS.items()]
        ),
        reserved_names=_list(sorted(RESERVED_NAMES)),
        acting_names=_list(sorted(ACTING_NAMES)),
        marks=_list(f"{name}: {json.dumps(value)}" for name, value in MIGRATION_MARKS.items()),
        example=_example(),
    )


def _kept_fields() -> dict[str, None]:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return dict.fromkeys(sorted(schema["properties"].keys() - ELSEWHERE.keys()))


def _section(name: str, when: fields.Platform) -> str:
    rows = [_row(field) for field in FIELDS if field.when == when]
    return f"### {name}\n\n" + _table(("Amplitude", "PostHog", "conversion", "note"), rows)


def _row(field: Field) -> tuple[str, ...]:
    return (_list(field.sources, ", else "), f"`{field.name}`", words_of(field.convert), field.note)


def _list(names: Iterable[str], between: str = ", ") -> str:
    return between.join(f"`{name}`" for name in names)


def _table(head: tuple[str, ...], rows: Rows) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return (
        "".join(f"| {' | '.join(one)} |\n" for one in lines)
        .replace("| --- ", "|---")
        .replace("--- |\n", "---|\n")
    )


def _example() -> str:
    """Return both sides of a pair that was written by hand, without what holds nothing."""
    row = json.loads((EXAMPLE / "amplitude.json").read_text(encoding="utf-8"))
    event = json.loads((EXAMPLE / "posthog.json").read_text(encoding="utf-8"))["event"]
    return "\n".join(
        [
            f"The row, without its fields that hold nothing:\n\n{_block(_filled(row))}",
            f"The event:\n\n{_block(event)}",
        ]
    )


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value not in (None, "", {}, [])}


def _block(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"


def main() -> int:
    """Write the page, or with `--check` compare it."""
    page = mapping_page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    if "--check" in sys.argv:
        print(f"{PAGE.name} is out of date: run python docs/generate_mapping.py")
        return 1
    PAGE.write_text(page, encoding="utf-8")
    print(f"{PAGE.name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
