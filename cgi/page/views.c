#include "page/views.h"

#include "page/lookup.h"
#include "page/plot.h"

/*
 * A part of the overview is a statement (statements[]), the columns of its
 * table (tables[]), and its heading and hint (parts[]), all three at the same
 * index. views_write_part() writes one; the plot alone is drawn by plot.h.
 */

#define PART_MS		330	/* for a part; six of them: two seconds */
#define ROW_MS		2000	/* for the page of a row */
#define PLOT_HOOKS_MAX	50000	/* SQL_PLOT's LIMIT is one more */
#define PLOT_OLD_MAX	1000	/* older hooks one after the other: enough */
#define DEAD_ROWS	20	/* SQL_DEAD's LIMIT */

/* None of these statements reads the whole database: each goes by a small
 * index, or by a LIMIT on the newest rows. They name the index, so that without
 * it they fail instead of reading everything. */
enum { SQL_QUEUE, SQL_PLOT, SQL_UNMAPPED, SQL_DEAD, SQL_RECENT, SQL_RELEASES,
	SQL_COUNT };

#define COUNTED(rank, state, index) \
	"SELECT " rank ", '" state "', count(*), min(id) FROM (SELECT id " \
	"FROM outbox INDEXED BY " index " WHERE state = '" state "' " \
	"LIMIT 1000001)"

static const char *const statements[] = {
	/* No index has the delivered rows, and to count them would take long.
	 * So they are estimated: as many rows as ids from the first to the
	 * last, times the share of 400 of these ids that exist, less those of
	 * the other states. Where no id is missing, that is exact; and with
	 * fewer than 1,000 rows all are counted. */
	[SQL_QUEUE] =
	"WITH RECURSIVE counted (rank, state, n, first) AS ("
	COUNTED("1", "pending", "outbox_pending") " UNION ALL "
	COUNTED("2", "unmapped", "outbox_unmapped") " UNION ALL "
	COUNTED("3", "acked", "outbox_acked") " UNION ALL "
	COUNTED("4", "dead", "outbox_dead") "), "
	"head AS MATERIALIZED ("
	    "SELECT id, state FROM outbox ORDER BY id LIMIT 1000), "
	"span (low, high) AS MATERIALIZED (SELECT "
	    "(SELECT min(id) FROM outbox), (SELECT max(id) FROM outbox)), "
	"place (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM place "
	    "WHERE i < 399), "
	"taken (n) AS MATERIALIZED (SELECT count(*) FROM place, span "
	    "WHERE EXISTS (SELECT 1 FROM outbox WHERE id = low + (i * (high "
	    "- low) + abs(random() % (high - low + 1))) / 400)), "
	"delivered (about, n, first) AS MATERIALIZED (SELECT "
	    "count(*) = 1000, CASE WHEN count(*) < 1000 "
	    "THEN total(state = 'delivered') ELSE max(0, "
	    "(SELECT (high - low + 1) * taken.n / 400 FROM span, taken) "
	    "- (SELECT sum(n) FROM counted)) END, "
	    "min(CASE state WHEN 'delivered' THEN id END) FROM head) "
	"SELECT c.state, CASE WHEN n > 1000000 THEN 'over 1,000,000' "
	    "ELSE printf('%,d', n) END, o.created_at, o.created_at, rank "
	"FROM counted c LEFT JOIN outbox o ON o.id = c.first "
	"UNION ALL "
	"SELECT 'delivered', CASE WHEN about THEN 'about ' ELSE '' END "
	    "|| printf('%,d', n), o.created_at, o.created_at, 5 "
	"FROM delivered d LEFT JOIN outbox o ON o.id = d.first "
	"ORDER BY rank",
	[SQL_PLOT] =
	"SELECT received_at FROM webhook ORDER BY id DESC LIMIT 50001",
	[SQL_UNMAPPED] =
	"SELECT project, printf('%,d', count), statement "
	"FROM unmapped_project ORDER BY count DESC LIMIT 50",
	[SQL_DEAD] =
	"SELECT id, last_error, title, coalesce(project_slug, project_id), "
	    "source_type, attempts, created_at "
	"FROM outbox INDEXED BY outbox_dead "
	"WHERE state = 'dead' AND id < ? ORDER BY id DESC LIMIT 20",
	[SQL_RECENT] =
	"SELECT outbox_id, coalesce(state, outcome), title, "
	    "resource || coalesce('.' || action, ''), release, seen, "
	    "1000 * strftime('%s', received) "
	"FROM recent LIMIT 20",
	[SQL_RELEASES] =
	"SELECT o.release, coalesce(max(o.short_id), o.issue_id), "
	    "o.environment, o.level, o.title, r.first_seen_at, "
	    "coalesce(r.last_seen_at, o.created_at), max(o.id) "
	"FROM (SELECT id, release, environment, issue_id, short_id, level, "
	    "title, created_at FROM outbox ORDER BY id DESC LIMIT 2000) o "
	"LEFT JOIN issue_release r ON r.issue_id = o.issue_id "
	    "AND r.release = o.release "
	    "AND r.environment = coalesce(o.environment, '') "
	"WHERE o.release <> '' AND o.issue_id IS NOT NULL "
	"GROUP BY o.release, o.environment, o.issue_id "
	"ORDER BY max(max(o.id)) OVER (PARTITION BY o.release) DESC, "
	    "o.release, max(o.id) DESC LIMIT 60",
};

