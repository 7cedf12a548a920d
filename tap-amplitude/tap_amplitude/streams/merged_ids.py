"""The stream of merged users, from the lists that Amplitude writes beside a bucket export.

`-<org>_<YYYY-MM-DD>_<H>.json.gz`, in old organisations `<app>_<YYYY-MM-DD>_<H>.json.gz`, a list
for each hour that has merges (https://amplitude.com/docs/data/destination-catalog/amazon-s3). The
Export API has no such list.
"""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from singer_sdk import StreamSchema
from singer_sdk.schema.source import SchemaDirectory

from tap_amplitude import schemas
from tap_amplitude.common.lenient_json import strict_object
from tap_amplitude.common.object_cutter import Found, as_it_is
from tap_amplitude.errors import BadLine
from tap_amplitude.files.left_out import Why
from tap_amplitude.settings import Settings
from tap_amplitude.state.notes import count
from tap_amplitude.streams.base import HourlyStream
from tap_amplitude.windows import HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context, Record

    from tap_amplitude.files.member import Member

#: The other reasons are told at the end of the events.
_OF_LISTS = frozenset(
    {Why.NOT_READY, Why.ARRIVING, Why.BEFORE_START, Why.AFTER_END, Why.READ_BEFORE, Why.LATE}
)


class MergedIdsStream(HourlyStream):
    """Which Amplitude users were merged into which."""

    name = "merged_ids"
    primary_keys = ("scope", "amplitude_id", "merged_amplitude_id")
    replication_key = "merge_server_time"
    selected_by_default = False
    schema = StreamSchema(SchemaDirectory(schemas))

    def get_records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        """Read list after list; the state moves when the last merge of an hour is out.

        Args:
            context: Not used, the stream has no partitions.

        Yields:
            One record for each merge.

        Raises:
            TapError: A list cannot be had, or a line of it cannot be read.
        """
        now = datetime.now(timezone.utc)
        settings = Settings.read(self.config)
        if not settings.archive_path:
            self.logger.warning(
                "`merged_ids` is left out: Amplitude gives the list of merged users with a bucket "
                "export only. Set `archive_path` to one, or deselect the stream."
            )
            return
        yield from self._read(settings, now)
        for level, sentence in self._left_out.sentences(_OF_LISTS):
            self.logger.log(level, sentence)

    def _read(self, settings: Settings, now: datetime) -> Iterator[Record]:
        self._open_rejects(settings, now)
        hours = 0
        for step, members in self._read_files(settings, now, merged_ids=True):
            for member in members:
                yield from self._merges(member)
            hours += (step.hour + HOUR - step.since) // HOUR
        rejects = self._rejects
        if hours:
            kept = ""
            if rejects and rejects.count:
                kept = f"; {count(rejects.count, 'line')} rejected, kept in {rejects.place}"
            self.logger.log(
                logging.WARNING if kept else logging.INFO,
                "Exported %s of %s%s.",
                count(self._records, "merged user"),
                count(hours, "hour"),
                kept,
            )
        else:
            self.logger.info("%s holds no new lists of merged users.", settings.archive_path)
        if rejects:
            rejects.close()

    def _merges(self, member: Member) -> Iterator[Record]:
        for merge in member.take(strict_object, as_it_is):
            if not isinstance(merge, Found):
                self._records += 1
                yield merge
            elif self._rejects is None:
                raise BadLine(
                    f"{member.name!r}, {merge.place}, is not a merge: {merge.reason}.",
                    remedy="Set `on_bad_line` to `reject` to keep such lines aside, or fix the "
                    "file.",
                )
            else:
                self._keep(self._rejects, member, merge, records=self._records)
