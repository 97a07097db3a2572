-- The database of sentry-webhooks: mapping, webhooks, outbox. Version 1.
-- sentry-outbox(5) is its manual.
--
-- Times are integers, in milliseconds since 1970 UTC, unless said otherwise.
--
-- The plain sqlite3 shell may be used while all programs run. The worker keeps
-- the write-ahead log below 1,000 pages, because from there on a shell would
-- move the log into the database by itself (lib/store/checkpoint.h).
--
-- What an index costs: where new entries go to its end, the hooks of one commit
-- share the page that is written; where they go anywhere, each hook writes a
-- page of its own. The comments say which of the two an index is.

-- The mapping table: which workspace a Sentry project's hooks belong to.
--
-- A NULL in installation, project_id or project_slug matches anything.
-- project_slug may be a GLOB pattern (web-*), and its case does not matter.
-- Of the rows that match the most specific one counts, in this order: project
-- id, exact slug, pattern, installation, a row of NULLs. Of two that are equal
-- the one with an installation counts, then the one with the lower id. Edits
-- take effect with the next hook; soon after, unmapped rows are mapped as well.
-- Examples:
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
	note		TEXT,	-- your own; no program reads it
	CONSTRAINT "workspace_id must not be empty"
		CHECK (trim(workspace_id, char(9, 10, 13, 32)) <> ''),
	CONSTRAINT "store_id must not be empty"
		CHECK (trim(store_id, char(9, 10, 13, 32)) <> ''),
	CONSTRAINT "installation must be the uuid of an installation, or NULL"
		CHECK (installation <> ''
		    AND installation NOT GLOB '*[^-0-9A-Za-z_.:]*'),
	CONSTRAINT "project_id must be Sentry's number of the project, or NULL (is it a slug? then use project_slug)"
		CHECK (project_id <> '' AND project_id NOT GLOB '*[^0-9]*'
		    AND project_id NOT GLOB '0*'),
	CONSTRAINT "project_slug must be a slug or a GLOB pattern that can match one, or NULL"
		CHECK (project_slug <> ''
		    AND project_slug NOT GLOB '*[^]a-zA-Z0-9_.*?^[-]*'
		    -- The last bracket has to be a ]: a GLOB with an open
		    -- [ matches nothing.
		    AND substr(rtrim(project_slug, 'abcdefghijklmnopqrstuvwxyz'
			|| 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.*?^-'), -1)
			<> '['
		    -- A ] just after [ or [^ stands for itself, and does
		    -- not close the bracket.
		    AND project_slug NOT LIKE '%[]%'
		    AND project_slug NOT LIKE '%[^]%'
		    -- Without a [, the bytes ] and ^ stand for themselves:
		    -- no slug has them.
		    AND (project_slug GLOB '*[[]*'
			OR project_slug NOT GLOB '*[]^]*'))
) STRICT;

-- One index for each step of that order, as mapping.h asks for it. Hooks do not
-- write to them.
CREATE INDEX workspace_map_project ON workspace_map (project_id)
	WHERE project_id IS NOT NULL;
CREATE INDEX workspace_map_slug ON workspace_map (lower(project_slug))
	WHERE project_id IS NULL AND project_slug IS NOT NULL
	AND project_slug NOT GLOB '*[[*?]*';
CREATE INDEX workspace_map_pattern ON workspace_map (id)
	WHERE project_id IS NULL AND project_slug GLOB '*[[*?]*';
CREATE INDEX workspace_map_rest ON workspace_map (installation)
	WHERE project_id IS NULL AND project_slug IS NULL;

-- A counter of the edits of workspace_map, in one row. When it has changed, the
-- worker looks for a workspace for all unmapped rows again.
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

-- Every request with a right signature, as it came.
CREATE TABLE webhook (
	-- AUTOINCREMENT: an id is not used again, even if the newest row is
	-- deleted by hand.
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	received_at	INTEGER NOT NULL,
	resource	TEXT NOT NULL,	-- what the body is; '' when unknown
	action		TEXT,
	installation	TEXT,
	request_id	TEXT,		-- a header, not signed
	idempotency_key	TEXT,		-- likewise
	hook_timestamp	TEXT,		-- seconds, as Sentry sent it
	secret_name	TEXT,		-- of the secret that signed it
	-- hook: it came, with a signature. backfill: sentry-backfill has made
	-- it of what Sentry's API says, and nobody has signed it.
	origin		TEXT NOT NULL DEFAULT 'hook'
		CHECK (origin IN ('hook', 'backfill')),
	-- A hash of 16 bytes: two deliveries of the same hook have the same.
	-- New keys go anywhere in its index: the larger that is, the fewer
	-- hooks of a commit share a page.
	dedupe_key	BLOB NOT NULL UNIQUE,
	outcome		TEXT NOT NULL
		CHECK (outcome IN ('observed', 'ignored', 'unreadable')),
	seen		INTEGER NOT NULL DEFAULT 1,	-- 1 + duplicates
	reprocessed_at	INTEGER,	-- when --reprocess last wrote its row
	-- The raw bytes that were signed. With --redact: the same without
	-- personal data; of a body that cannot be read, length and hash.
	body		BLOB NOT NULL
) STRICT;

-- For the view `reprocessed`. Only hooks that --reprocess wrote a row for are
-- in it: it costs a new hook nothing.
CREATE INDEX webhook_reprocessed ON webhook (reprocessed_at)
	WHERE reprocessed_at IS NOT NULL;
-- Finds the backfilled row of a hook that comes after all.
CREATE INDEX webhook_backfilled ON webhook (hook_timestamp)
	WHERE origin = 'backfill';

-- The observations that are to be delivered, one in each row. sentry-deliver
-- changes `state`; delivered rows stay until they are pruned.
--
-- unmapped   no row of workspace_map matches yet
-- pending    to be sent once due_at has come
-- acked      the sink has it, but perhaps not on its disk yet
-- delivered  done
-- dead       given up; last_error says why
CREATE TABLE outbox (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	-- The index is for the view `recent`, pruning and erasure; new entries
	-- go to its end.
	webhook_id	INTEGER NOT NULL UNIQUE REFERENCES webhook (id),
	-- 'sentry-' and webhook.dedupe_key in hex: every host gives the same
	-- id, and it is unique without an index of its own. A row that was
	-- replayed with a new id has -r2, -r3 ... at its end. A backfilled row
	-- keeps the id that it had before its hook came.
	event_id	TEXT NOT NULL,
	created_at	INTEGER NOT NULL,	-- webhook.received_at
	workspace_id	TEXT,
	store_id	TEXT,
	source_type	TEXT NOT NULL,		-- such as issue.created
	source_id	TEXT NOT NULL,		-- such as issue:1234
	title		TEXT NOT NULL,
	occurred_at	TEXT NOT NULL,	-- ISO 8601, as in source_event
	project_id	TEXT,
	project_slug	TEXT,
	issue_id	TEXT,
	short_id	TEXT,
	level		TEXT,
	release		TEXT,
	environment	TEXT,
	-- The observation itself, in JSON: docs/observation.md.
	source_event	TEXT NOT NULL CHECK (json_valid(source_event)),
	state		TEXT NOT NULL CHECK (state IN
		('pending', 'unmapped', 'acked', 'delivered', 'dead')),
	attempts	INTEGER NOT NULL DEFAULT 0,
	due_at		INTEGER NOT NULL,	-- pending: when to send it;
						-- acked: when to ask the sink
						-- whether it is still there
	last_error	TEXT,			-- as the sink said it
	delivered_at	INTEGER,
	sink		TEXT,			-- who took or refused it last
	sink_seq	INTEGER,		-- acked: its number in a stream
	CHECK (state = 'unmapped' OR workspace_id IS NOT NULL)
) STRICT;

-- sentry-deliver finds its rows by these; a delivered row is in none of them.
-- A new hook goes into one of the first two, to its end.
--
-- Rows that were never tried come first in this one, in the order of their ids:
-- their due_at counts as 0.
CREATE INDEX outbox_pending
	ON outbox (CASE attempts WHEN 0 THEN 0 ELSE max(due_at, 1) END, id)
	WHERE state = 'pending';
CREATE INDEX outbox_unmapped ON outbox (id) WHERE state = 'unmapped';
CREATE INDEX outbox_acked ON outbox (sink, due_at, sink_seq)
	WHERE state = 'acked';
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';
-- For the view `release_issue`, sentry-replay --issue, and what looks for hooks
-- about an issue by what they say (backfilled.h). Most hooks are about new
-- issues, which have the highest numbers: they share the last pages.
CREATE INDEX outbox_issue ON outbox (issue_id, source_type)
	WHERE issue_id IS NOT NULL;

-- The releases in which an issue was seen. Hooks about an issue never name the
-- release; error and event_alert hooks do. What those say is kept here, and a
-- later hook about the same issue gets its release from here.
CREATE TABLE issue_release (
	issue_id	TEXT NOT NULL,
	release		TEXT NOT NULL,
	environment	TEXT NOT NULL DEFAULT '',
	first_seen_at	INTEGER NOT NULL,
	last_seen_at	INTEGER NOT NULL,
	PRIMARY KEY (issue_id, release, environment)
) STRICT, WITHOUT ROWID;

-- The log of sentry-replay and of sentry-webhooks --reprocess: one row for each
-- time that one of them put rows into the queue.
CREATE TABLE replay (
	id		INTEGER PRIMARY KEY,
	at		INTEGER NOT NULL,
	selection	TEXT NOT NULL,	-- its options, as they were given
	rows		INTEGER NOT NULL,	-- how many were put back
	new_id		INTEGER NOT NULL	-- 1: they got new event ids
		CHECK (new_id IN (0, 1))
) STRICT;

-- The runs of sentry-backfill.
CREATE TABLE backfill (
	id		INTEGER PRIMARY KEY,
	at		INTEGER NOT NULL,	-- when it was begun
	selection	TEXT NOT NULL,	-- its options, as they were given
	since		INTEGER NOT NULL,	-- its window
	until		INTEGER NOT NULL,
	-- How far it is: the list of issues that it reads, and Sentry's cursor
	-- of the page that is next.
	list		INTEGER NOT NULL DEFAULT 0,
	cursor		TEXT NOT NULL DEFAULT '',
	rows		INTEGER NOT NULL DEFAULT 0,	-- how many it has filed
	done_at		INTEGER		-- NULL: it was cut, or still runs
) STRICT;

-- ---- Views, for people and their queries ----

-- The event of each row of the outbox, as the sink gets it. Columns: the row's
-- id; the JSON. (lib/sink/envelope.c writes the same.)
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

-- The newest hundred hooks, the newest first, each with its row of the outbox:
-- state, workspace and the rest are NULL for a hook that was not observed.
-- `received` is in UTC.
CREATE VIEW recent AS
	SELECT w.id AS webhook_id, o.id AS outbox_id,
		strftime('%Y-%m-%d %H:%M:%S', w.received_at / 1000,
			'unixepoch') AS received,
		w.resource, w.action, w.outcome, w.seen, o.state,
		o.workspace_id, o.short_id, o.release, o.title
	FROM (SELECT * FROM webhook ORDER BY id DESC LIMIT 100) w
	LEFT JOIN outbox o ON o.webhook_id = w.id
	ORDER BY w.id DESC;

-- The newest hundred hooks that --reprocess has written a row for.
CREATE VIEW reprocessed AS
	SELECT w.id AS webhook_id, o.id AS outbox_id,
		strftime('%Y-%m-%d %H:%M:%S', w.reprocessed_at / 1000,
			'unixepoch') AS reprocessed,
		strftime('%Y-%m-%d %H:%M:%S', w.received_at / 1000,
			'unixepoch') AS received,
		w.resource, w.action, o.event_id, o.state, o.short_id,
		o.release, o.title
	FROM webhook w LEFT JOIN outbox o ON o.webhook_id = w.id
	WHERE w.reprocessed_at IS NOT NULL
	ORDER BY w.reprocessed_at DESC, w.id DESC LIMIT 100;

-- How many rows of the outbox are in each state, and how many seconds ago the
-- oldest of them was received.
CREATE VIEW queue AS
	SELECT state, count(*) AS count,
		CAST(strftime('%s', 'now') AS INTEGER)
			- min(created_at) / 1000 AS oldest_age
	FROM outbox GROUP BY state;

-- Projects whose rows are unmapped: how many rows, and the statement that maps
-- them, ready to run once WORKSPACE is replaced. `project` is the slug, or else
-- Sentry's number, or else the installation.
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

-- Which issues were seen in which release, the last seen first. Short id, title
-- and level are those of the newest hook that has a short id.
CREATE VIEW release_issue AS
	SELECT r.release, r.environment, r.issue_id, o.short_id, o.title,
		o.level, r.first_seen_at, r.last_seen_at
	FROM issue_release r
	LEFT JOIN outbox o ON o.id = (
		SELECT id FROM outbox WHERE issue_id = r.issue_id
		-- Only the hooks about the issue itself know its short id.
		ORDER BY short_id IS NULL, id DESC LIMIT 1)
	ORDER BY r.last_seen_at DESC;
