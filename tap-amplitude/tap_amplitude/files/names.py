"""What the name of a file says: which export file it is, or that it is none (pure).

Amplitude's own names are `<app>_<YYYY-MM-DD>_<H>#<part>.json.gz`. The hour is not padded, and parts
are numbers such as 70 and 627, not a sequence
(https://amplitude.com/docs/data/destination-catalog/amazon-s3). On their way names change: `#` is
escaped or replaced, browsers and desktops number copies, tools unpack files or keep their names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from tap_amplitude.files.left_out import Why
from tap_amplitude.windows import DAY, FIRST_HOURLY_DAY, HOUR

#: For messages.
NAMED_LIKE = "Event files are named like 187520_2020-01-25_17#1.json.gz."

_NAME = re.compile(
    r"(?:(?P<owner>.+)_)?(?P<date>\d{4}-\d{2}-\d{2})(?:_(?P<hour>\d{1,2}))?"
    r"(?:(?:[#\uff03\-_.~+=]|%(?:25)*23)(?P<part>\d+))?"
    r"(?P<ending>(?:\.(?:json|jsonl|ndjson))?(?:\.(?:gz|gzip|zip))*)(?P<foreign>(?:\.[\w-]+)*)",
    re.ASCII | re.IGNORECASE,
)
#: What iCloud leaves of a file that it took off the disk.
_IN_ICLOUD = re.compile(r"\.(.+\.icloud)", re.ASCII | re.IGNORECASE | re.DOTALL)
_APP = re.compile(r"-?\d+(?=_|$)", re.ASCII)
_COPY = re.compile(
    r"(?:\s[-\u2013]\s(?:copy|kopie|copie|copia)(?:\s?\(\d+\))?"  # Windows
    r"|\scopy(?:\s\d+)?|\s\d+"  # macOS
    r"|[\s_]?\((?:\d+|copy|another copy|\d+\w\w copy)\)"  # browsers, GNOME
    r"|(?<=\.json)-\d+(?=\.gz))"  # Safari
    r"(?=\.|$)",
    re.ASCII | re.IGNORECASE,
)

_LITTER_FOLDERS = frozenset(
    {
        *("__macosx", ".appledouble", ".spotlight-v100", ".trash", ".trashes"),  # macOS
        *(".fseventsd", ".documentrevisions-v100", ".temporaryitems"),
        *("$recycle.bin", "system volume information"),  # Windows
        *("@eadir", "#recycle", "@recycle", ".trash-1000"),  # Synology, QNAP, Linux
    }
)
_LITTER_NAMES = frozenset(
    {
        *(".ds_store", "icon\r", ".localized"),  # macOS
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),  # Windows
        ".directory",  # KDE
        *(".gitkeep", ".gitignore", ".keep"),
    }
)
_PACKED = re.compile(
    r"\.(?:tar|tgz|7z|rar|zstd?|bz2|xz|lzma|lz4|br|snappy|z|gpg|pgp|age|enc|aes)(?:\.\w+)?$",
    re.IGNORECASE,
)
_PARTIAL_ENDINGS = (
    *(".part", ".partial", ".crdownload", ".download", ".opdownload"),  # browsers
    *(".filepart", ".gstmp"),  # WinSCP, gsutil
    *(".tmp", ".temp", ".swp", "~"),
)
_MARKERS = re.compile(r"_success.*|_(?:committed|started|metadata)_.*|_(?:done|committed)")


@dataclass(frozen=True, slots=True)
class ExportName:
    """What the name of an export file says.

    Attributes:
        hour: The hour that it is read with: its own, or the last one of the day of a daily file.
        app: The number that it begins with; of a list of merged users the organisation's, with a
            minus. Empty when there is none.
        part: What tells files of the same hour apart; two files of the same part are one file,
            or one of them is wrong.
        is_certain: It can only be a file of events: it has the number of a part. Lists of merged
            users have none: `-<org>_<date>_<H>.json.gz`, in old organisations
            `<app>_<date>_<H>.json.gz`.
    """

    hour: datetime
    app: str
    part: str
    is_certain: bool
    is_foreign: bool = False


def read_name(name: str) -> ExportName | None:
    """Return what the name of a file says, by its last part; None when it tells no export hour."""
    base = base_of(name)
    base = away[1] if (away := _IN_ICLOUD.fullmatch(base)) else base
    match = _NAME.fullmatch(base) or _NAME.fullmatch(_COPY.sub("", base))
    if match is None:
        return None
    owner, part, ending = match["owner"] or "", match["part"], match["ending"]
    is_foreign = bool(match["foreign"])
    # Many other things are named by an hour, such as pictures: there the owner must be a number.
    if (is_foreign or not part) and not ending and not _APP.fullmatch(owner):
        return None
    hour = _hour(match["date"], match["hour"])
    if hour is None:
        return None
    app = _APP.match(owner)
    return ExportName(
        hour,
        app[0] if app else "",
        f"{owner}_{hour:%Y-%m-%d_%H}#{part or ''}",
        is_certain=part is not None and not owner.startswith("-"),
        is_foreign=is_foreign,
    )


def ignorable(name: str) -> Why | None:
    """Return why a file is not worth a look, whatever else its name says; None for all others."""
    *folders, base = name.lower().replace("\\", "/").split("/")
    if base.startswith("._") or base in _LITTER_NAMES or not _LITTER_FOLDERS.isdisjoint(folders):
        return Why.LITTER
    if base.endswith(_PARTIAL_ENDINGS) or base.startswith(("~$", ".~")):
        return Why.PARTIAL
    # Safari keeps a download that is under way in a folder of its own.
    if any(folder.endswith(".download") for folder in folders):
        return Why.PARTIAL
    return Why.MARKER if base.startswith("_") and _MARKERS.fullmatch(base) else None


def is_marker(name: str) -> bool:
    """Return True if a file that is no export file marks a finished hour of a bucket export.

    Amplitude labels them `complete` (same page).
    """
    return "complete" in base_of(name).lower()


def is_packed(name: str) -> bool:
    """Return True if a file is packed in a form that is not read, whatever it holds."""
    return _PACKED.search(name) is not None


def base_of(name: str) -> str:
    """Return the last part of a name; a .zip made on Windows may part names with a backslash."""
    return name.replace("\\", "/").rpartition("/")[2]


def _hour(date: str, hour: str | None) -> datetime | None:
    try:
        day = datetime.fromisoformat(date).replace(tzinfo=timezone.utc)
        next_day = day + DAY
    except (ValueError, OverflowError):
        return None
    if hour is None and day >= FIRST_HOURLY_DAY:
        return None
    moment = day + int(hour or 23) * HOUR
    return moment if moment < next_day else None