static const struct column queue_columns[] = {
	{ "State", CELL_STATE }, { "Rows", CELL_NUMBER },
	{ "Oldest", CELL_AGE }, { "Since (UTC)", CELL_TIME },
};
static const struct column unmapped_columns[] = {
	{ "Project", CELL_TEXT }, { "Rows", CELL_NUMBER },
	{ "Statement that maps it", CELL_CODE },
};
static const struct column dead_columns[] = {
	{ "Row", CELL_ROW }, { "Reason", CELL_TEXT },
	{ "Title", CELL_TEXT }, { "Project", CELL_TEXT },
	{ "Type", CELL_TEXT }, { "Attempts", CELL_NUMBER },
	{ "Received (UTC)", CELL_TIME },
};
static const struct column recent_columns[] = {
	{ "Row", CELL_ROW }, { "State", CELL_STATE },
	{ "Title", CELL_TEXT }, { "Hook", CELL_TEXT },
	{ "Release", CELL_TEXT }, { "Seen", CELL_NUMBER },
	{ "Received (UTC)", CELL_TIME },
};
static const struct column release_columns[] = {
	{ "Release", CELL_GROUP }, { "Issue", CELL_TEXT },
	{ "Environment", CELL_TEXT }, { "Level", CELL_TEXT },
	{ "Title", CELL_TEXT }, { "First seen (UTC)", CELL_TIME },
	{ "Last seen (UTC)", CELL_TIME }, { "Row", CELL_ROW },
};

#define TABLE(caption, none, columns) \
	{ caption, none, columns, sizeof(columns) / sizeof((columns)[0]) }

static const struct table tables[] = {
	[SQL_QUEUE] = TABLE("Rows of the outbox by state", "", queue_columns),
	[SQL_UNMAPPED] = TABLE("Projects without a workspace",
	    "Every project has a workspace.", unmapped_columns),
	[SQL_DEAD] = TABLE("Rows that were given up, newest first",
	    "No row was given up.", dead_columns),
	[SQL_RECENT] = TABLE("The newest hooks", "No hook has come yet.",
	    recent_columns),
	[SQL_RELEASES] = TABLE("Issues of the newest 2,000 rows, by release",
	    "No release is known yet.", release_columns),
};

static const struct {
	const char	*id, *heading, *hint;
} parts[SQL_COUNT] = {
	[SQL_QUEUE] = { "queue", "Queue", NULL },
	[SQL_PLOT] = { "hooks", "Hooks a minute", NULL },
	[SQL_UNMAPPED] = { "unmapped", "Unmapped projects", "Put your "
	    "workspace in and run it in the sqlite3 shell; the rows become "
	    "pending by themselves." },
	[SQL_DEAD] = { "dead", "Dead rows", "sentry-replay puts them back "
	    "into the queue." },
	[SQL_RECENT] = { "recent", "Newest hooks", NULL },
	[SQL_RELEASES] = { "releases", "Issues by release", NULL },
};

static void
views_write_contents(struct text *t)
{
	text_str(t, "<nav aria-label=\"Parts of this page\"><ul>\n");
	for (unsigned i = 0; i < SQL_COUNT; i++) {
		text_str(t, "<li><a href=\"#");
		text_str(t, parts[i].id);
		text_str(t, "\">");
		text_str(t, parts[i].heading);
		text_str(t, "</a></li>\n");
	}
	text_str(t, "</ul></nav>\n");
}

/* Goes back through the newest hooks. They are nearly in the order of their
 * time, but one from the spool may be much later than its neighbours: so the
 * plot ends only after PLOT_OLD_MAX older hooks. */
