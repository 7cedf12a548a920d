"""The tables of the people pass in the ledger, and the writes into them, all of which commute."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from target_posthog.identity.ledger import ONE_TREE

METADATA = sa.MetaData()
#: One row a project: what runs that collect and runs that apply agree by; see `pass_agreement`.
PASSES = sa.Table(
    "people_passes",
    METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
)
#: The hours that were begun, and whether all of their rows are in.
HOURS = sa.Table(
    "people_pass_hours",
    METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("hour", sa.String(13), primary_key=True),
    sa.Column("is_done", sa.Boolean, nullable=False),
)
#: As `people_pass.Known` has it.
IDS = sa.Table(
    "people_pass_ids",
    METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("rank", sa.LargeBinary, nullable=False),
    sa.Column("owner", sa.String(200)),
    sa.Column("newest", sa.LargeBinary, nullable=False),
    **ONE_TREE,
)
# Only of devices that are somebody's: their newest rows are those of their user.
sa.Index(
    "people_pass_ids_of_owner",
    IDS.c.project,
    IDS.c.owner,
    sqlite_where=IDS.c.owner.is_not(None),
    postgresql_where=IDS.c.owner.is_not(None),
)
GROUPS = sa.Table(
    "people_pass_groups",
    METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    # See `group_states` in `ledger`.
    sa.Column("group_id", sa.String(64), primary_key=True),
    sa.Column("newest", sa.LargeBinary, nullable=False),
    **ONE_TREE,
)

# Texts, as SQLAlchemy makes an INSERT with ON CONFLICT anew each time; both databases take them.
PUT_ID = sa.text(
    """
    INSERT INTO people_pass_ids AS known (project, id, rank, owner, newest)
    VALUES (:project, :id, :rank, :owner, :newest)
    ON CONFLICT (project, id) DO UPDATE SET
        rank = CASE WHEN excluded.rank < known.rank THEN excluded.rank ELSE known.rank END,
        owner = CASE WHEN excluded.rank < known.rank THEN excluded.owner ELSE known.owner END,
        newest = CASE WHEN excluded.newest > known.newest
            THEN excluded.newest ELSE known.newest END
    WHERE excluded.rank < known.rank OR excluded.newest > known.newest
    """
)
PUT_GROUP = sa.text(
    """
    INSERT INTO people_pass_groups AS known (project, group_id, newest)
    VALUES (:project, :group_id, :newest)
    ON CONFLICT (project, group_id) DO UPDATE SET newest = excluded.newest
    WHERE excluded.newest > known.newest
    """
)
PUT_HOUR = sa.text(
    """
    INSERT INTO people_pass_hours (project, app, hour, is_done)
    VALUES (:project, :app, :hour, :is_done)
    ON CONFLICT (project, app, hour) DO UPDATE SET is_done = excluded.is_done
    """
)
#: A device whose link was sent stays whose it is, before all that the pass finds.
PUT_SENT = sa.text(
    """
    INSERT INTO people_pass_ids (project, id, rank, owner, newest)
    SELECT project, device_id, :rank,
        CASE WHEN user_id = device_id THEN NULL ELSE user_id END, :newest
    FROM device_users WHERE project = :project
    ON CONFLICT (project, id) DO UPDATE SET rank = excluded.rank, owner = excluded.owner
    """
)


class Hour(NamedTuple):
    """An export hour of an app of Amplitude, `2024-01-31T05`."""

    app: str
    hour: str

    @classmethod
    def of_origin(cls, origin: bytes) -> Hour:
        """Return the hour of an origin; see `OutgoingEvent`."""
        app, _, hour = origin.decode("utf-8", "replace").rpartition("/")
        return cls(app, hour)
