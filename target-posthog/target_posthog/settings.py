"""What a user can set; a long file, as most of it is the table of settings and their texts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from singer_sdk import typing as th

from target_posthog.common.remote_lines import folder_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Historical = Literal["true", "false", "auto"]
PersonProfiles = Literal["always", "identified_only", "never"]
UserProperties = Literal["set", "set_once", "ignore"]
IdentityEvents = Literal["alias", "identify", "none"]
FreeOrderMode = Literal["none", "collect", "apply"]

#: Formats whose records say themselves what of them is what: `streams` does not act.
OWN_FORMATS = frozenset({"amplitude", "posthog"})
#: Where the documents are: who installs the package has none of them.
DOCUMENTS = "https://github.com/amplitude-to-posthog/amplitude-to-posthog/blob/main/docs/"
#: How the names of the SDK's settings begin by which it changes records.
_CHANGING_RECORDS = ("stream_map", "flattening_", "faker_config", "add_record_metadata")
#: In gigabytes; as in tap-amplitude. Who raises it trusts the files: see `input.batch_files`.
DEFAULT_MAX_GB = 20

_RENAMES = th.ArrayType(
    th.ObjectType(
        th.Property("from", th.StringType, required=True),
        th.Property("to", th.StringType, required=True),
    )
)
#: The texts are documentation: `--about`, the Hub and docs/settings.md show them.
SETTINGS = th.PropertiesList(
    th.Property(
        "api_key",
        th.StringType(nullable=True),
        secret=True,
        title="Project token",
        description="The project token, `phc_…` (PostHog: Settings → Project; it was called the "
        "project API key). Not needed with `preview_path`. A personal API key `phx_…` cannot send "
        "events.",
    ),
    th.Property(
        "check_api_key",
        th.BooleanType,
        default=True,
        title="Check the project token",
        description="Ask PostHog once, before the first event of a run is sent, whether it knows "
        "the project token: it takes events of an unknown one, too, and drops them later. An "
        "installation that cannot tell is warned of, and the run goes on.",
    ),
    th.Property(
        "host",
        th.StringType,
        default="https://us.i.posthog.com",
        title="Host",
        description="Where the project takes events: `https://us.i.posthog.com`, "
        "`https://eu.i.posthog.com` or your own. The browser app's hosts are corrected.",
    ),
    th.Property(
        "app_host",
        th.StringType(nullable=True),
        title="App host",
        description="Where the project is looked at, and asked what it holds: "
        "`https://us.posthog.com`, `https://eu.posthog.com` or your own. By default the one that "
        "belongs to `host`.",
    ),
    th.Property(
        "project_id",
        th.CustomType({"type": ["string", "integer", "null"]}),
        title="Project id",
        description="The number of the project (PostHog: Settings → Project, or the address of any "
        "page: `/project/12345/`). For the commands that ask PostHog what it holds, such as "
        "`target-posthog-reconcile`; a run does not need it.",
    ),
    th.Property(
        "personal_api_key",
        th.StringType(nullable=True),
        secret=True,
        title="Personal API key",
        description="A personal API key, `phx_…`, with the scope Query Read (PostHog: Settings → "
        "Personal API keys), for the same commands. A run does not need it, and never sends it.",
    ),
    th.Property(
        "historical_migration",
        # Not also a boolean: the SDK would read `auto` from the environment as false.
        th.StringType,
        default="true",
        allowed_values=["true", "false", "auto"],
        title="Historical migration",
        description="Send events as a historical migration, which PostHog does not bill when they "
        "are older than 48 hours. `auto` sends the flag with events older than 48 hours only: "
        "right for a schedule that follows a migration.",
    ),
    th.Property(
        "protocol",
        th.StringType,
        default="batch",
        allowed_values=["batch", "v1"],
        title="Protocol",
        description="How events are sent: `batch` is `POST /batch/`, which every PostHog knows; "
        "`v1` is `POST /i/v1/analytics/events`, which answers for each event "
        f"({DOCUMENTS}decisions/0008-two-protocols.md).",
    ),
    th.Property(
        "source_format",
        th.StringType,
        default="auto",
        allowed_values=["auto", "amplitude", "posthog", "fields"],
        title="Source format",
        description="What the records are: `amplitude` rows, `posthog` events, or `fields` of any "
        "stream, found as `streams` says or by their usual names. `auto` takes records that have "
        "`event_type` and `amplitude_id` for Amplitude rows, and all others for `fields`.",
    ),
    th.Property(
        "streams",
        th.CustomType({"type": ["object", "array"]}),
        default={},
        title="Streams",
        description="Which fields of other taps' streams make the event: `{stream or glob: {event, "
        "distinct_id, timestamp, uuid, properties, set, set_once, groups, alias}}`. See "
        f"{DOCUMENTS}other-taps.md.",
    ),
    th.Property(
        "unmapped_streams",
        th.StringType(nullable=True),
        allowed_values=["fail", "skip", "guess"],
        title="Unmapped streams",
        description="What becomes of a stream that has no entry in `streams`: `fail` stops the run "
        "at its schema, `skip` leaves it out and counts its records, `guess` takes the usual names "
        "of person, time and id. By default `guess`, and `fail` once `streams` has entries. "
        "Streams of Amplitude rows need no entry.",
    ),
    th.Property(
        "identity_events",
        th.StringType,
        default="alias",
        allowed_values=["alias", "identify", "none"],
        title="Identity events",
        description="How a device is joined to its user, once: by `$create_alias`, by `$identify`, "
        f"or not at all. See {DOCUMENTS}identity.md.",
    ),
    th.Property(
        "free_order",
        th.StringType,
        default="none",
        allowed_values=["none", "collect", "apply"],
        title="Free order",
        description="To send hours in any order, also by many runs at once: read them all with "
        "`collect` first, which sends nothing and notes in the ledger whose each device is and "
        "which row of each person and group is the newest; then send them with `apply`. With "
        f"`none` hours must go in ascending order. See {DOCUMENTS}identity.md. A preview "
        "knows no people pass.",
    ),
    th.Property(
        "event_names",
        _RENAMES,
        default=[],
        title="Event names",
        description="Renames: a list of `{from, to}`.",
    ),
    th.Property(
        "standard_events",
        th.BooleanType,
        default=False,
        title="Standard event names",
        description="Give events that PostHog knows their name there: `[Amplitude] Page Viewed` "
        f"becomes `$pageview`, and so on ({DOCUMENTS}mapping.md). `event_names` wins.",
    ),
    th.Property(
        "skip_events",
        th.ArrayType(th.StringType),
        default=[],
        title="Skipped events",
        description="Names of events that are left out and counted as skipped; `*` and `?` "
        "stand for any letters.",
    ),
    th.Property(
        "property_names",
        _RENAMES,
        default=[],
        title="Property names",
        description="Renames of properties, of event, user and group, and of Amplitude's fields: a "
        "list of `{from, to}`. A rename gives way where its new name is taken.",
    ),
    th.Property(
        "skip_properties",
        th.ArrayType(th.StringType),
        default=[],
        title="Skipped properties",
        description="Properties that are left out, of event, user and group, and fields, with "
        "what is made of them; `*` and `?` stand for any letters. In records of other taps "
        "`customer.email` leaves out a part of an object. Name, person, time and id of an event "
        "stay. For personal data that PostHog must not have.",
    ),
    th.Property(
        "person_profiles",
        th.StringType,
        default="always",
        allowed_values=["always", "identified_only", "never"],
        title="Person profiles",
        description="Which events make a person in PostHog: all, those with a user id, or none. "
        "With `always` a record that is a PostHog event decides itself.",
    ),
    th.Property(
        "user_properties",
        th.StringType,
        default="set",
        allowed_values=["set", "set_once", "ignore"],
        title="User properties",
        description="How user properties reach the person: Amplitude's, those that `streams` sets, "
        "and those of PostHog events. PostHog applies them in order of arrival: into a project "
        "that is already live, `set` would overwrite newer values. With `ignore` they stay on the "
        "event, as `user_properties`.",
    ),
    th.Property(
        "ledger_url",
        th.StringType,
        secret=True,
        default="sqlite:///target-posthog.db",
        title="Ledger",
        description="SQLAlchemy URL of the database that remembers which devices were joined and "
        "which groups were sent: SQLite, or PostgreSQL for several workers. Keep it as long as the "
        "state.",
    ),
    th.Property(
        "rejects_path",
        th.StringType,
        default="rejects/",
        title="Rejects folder",
        description="Where records that PostHog cannot have are written, with the reason: a "
        "folder, or an address such as `s3://bucket/rejects` whose driver is installed (an extra "
        "of the target: `s3`, `gcs`, `azure`).",
    ),
    th.Property(
        "max_reject_ratio",
        th.NumberType(minimum=0, maximum=1),
        default=0.1,
        title="Largest share of rejects",
        description="The run ends with exit code 3 when more than this share of the records was "
        "rejected: it stops when that is so after the first 10,000, and is judged at its end "
        "however short it was. 1 allows any.",
    ),
    th.Property(
        "summary_path",
        th.StringType(nullable=True),
        title="Summary file",
        description="Where each run writes what it came to, as JSON: hours, counts, speed, exit "
        f"code and what to do next ({DOCUMENTS}summary.md). By default "
        "`target-posthog-summary.json` "
        "beside the ledger's file, or in the working folder when the ledger is on a server; with "
        "the state id in its name when `MELTANO_STATE_ID` gives one. A preview writes "
        "`summary.json` into its own folder instead.",
    ),
    th.Property(
        "preview_path",
        th.StringType(nullable=True),
        title="Preview folder",
        description="Write the request bodies here, one a line and a file each run, instead of "
        "sending them. A preview starts from an empty ledger, so it shows every link. Its rejects "
        "stay in it, unless `rejects_path` is set.",
    ),
    th.Property(
        "remove_batch_files",
        th.BooleanType,
        default=False,
        title="Remove batch files",
        description="Remove every batch file once it is delivered, wherever it lies. Otherwise "
        "only those are removed that lie in a folder which tap-amplitude made for its run.",
    ),
    th.Property(
        "max_member_gb",
        th.IntegerType(minimum=1),
        default=DEFAULT_MAX_GB,
        title="Largest batch file, unpacked",
        description="The most gigabytes that one batch file may unpack to, as in tap-amplitude. It "
        "guards against files made to fill a memory or a disk.",
    ),
    th.Property(
        "workers",
        th.IntegerType(nullable=True, minimum=1),
        title="Workers",
        description="How many processes convert the tap's batch files, and its records once there "
        "are many (1 leaves records to the target itself). By default one for each processor but "
        "one, which the target needs.",
    ),
    th.Property(
        "max_batch_bytes",
        th.IntegerType(minimum=1),
        default=4 * 1024 * 1024,
        title="Largest batch in bytes",
        description="Size of one request before compression; PostHog takes 20 MiB.",
    ),
    th.Property(
        "max_batch_events",
        th.IntegerType(minimum=1),
        default=5000,
        title="Largest batch in events",
        description="Number of events in one request.",
    ),
    th.Property(
        "max_events_per_second",
        th.NumberType(nullable=True, exclusive_minimum=0),
        title="Largest number of events per second",
        description="The speed that you agreed on with PostHog. It is held over all requests, "
        "repeats included: of all runs that share a PostgreSQL ledger, or of one run with SQLite.",
    ),
    th.Property(
        "max_retry_seconds",
        th.IntegerType(minimum=1),
        default=1800,
        title="Longest wait",
        description="How long one batch is tried while PostHog or the network cannot take it. Then "
        "the run stops with its state saved.",
    ),
).to_dict()


# What is shown of it, as in a traceback, must hold no key and no password of an address.
@dataclass(frozen=True, repr=False)
class Settings:
    """The settings in the types that the target works with; valid once `validation` has no problem.

    Attributes:
        event_names, property_names: old name → new name.
        has_own_rejects: `rejects_path` is what the user says, not the default.
        changes_records: stream maps or flattening are to change records.
        adds_metadata: the SDK is to add columns to records.
        by_sdk: the settings by which the SDK changes records, as the user gave them.
    """

    api_key: str
    check_api_key: bool
    host: str
    app_host: str | None
    project_id: str
    personal_api_key: str
    historical_migration: Historical
    protocol: str
    source_format: str
    streams: Mapping[str, Any] | list[Any]
    unmapped_streams: str | None
    identity_events: IdentityEvents
    free_order: FreeOrderMode
    event_names: Mapping[str, str]
    standard_events: bool
    skip_events: tuple[str, ...]
    property_names: Mapping[str, str]
    skip_properties: tuple[str, ...]
    person_profiles: PersonProfiles
    user_properties: UserProperties
    ledger_url: str
    rejects_path: str
    has_own_rejects: bool
    max_reject_ratio: float
    summary_path: str | None
    preview_path: str | None
    remove_batch_files: bool
    max_member_gb: int
    workers: int | None
    max_batch_bytes: int
    max_batch_events: int
    max_events_per_second: float | None
    max_retry_seconds: float
    changes_records: bool
    adds_metadata: bool
    by_sdk: Mapping[str, Any]

    @classmethod
    def read(cls, config: Mapping[str, Any], *, has_own_rejects: bool = True) -> Settings:
        """Read a valid configuration."""
        as_given = {part.name: config.get(part.name) for part in fields(cls)}
        in_our_types = {
            "api_key": config.get("api_key") or "",
            "project_id": str(config.get("project_id") or "").strip(),
            "personal_api_key": config.get("personal_api_key") or "",
            "event_names": _renames(config["event_names"]),
            "skip_events": tuple(config["skip_events"]),
            "property_names": _renames(config["property_names"]),
            "skip_properties": tuple(config["skip_properties"]),
            "has_own_rejects": has_own_rejects,
            "preview_path": folder_of(config.get("preview_path") or "") or None,
            "changes_records": bool(config.get("stream_maps") or config.get("flattening_enabled")),
            "adds_metadata": bool(config.get("add_record_metadata")),
            "by_sdk": {name: config[name] for name in config if name.startswith(_CHANGING_RECORDS)},
        }
        return cls(**as_given | in_our_types)

    @property
    def rejects_place(self) -> str:
        """Where the rejects of a run go. Those of a preview stay in it, unless the user says so."""
        if self.preview_path and not self.has_own_rejects:
            return str(Path(self.preview_path, "rejects"))
        return self.rejects_path

    @property
    def rejects_setting(self) -> str:
        """Which setting says so."""
        return "rejects_path" if self.rejects_place == self.rejects_path else "preview_path"


def _renames(setting: list[dict[str, str]]) -> dict[str, str]:
    return {rename["from"]: rename["to"] for rename in setting}
