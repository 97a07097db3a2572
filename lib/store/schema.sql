-- The database of sentry-webhooks: mapping, webhooks, outbox. Version 1.
--
-- Times are integer milliseconds since 1970 UTC unless said otherwise.
-- Edit with the plain sqlite3 shell, while all is running: the write-ahead log
-- is kept below 1,000 pages, at which a shell would begin to checkpoint.
--
-- Each index says what it costs: a page of it is written with every hook, or
-- shared by those of one commit where it grows at its end.

-- The mapping table: which workspace a Sentry project's hooks belong to.
--
-- A NULL in the first three columns matches anything; project_slug may be a
-- GLOB pattern (web-*) and matches without regard to case. The most specific
-- row wins: project id, then exact slug, then pattern, then installation, then
-- the row of NULLs; among equals one with the installation, then the lowest
-- id. Edits take effect with the next hook. Examples:
--
--   INSERT INTO workspace_map (project_slug, workspace_id)
--       VALUES ('backend', 'ws_1'), ('web-*', 'ws_2');
--   INSERT INTO workspace_map (workspace_id) VALUES ('ws_all');
CREATE TABLE workspace_map (
	id		INTEGER PRIMARY KEY,
	installation	TEXT,	-- the uuid in the hook's `installation`
	project_id	TEXT,	-- Sentry's number for the project
	project_slug	TEXT,
	workspace_id	TEXT NOT NULL,
	store_id	TEXT NOT NULL DEFAULT 'default',
	note		TEXT,	-- yours
	CONSTRAINT "workspace_id must not be empty"
		CHECK (trim(workspace_id) <> ''),
	CONSTRAINT "store_id must not be empty"
		CHECK (trim(store_id) <> ''),
	CONSTRAINT "installation must be the uuid of an installation, or NULL"
		CHECK (installation <> ''
		    AND installation NOT GLOB '*[^-0-9A-Za-z_.:]*'),
	CONSTRAINT "project_id must be Sentry's number of the project, or NULL (is it a slug? then use project_slug)"
		CHECK (project_id <> '' AND project_id NOT GLOB '*[^0-9]*'),
	CONSTRAINT "project_slug must be a slug or a GLOB pattern that can match one, or NULL"
		CHECK (project_slug <> ''
		    AND project_slug NOT GLOB '*[^]a-zA-Z0-9_.*?^[-]*'
		    -- The last bracket closes: an open [ matches nothing.
		    AND substr(rtrim(project_slug, 'abcdefghijklmnopqrstuvwxyz'
			|| 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.*?^-'), -1)
			<> '['
		    -- A ] right behind [ or [^ does not close anything.
		    AND project_slug NOT LIKE '%[]%'
		    AND project_slug NOT LIKE '%[^]%'
		    -- Without a [ these stand for themselves: no slug has them.
		    AND (project_slug GLOB '*[[]*'
			OR project_slug NOT GLOB '*[]^]*'))
) STRICT;

CREATE INDEX workspace_map_project ON workspace_map (project_id)
	WHERE project_id IS NOT NULL;
CREATE INDEX workspace_map_slug ON workspace_map (lower(project_slug))
	WHERE project_id IS NULL AND project_slug IS NOT NULL
	AND project_slug NOT GLOB '*[[*?]*';
CREATE INDEX workspace_map_pattern ON workspace_map (id)
	WHERE project_id IS NULL AND project_slug GLOB '*[[*?]*';
CREATE INDEX workspace_map_rest ON workspace_map (installation)
	WHERE project_id IS NULL AND project_slug IS NULL;

-- Counts the edits of workspace_map, so that the worker sees when it is worth
-- looking through the unmapped rows again.
CREATE TABLE workspace_map_edits (
	id	INTEGER PRIMARY KEY CHECK (id = 1),
	edits	INTEGER NOT NULL
) STRICT;
INSERT INTO workspace_map_edits VALUES (1, 1);
CREATE TRIGGER workspace_map_inserted AFTER INSERT ON workspace_map
	BEGIN UPDATE workspace_map_edits SET edits = edits + 1; END;
CREATE TRIGGER workspace_map_updated AFTER UPDATE ON workspace_map
	BEGIN UPDATE workspace_map_edits SET edits = edits + 1; END;
CREATE TRIGGER workspace_map_deleted AFTER DELETE ON workspace_map
	BEGIN UPDATE workspace_map_edits SET edits = edits + 1; END;

-- Every authentic request, as it came.
CREATE TABLE webhook (
	-- Never used again, even if the newest row is deleted by hand.
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	received_at	INTEGER NOT NULL,
	resource	TEXT NOT NULL,	-- what the body is; '' when unknown
	action		TEXT,
	installation	TEXT,
	request_id	TEXT,		-- headers, not signed
	idempotency_key	TEXT,
	hook_timestamp	TEXT,		-- seconds, as Sentry sent it
	secret_name	TEXT,		-- the secret that signed it
	-- Tells the same delivery, again: a hash of 16 bytes. Its index is the
	-- one whose pages come in no order; what it costs grows with its size.
	dedupe_key	BLOB NOT NULL UNIQUE,
	outcome		TEXT NOT NULL
		CHECK (outcome IN ('observed', 'ignored', 'unreadable')),
	seen		INTEGER NOT NULL DEFAULT 1,	-- 1 + duplicates
	body		BLOB NOT NULL	-- the raw bytes that were signed; with
					-- --redact what is left of them, and of
					-- an unreadable one its length and hash
) STRICT;

-- One row an observation, until and after it has been delivered.
--
-- unmapped   no row of workspace_map fits yet
-- pending    to be sent when due_at has come
-- acked      taken by the sink, not yet known to be on its disk
-- delivered  done
-- dead       given up; last_error says why
CREATE TABLE outbox (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	-- For the view `recent`, pruning and erasure; grows at its end.
	webhook_id	INTEGER NOT NULL UNIQUE REFERENCES webhook (id),
	-- The same on every host: sentry- and dedupe_key in hex, so that it is
	-- unique without an index of its own; -r2 and so on behind it once it
	-- was replayed as new.
	event_id	TEXT NOT NULL,
	created_at	INTEGER NOT NULL,	-- when the hook was received
	workspace_id	TEXT,
	store_id	TEXT,
	source_type	TEXT NOT NULL,		-- issue.created
	source_id	TEXT NOT NULL,		-- issue:1234
	title		TEXT NOT NULL,
	occurred_at	TEXT NOT NULL,	-- ISO 8601, as in source_event
	project_id	TEXT,
	project_slug	TEXT,
	issue_id	TEXT,
	short_id	TEXT,
	level		TEXT,
	release		TEXT,
	environment	TEXT,
	source_event	TEXT NOT NULL CHECK (json_valid(source_event)),
	state		TEXT NOT NULL CHECK (state IN
		('pending', 'unmapped', 'acked', 'delivered', 'dead')),
	attempts	INTEGER NOT NULL DEFAULT 0,
	due_at		INTEGER NOT NULL,	-- pending: to be sent then;
						-- acked: to be settled then
	last_error	TEXT,			-- the sink's words
	delivered_at	INTEGER,
	sink		TEXT,			-- who took it, or refused
	sink_seq	INTEGER,		-- where it stands in a stream
	CHECK (state = 'unmapped' OR workspace_id IS NOT NULL)
) STRICT;

-- Delivery scans these; a row that is done stands in none of them. A hook
-- enters one of the first two, at its end.
-- Rows that were never tried come first, under 0, whatever their due_at.
CREATE INDEX outbox_pending
	ON outbox (CASE attempts WHEN 0 THEN 0 ELSE max(due_at, 1) END, id)
	WHERE state = 'pending';
CREATE INDEX outbox_unmapped ON outbox (id) WHERE state = 'unmapped';
CREATE INDEX outbox_acked ON outbox (sink, due_at, sink_seq)
	WHERE state = 'acked';
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';
-- For the view `release_issue` and sentry-replay --issue. Newer issues have
-- higher numbers, so that most hooks share its last pages.
CREATE INDEX outbox_issue ON outbox (issue_id) WHERE issue_id IS NOT NULL;

-- What error and event_alert hooks taught about an issue: the hooks about the
-- issue itself never name the release that it happened in.
CREATE TABLE issue_release (
	issue_id	TEXT NOT NULL,
	release		TEXT NOT NULL,
	environment	TEXT NOT NULL DEFAULT '',
	first_seen_at	INTEGER NOT NULL,
	last_seen_at	INTEGER NOT NULL,
	PRIMARY KEY (issue_id, release, environment)
) STRICT, WITHOUT ROWID;

-- What sentry-replay has put back into the queue.
CREATE TABLE replay (
	id		INTEGER PRIMARY KEY,
	at		INTEGER NOT NULL,
	selection	TEXT NOT NULL,	-- its options, as they were given
	rows		INTEGER NOT NULL,	-- how many were put back
	new_id		INTEGER NOT NULL	-- 1: they got new event ids
		CHECK (new_id IN (0, 1))
) STRICT;

-- ---- Views for people ----

-- The event as it is delivered.
CREATE VIEW outbox_event (id, event) AS
	SELECT id, json_object(
		'name', 'apps-console/neural/observation.capture',
		'id', event_id,
		'ts', created_at,
		'data', json_object(
			'workspaceId', workspace_id,
			'storeId', store_id,
			'sourceEvent', json(source_event)))
	FROM outbox;

-- The newest hundred hooks and what became of them.
CREATE VIEW recent AS
	SELECT w.id AS webhook_id, o.id AS outbox_id,
		strftime('%Y-%m-%d %H:%M:%S', w.received_at / 1000,
			'unixepoch') AS received,
		w.resource, w.action, w.outcome, w.seen, o.state,
		o.workspace_id, o.short_id, o.release, o.title
	FROM (SELECT * FROM webhook ORDER BY id DESC LIMIT 100) w
	LEFT JOIN outbox o ON o.webhook_id = w.id
	ORDER BY w.id DESC;

-- How much stands where, and for how long (seconds).
CREATE VIEW queue AS
	SELECT state, count(*) AS count,
		CAST(strftime('%s', 'now') AS INTEGER)
			- min(created_at) / 1000 AS oldest_age
	FROM outbox GROUP BY state;

-- Projects that no row of workspace_map fits, and the statement that maps
-- them: put your workspace in and run it.
CREATE VIEW unmapped_project AS
	SELECT coalesce(slug, number, installation) AS project,
		count(*) AS count,
		CASE WHEN slug IS NOT NULL THEN
			printf('INSERT INTO workspace_map (project_slug, '
			|| 'workspace_id) VALUES (%Q, ''WORKSPACE'');', slug)
		WHEN number IS NOT NULL THEN
			printf('INSERT INTO workspace_map (project_id, '
			|| 'workspace_id) VALUES (%Q, ''WORKSPACE'');', number)
		ELSE
			printf('INSERT INTO workspace_map (installation, '
			|| 'workspace_id) VALUES (%Q, ''WORKSPACE'');',
			installation)
		END AS statement
	FROM (SELECT w.installation,
		CASE WHEN o.project_slug NOT GLOB '*[^-a-zA-Z0-9_.]*'
			AND o.project_slug <> '' THEN o.project_slug END
			AS slug,
		CASE WHEN o.project_id NOT GLOB '*[^0-9]*'
			AND o.project_id <> '' THEN o.project_id END
			AS number
		FROM outbox o JOIN webhook w ON w.id = o.webhook_id
		WHERE o.state = 'unmapped')
	GROUP BY statement;

-- Which issues were seen in which release.
CREATE VIEW release_issue AS
	SELECT r.release, r.environment, r.issue_id, o.short_id, o.title,
		o.level, r.first_seen_at, r.last_seen_at
	FROM issue_release r
	LEFT JOIN outbox o ON o.id = (
		SELECT id FROM outbox WHERE issue_id = r.issue_id
		-- Only the hooks about the issue itself know its short id.
		ORDER BY short_id IS NULL, id DESC LIMIT 1)
	ORDER BY r.last_seen_at DESC;
