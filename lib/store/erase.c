/* Erasing: erase_command.c calls, in this order,
 *   1. erase_spooled()	the files of the spool; first, because a worker may
 *			import one into the database at any time
 *   2. erase_hooks()	the rows of the database, some in each call
 *   3. erase_traces()	the copies of those rows that the log still holds */
#include "store/erase.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "hook/observation.h"
#include "hook/pii.h"
#include "hook/redact.h"
#include "store/replay_id.h"
#include "store/spool.h"
#include "store/spool_file.h"

#define BATCH_ROWS	32	/* hooks looked at, and erased, at once */
#define LOCK_WAIT_S	7	/* while another process has the lock */
#define ISSUE_ID_SIZE	64	/* bytes with the NUL; Sentry's have 20 */

enum statement {
	SQL_NEXT, SQL_DELETE_OUTBOX, SQL_DELETE_WEBHOOK, SQL_DELETE_RELEASES,
	SQL_SECURE_DELETE,
	STATEMENTS
};

static const char *const statements[STATEMENTS] = {
	[SQL_NEXT] =
	    "SELECT w.id, w.body, w.resource, o.state, o.event_id,"
	    " o.project_id, o.project_slug, o.issue_id,"
	    " o.sink IS NOT NULL OR o.attempts > 0"
	    " OR o.state IN ('acked', 'delivered', 'dead')"
	    " FROM webhook w LEFT JOIN outbox o ON o.webhook_id = w.id"
	    " WHERE w.id > ?1 ORDER BY w.id LIMIT ?2",
	[SQL_DELETE_OUTBOX] = "DELETE FROM outbox WHERE webhook_id = ?1",
	[SQL_DELETE_WEBHOOK] = "DELETE FROM webhook WHERE id = ?1",
	[SQL_DELETE_RELEASES] = "DELETE FROM issue_release WHERE issue_id = ?1",
	/* Deleted bytes are overwritten with zeros in the file. */
	[SQL_SECURE_DELETE] = "PRAGMA secure_delete = ON",
};

static_assert(STATEMENTS <= DB_STATEMENTS_MAX, "raise DB_STATEMENTS_MAX");

enum fault
erase_open(struct db **d, const char *path, char why[DB_WHY])
{
	enum fault f = db_open(d, path, DB_WRITE, statements, STATEMENTS, why);

	if (f != FAULT_NONE)
		return f;
	if ((f = db_run(*d, SQL_SECURE_DELETE)) != FAULT_NONE) {
		snprintf(why, DB_WHY, "%s", db_why(*d));
		db_close(*d);
		*d = NULL;
	}
	return f;
}

/* ---- which hooks ---- */

static bool
is_project(struct span s, const struct erase_target *target)
{
	return s.len > 0 && pii_same(s, target->project);
}

/* A metric alert may belong to several projects, and its observation names only
 * one: this looks at all that the body lists. */
static bool
body_lists_project(struct span body, const struct erase_target *target)
{
	struct json root, list;
	bool found = false;

	if (json_open(&root, body) != 0)
		return false;
	list = json_get(json_get(json_get(root, "data"), "metric_alert"),
	    "projects");
	for (size_t i = 0; i < json_count(list) && !found; i++)
		found = is_project(json_scalar(json_at(list, i)), target);
	json_close(&root);
	return found;
}

/* Whether the hook belongs to the project: 1, 0, or -1 without memory. `issue`
 * becomes the id of the issue that it is about, or ''. */
static int
belongs_to_project(const struct hook *hook, const struct erase_target *target,
    char issue[ISSUE_ID_SIZE])
{
	struct observation o;
	struct span id;
	int found = -1;

	if (observation_make(&o, hook, span_of("")) == 0) {
		id = observation_get(&o, OBSERVED_ISSUE_ID);
		snprintf(issue, ISSUE_ID_SIZE, "%.*s", (int)id.len,
		    id.at == NULL ? "" : id.at);
		found = is_project(observation_get(&o, OBSERVED_PROJECT_ID),
		    target) || is_project(observation_get(&o,
		    OBSERVED_PROJECT_SLUG), target) ||
		    body_lists_project(hook->body, target);
	}
	observation_release(&o);
	return found;
}