static void
views_write_plot(struct lookup *l)
{
	unsigned old = 0, hooks = 0;
	struct plot plot;
	enum fault f;
	bool row;

	plot_start(&plot, l->now);
	while ((f = db_step(l->db, SQL_PLOT, &row)) == FAULT_NONE && row &&
	    hooks < PLOT_HOOKS_MAX && old < PLOT_OLD_MAX) {
		old = plot_add(&plot, db_int(l->db, SQL_PLOT, 0)) ? 0 :
		    old + 1;
		hooks++;
	}
	db_finish(l->db, SQL_PLOT);
	plot.more = row && hooks == PLOT_HOOKS_MAX;
	plot_write(&plot, l->out);
	if (plot.more)
		text_str(l->out, "<p class=\"hint\">Only the newest 50,000 "
		    "hooks are counted.</p>\n");
	lookup_say_fault(l, f);
}

static void
views_write_older(struct text *t, int64_t last)
{
	text_str(t, "<p><a href=\"?dead=");
	text_int(t, last);
	text_str(t, "#dead\">Older dead rows</a></p>\n");
}

static void
views_write_part(struct lookup *l, unsigned which)
{
	int64_t last = 0;
	unsigned rows = 0;

	text_str(l->out, "<section aria-labelledby=\"");
	text_str(l->out, parts[which].id);
	text_str(l->out, "\">\n<h2 id=\"");
	text_str(l->out, parts[which].id);
	text_str(l->out, "\">");
	text_str(l->out, parts[which].heading);
	text_str(l->out, "</h2>\n");
	lookup_limit(l, PART_MS);
	if (which == SQL_PLOT)
		views_write_plot(l);
	else
		lookup_table(l, which, &tables[which], &rows, &last);
	if (rows > 0 && parts[which].hint != NULL) {
		text_str(l->out, "<p class=\"hint\">");
		text_str(l->out, parts[which].hint);
		text_str(l->out, "</p>\n");
	}
	if (which == SQL_DEAD && rows == DEAD_ROWS)
		views_write_older(l->out, last);
	text_str(l->out, "</section>\n");
}

enum fault
views_overview(struct text *t, const char *db, int64_t before,
    char why[DB_WHY])
{
	struct lookup l;
	enum fault f = lookup_open(&l, t, db, statements, SQL_COUNT, why);

	if (f != FAULT_NONE)
		return f;
	views_write_contents(t);
	db_bind_int(l.db, SQL_DEAD, 1, before);
	for (unsigned i = 0; i < SQL_COUNT; i++)
		views_write_part(&l, i);
	lookup_close(&l);
	return FAULT_NONE;
}

/* ---- one row ---- */

static const struct column row_columns[] = {
	{ "Title", CELL_LONG }, { "State", CELL_STATE },
	{ "Reason", CELL_LONG }, { "Attempts", CELL_NUMBER },
	{ "Due (UTC)", CELL_TIME }, { "Received (UTC)", CELL_TIME },
	{ "Occurred", CELL_TEXT }, { "Delivered (UTC)", CELL_TIME },
	{ "Taken or refused by", CELL_TEXT }, { "Place in the stream",
	    CELL_NUMBER }, { "Workspace", CELL_TEXT }, { "Store", CELL_TEXT },
	{ "Type", CELL_TEXT }, { "Source", CELL_TEXT },
	{ "Event id", CELL_CODE }, { "Project", CELL_TEXT },
	{ "Project's number", CELL_TEXT }, { "Issue", CELL_TEXT },
	{ "Issue's number", CELL_TEXT }, { "Level", CELL_TEXT },
	{ "Release", CELL_TEXT }, { "Environment", CELL_TEXT },
	{ "Installation", CELL_TEXT }, { "Times seen", CELL_NUMBER },
	{ "Body", CELL_LONG }, { "Source event", CELL_JSON },
};

static const char *const row_statements[] = {
	"SELECT o.title, o.state, o.last_error, o.attempts, "
	"CASE WHEN o.state IN ('pending', 'acked') THEN o.due_at END, "
	"o.created_at, o.occurred_at, o.delivered_at, o.sink, o.sink_seq, "
	"o.workspace_id, o.store_id, o.source_type, o.source_id, o.event_id, "
	"o.project_slug, o.project_id, o.short_id, o.issue_id, o.level, "
	"o.release, o.environment, w.installation, w.seen, "
	"json_extract(o.source_event, '$.body'), o.source_event "
	"FROM outbox o LEFT JOIN webhook w ON w.id = o.webhook_id "
	"WHERE o.id = ?",
};

enum fault
views_row(struct text *t, const char *db, int64_t id, bool *found,
    char why[DB_WHY])
{
	struct lookup l;
	enum fault f = lookup_open(&l, t, db, row_statements, 1, why);

	*found = false;
	if (f != FAULT_NONE)
		return f;
	db_bind_int(l.db, 0, 1, id);
	lookup_limit(&l, ROW_MS);
	*found = lookup_row(&l, 0, row_columns, sizeof(row_columns) /
	    sizeof(row_columns[0]));
	lookup_close(&l);
	return FAULT_NONE;
}
