"""The seam to the Singer SDK (singer-sdk 0.54.9)."""

from __future__ import annotations

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException

from target_posthog.errors import BrokenInput


class RecordWithoutKey(BrokenInput, MissingKeyPropertiesError):
    """A record lacks what the tap says its key is."""


class RecordWithoutSchema(BrokenInput, RecordsWithoutSchemaException):
    """A record came of whose stream nothing is known."""
