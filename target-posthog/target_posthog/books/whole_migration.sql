-- Whether the migration in a ledger is whole: a row for each PostHog project, source and app.
-- The same on PostgreSQL and SQLite; what the columns mean is in docs/scale.md.
WITH lines AS (
    SELECT
        project,
        CASE
            WHEN stretch = '' OR substr(stretch, 1, 7) = 'before ' THEN 'tap-amplitude'
            ELSE stream
        END AS source,
        app, hour, stretch, exported, accepted, superseded, skipped, rejected, links, group_updates,
        exported - accepted - superseded - skipped - rejected AS open
    FROM book_hours
),
-- Hours that were read whole. A line without an app stands for an hour in which no app had a record.
hours AS (
    SELECT DISTINCT project, app, hour FROM lines WHERE hour <> '' AND stretch = ''
),
sums AS (
    SELECT
        project, source, app,
        min(CASE WHEN hour <> '' THEN hour END) AS first,
        max(CASE WHEN hour <> '' THEN hour END) AS last,
        count(DISTINCT CASE WHEN hour <> '' THEN hour END) AS own_hours,
        sum(exported) AS exported, sum(accepted) AS accepted, sum(superseded) AS superseded,
        sum(skipped) AS skipped, sum(rejected) AS rejected, sum(open) AS open,
        sum(links) AS links, sum(group_updates) AS group_updates,
        sum(CASE WHEN open <> 0 THEN 1 ELSE 0 END) AS unsettled
    FROM lines
    GROUP BY project, source, app
),
-- Hours without records are no app of their own, where there are apps.
parts AS (
    SELECT sums.*
    FROM sums
    WHERE sums.source <> 'tap-amplitude' OR sums.app <> '' OR sums.exported <> 0 OR NOT EXISTS (
        SELECT 1 FROM sums AS named
        WHERE named.project = sums.project AND named.source = 'tap-amplitude' AND named.app <> ''
    )
),
found AS (
    SELECT parts.project, parts.app, count(DISTINCT hours.hour) AS hours
    FROM parts
    JOIN hours
        ON hours.project = parts.project
        AND (hours.app = parts.app OR hours.app = '' OR parts.app = '')
        AND hours.hour BETWEEN parts.first AND parts.last
    WHERE parts.source = 'tap-amplitude'
    GROUP BY parts.project, parts.app
),
-- The same hour from tap-amplitude and from another tap.
twice AS (
    SELECT project, app, count(*) AS hours
    FROM (
        SELECT project, app, hour
        FROM lines
        WHERE hour <> ''
        GROUP BY project, app, hour
        HAVING min(stretch) = '' AND max(stretch) <> ''
    ) AS doubled
    GROUP BY project, app
),
-- Hours as numbers, by the Julian day; all divisions are of integers.
calendar AS (
    SELECT
        hour,
        CAST(substr(hour, 1, 4) AS INTEGER) + 4800
            - (14 - CAST(substr(hour, 6, 2) AS INTEGER)) / 12 AS year,
        CAST(substr(hour, 6, 2) AS INTEGER) - 3
            + 12 * ((14 - CAST(substr(hour, 6, 2) AS INTEGER)) / 12) AS month,
        CAST(substr(hour, 9, 2) AS INTEGER) AS day,
        CAST(substr(hour, 12, 2) AS INTEGER) AS hour_of_day
    FROM (
        SELECT first AS hour FROM parts UNION SELECT last FROM parts
    ) AS ends
    WHERE hour IS NOT NULL
),
numbers AS (
    SELECT
        hour,
        24 * (day + (153 * month + 2) / 5 + 365 * year + year / 4 - year / 100 + year / 400)
            + hour_of_day AS number
    FROM calendar
),
judged AS (
    SELECT
        parts.*,
        CASE WHEN parts.source = 'tap-amplitude' THEN coalesce(found.hours, 0)
            ELSE parts.own_hours END AS hours,
        CASE WHEN found.hours IS NULL THEN 0
            ELSE behind.number - ahead.number + 1 - found.hours END AS gap_hours,
        CASE WHEN parts.source = 'tap-amplitude' THEN coalesce(twice.hours, 0)
            ELSE 0 END AS overlap_hours
    FROM parts
    LEFT JOIN found
        ON parts.source = 'tap-amplitude'
        AND found.project = parts.project AND found.app = parts.app
    LEFT JOIN twice ON twice.project = parts.project AND twice.app = parts.app
    LEFT JOIN numbers AS ahead ON ahead.hour = parts.first
    LEFT JOIN numbers AS behind ON behind.hour = parts.last
)
SELECT
    project, source, app, first, last,
    CAST(hours AS BIGINT) AS hours,
    CAST(gap_hours AS BIGINT) AS gap_hours,
    CAST(overlap_hours AS BIGINT) AS overlap_hours,
    CAST(exported AS BIGINT) AS exported,
    CAST(accepted AS BIGINT) AS accepted,
    CAST(superseded AS BIGINT) AS superseded,
    CAST(skipped AS BIGINT) AS skipped,
    CAST(rejected AS BIGINT) AS rejected,
    CAST(open AS BIGINT) AS open,
    CAST(links AS BIGINT) AS links,
    CAST(group_updates AS BIGINT) AS group_updates,
    CASE WHEN gap_hours = 0 AND overlap_hours = 0 AND unsettled = 0 THEN 1 ELSE 0 END AS is_whole
FROM judged
ORDER BY project, source, app