/* Whether the hook is to be erased; as above. */
static int
is_meant(const struct hook *hook, const struct erase_target *target,
    char issue[ISSUE_ID_SIZE])
{
	issue[0] = '\0';
	return target->project.at != NULL ?
	    belongs_to_project(hook, target, issue) :
	    redact_mentions(hook->body, target->person);
}

/* ---- the database ---- */

/* A hook that is to be erased. */
struct erase_match {
	int64_t	webhook_id;
	char	issue_id[ISSUE_ID_SIZE];	/* may be '' */
};

/* Adds all event ids under which a sink may have the row, one a line: this id
 * if delivery was `tried`, and each earlier one, since only rows that were sent
 * are replayed. */
static void
add_sent_ids(struct text *sent, struct span id, bool tried)
{
	struct span base;
	unsigned long last = replay_id_number(id, &base);

	for (unsigned long i = 1; i < last; i++) {
		text_span(sent, base);
		if (i > 1) {
			text_str(sent, "-r");
			text_int(sent, (int64_t)i);
		}
		text_str(sent, "\n");
	}
	if (tried || last > 1) {
		text_span(sent, id);
		text_str(sent, "\n");
	}
}

/* Counts the row that SQL_NEXT has just read. */
static void
count_row(struct db *d, struct erase_count *c)
{
	struct span state = db_text(d, SQL_NEXT, 3);
	unsigned long *const counts[] = { &c->pending, &c->unmapped,
	    &c->acked, &c->delivered, &c->dead };
	static const char *const names[] = { "pending", "unmapped", "acked",
	    "delivered", "dead" };

	c->hooks++;
	for (int i = 0; i < 5; i++)
		if (span_is(state, names[i]))
			++*counts[i];
	add_sent_ids(&c->sent, db_text(d, SQL_NEXT, 4),
	    db_int(d, SQL_NEXT, 8) != 0);
}

/* 1: the hook of this row is to be erased; 0: it is not; -1 without memory. */
static int
row_is_meant(struct db *d, const struct erase_target *target,
    struct erase_match *m)
{
	struct hook hook = { .body = db_text(d, SQL_NEXT, 1),
	    .resource = db_text(d, SQL_NEXT, 2) };
	int meant;

	if (hook.body.at == NULL)
		hook.body = span_of("");
	m->webhook_id = db_int(d, SQL_NEXT, 0);
	meant = is_meant(&hook, target, m->issue_id);
	if (target->project.at != NULL && meant == 0)
		meant = is_project(db_text(d, SQL_NEXT, 5), target) ||
		    is_project(db_text(d, SQL_NEXT, 6), target);
	return meant;
}

/* Reads the next rows, without a lock; *found of them are in `matches`. */
static enum fault
find_matches(struct db *d, const struct erase_target *target, int64_t *cursor,
    struct erase_match matches[BATCH_ROWS], unsigned *found,
    struct erase_count *c, bool *end)
{
	enum fault f;
	unsigned rows = 0;
	bool row;

	*found = 0;
	db_bind_int(d, SQL_NEXT, 1, *cursor);
	db_bind_int(d, SQL_NEXT, 2, BATCH_ROWS);
	while ((f = db_step(d, SQL_NEXT, &row)) == FAULT_NONE && row) {
		int meant = row_is_meant(d, target, &matches[*found]);

		if (meant < 0) {
			f = FAULT_MEMORY;
			break;
		}
		rows++;
		*cursor = db_int(d, SQL_NEXT, 0);
		if (meant > 0) {
			++*found;
			count_row(d, c);
		}
	}
	db_finish(d, SQL_NEXT);
	*end = rows < BATCH_ROWS;
	return f;
}

