"""The stream of merged users, from the lists that Amplitude writes beside a bucket export.

`-<org>_<YYYY-MM-DD>_<H>.json.gz`, in old organisations `<app>_<YYYY-MM-DD>_<H>.json.gz`, a list
for each hour that has merges (https://amplitude.com/docs/data/destination-catalog/amazon-s3). The
Export API has no such list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk import StreamSchema
from singer_sdk.schema.source import SchemaDirectory

from tap_amplitude import schemas
from tap_amplitude.common.lenient_json import strict_object
from tap_amplitude.common.object_cutter import as_it_is
from tap_amplitude.common.quantities import count
from tap_amplitude.errors import BadLine
from tap_amplitude.files.left_out import Why
from tap_amplitude.files.row_kinds import is_event
from tap_amplitude.sources.archive import hours_of_files
from tap_amplitude.streams.base import HourlyStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from singer_sdk.helpers.types import Context, Record

    from tap_amplitude.common.object_cutter import Found
    from tap_amplitude.files.member import Member
    from tap_amplitude.sources.hour_range import HourRange


class MergedIdsStream(HourlyStream):
    """Which Amplitude users were merged into which."""

    name = "merged_ids"
    primary_keys = ("scope", "amplitude_id", "merged_amplitude_id")
    replication_key = "merge_server_time"
    selected_by_default = False
    schema = StreamSchema(SchemaDirectory(schemas))
    thing = "a merge"
    #: The stream of events speaks of the others.
    reasons = frozenset(
        {Why.NOT_READY, Why.ARRIVING, Why.BEFORE_START, Why.AFTER_END, Why.READ_BEFORE, Why.LATE}
    )

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Read hour after hour of a bucket export; of the API there is nothing to read."""
        if self.settings.archive_path:
            return super().get_records(context)
        self.logger.warning(
            "`merged_ids` is left out: Amplitude gives the list of merged users with a bucket "
            "export only. Set `archive_path` to one, or deselect the stream."
        )
        return iter(())

    def open_range(self, now: datetime, *, raw: bool) -> HourRange:
        """Return the lists that this run reads."""
        bookmark = self.read_bookmark()
        return hours_of_files(bookmark, self.settings, now, merged_ids=True, raw=raw)

    def rows(self, member: Member) -> Iterator[Record | Found]:
        """Read the merges of a list.

        Raises:
            BadLine: An event is among them.
        """
        for row in member.take(strict_object, as_it_is):
            if isinstance(row, dict) and is_event(row):
                raise BadLine(
                    f"The file {member.name!r} is a list of merged users, and also holds events.",
                    remedy="Put the events into a file of their own.",
                )
            yield row

    def nothing_new(self) -> str:
        """Return that there are no new lists."""
        return f"{self.settings.place} holds no new lists of merged users."

    def results(self, rejected: Iterable[str]) -> Iterator[str]:
        """Yield how many merges were read, and what was rejected."""
        yield f"Exported {count(self.records, 'merged user')} of {count(self.hours_read, 'hour')}"
        yield from rejected