static enum fault
delete_match(struct db *d, const struct erase_match *m)
{
	enum fault f;

	db_bind_int(d, SQL_DELETE_OUTBOX, 1, m->webhook_id);
	if ((f = db_run(d, SQL_DELETE_OUTBOX)) != FAULT_NONE)
		return f;
	if (m->issue_id[0] != '\0') {
		db_bind_text(d, SQL_DELETE_RELEASES, 1, span_of(m->issue_id));
		if ((f = db_run(d, SQL_DELETE_RELEASES)) != FAULT_NONE)
			return f;
	}
	db_bind_int(d, SQL_DELETE_WEBHOOK, 1, m->webhook_id);
	return db_run(d, SQL_DELETE_WEBHOOK);
}

static enum fault
delete_matches(struct db *d, const struct erase_match *matches, unsigned count)
{
	enum fault f = db_insist(d, db_begin, LOCK_WAIT_S);

	if (f != FAULT_NONE)
		return f;
	for (unsigned i = 0; i < count && f == FAULT_NONE; i++)
		f = delete_match(d, &matches[i]);
	return db_end(d, f);
}

enum fault
erase_hooks(struct db *d, const struct erase_target *target, int64_t *cursor,
    bool really, struct erase_count *c, bool *end)
{
	struct erase_match matches[BATCH_ROWS];
	unsigned found;
	enum fault f = find_matches(d, target, cursor, matches, &found, c,
	    end);

	return f != FAULT_NONE || found == 0 || !really ? f :
	    delete_matches(d, matches, found);
}

enum fault
erase_traces(struct db *d)
{
	return db_insist(d, db_wipe_log, LOCK_WAIT_S);
}

/* ---- the spool ---- */

/* FAULT_NONE and an empty text: there is nothing to erase. */
static enum fault
read_spooled(int dir, const char *name, struct text *file)
{
	enum fault f = spool_read(dir, name, file);

	/* FAULT_GONE: a worker imported it in the meantime, so it is in the
	 * database. FAULT_REFUSED: it is no file of the spool. */
	if (f == FAULT_REFUSED || f == FAULT_GONE)
		text_release(file);
	return f == FAULT_GONE || f == FAULT_REFUSED ? FAULT_NONE : f;
}

static enum fault
erase_spool_file(int dir, const char *name, const struct erase_target *target,
    bool really, struct erase_count *c)
{
	struct text file = { 0 };
	char issue[ISSUE_ID_SIZE];
	struct hook hook;
	enum fault f = read_spooled(dir, name, &file);
	int meant = 0;

	if (f == FAULT_NONE) {
		/* In a file that is not whole any byte may be personal. */
		if (!spool_file_parse(&hook, text_view(&file)))
			hook = (struct hook){ .body = file.len > 0 ?
			    text_view(&file) : span_of("") };
		if ((meant = is_meant(&hook, target, issue)) < 0)
			f = FAULT_MEMORY;
	}
	text_release(&file);
	if (meant > 0) {
		c->spooled++;
		if (really && unlinkat(dir, name, 0) != 0 && errno != ENOENT)
			f = fault_errno(errno);
	}
	return f;
}

/* Whether this is a hook in the spool, or one that was set aside. */
static bool
is_spooled(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL &&
	    (strcmp(dot, SPOOL_HOOK) == 0 || strcmp(dot, SPOOL_BAD) == 0);
}

enum fault
erase_spooled(const char *path, const struct erase_target *target, bool really,
    struct erase_count *c)
{
	DIR *d = opendir(path);
	enum fault f = FAULT_NONE;
	struct dirent *e;

	if (d == NULL)
		return errno == ENOENT ? FAULT_NONE : fault_errno(errno);
	while (f == FAULT_NONE && (e = readdir(d)) != NULL)
		if (is_spooled(e->d_name))
			f = erase_spool_file(dirfd(d), e->d_name, target,
			    really, c);
	if (f == FAULT_NONE && really && fsync(dirfd(d)) != 0)
		f = fault_errno(errno);
	closedir(d);
	return f;
}
