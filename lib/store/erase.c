/* Erasing: erase_command.c calls, in this order,
 *   1. erase_find_names()	what else the project is called
 *   2. erase_spooled()	the files of the spool; first, because a worker may
 *			import one into the database at any time
 *   3. erase_hooks()	the rows of the database, some in each call: first
 *			hooks that name nothing but an issue of the project,
 *			because the rows that say whose issue it is go next
 *   4. erase_traces()	the copies of those rows that the log still holds */
#include "store/erase.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/ascii.h"
#include "hook/observation.h"
#include "hook/pii.h"
#include "hook/redact.h"
#include "store/replay_id.h"
#include "store/spool.h"
#include "store/spool_file.h"
#include "store/spool_scan.h"

#define BATCH_ROWS	32	/* hooks looked at, and erased, at once */
#define LOCK_WAIT_S	7	/* while another process has the lock */
#define NUMBER_DIGITS	6	/* of a number that is looked for in bytes */
#define ISSUE_ID_SIZE	64	/* bytes with the NUL; Sentry's have 20 */

enum statement {
	SQL_NAMES, SQL_ISSUE, SQL_NEXT, SQL_DELETE_OUTBOX, SQL_DELETE_WEBHOOK,
	SQL_DELETE_RELEASES, SQL_SECURE_DELETE,
	STATEMENTS
};

static const char *const statements[STATEMENTS] = {
	[SQL_NAMES] =
	    "SELECT DISTINCT"
	    " CASE project_id WHEN ?1 THEN project_slug ELSE project_id END"
	    " FROM outbox WHERE project_id <> '' AND project_slug <> '' AND"
	    " (project_id = ?1 OR project_slug = ?1 COLLATE NOCASE)",
	[SQL_ISSUE] =
	    "SELECT project_id, project_slug FROM outbox WHERE issue_id = ?1",
	/* ?3 = 0: without those whose row names a project. */
	[SQL_NEXT] =
	    "SELECT w.id, w.body, w.resource, o.state, o.event_id,"
	    " o.project_id, o.project_slug, o.issue_id,"
	    " o.sink IS NOT NULL OR o.attempts > 0"
	    " OR o.state IN ('acked', 'delivered', 'dead')"
	    " FROM webhook w LEFT JOIN outbox o ON o.webhook_id = w.id"
	    " WHERE w.id > ?1"
	    " AND (?3 OR coalesce(o.project_id, o.project_slug, '') = '')"
	    " ORDER BY w.id LIMIT ?2",
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

/* Whether a hook is the target's. BELONGS_BY_ISSUE: it does not name the
 * project itself, but rows of its issue do. */
enum belongs { BELONGS_NOT, BELONGS_BY_ISSUE, BELONGS };

/* A hook that is to be erased, and why. */
struct erase_match {
	int64_t		webhook_id;
	enum belongs	belongs;
	char		issue_id[ISSUE_ID_SIZE];	/* may be '' */
};

enum fault
erase_find_names(struct db *d, struct erase_target *target)
{
	enum fault f;
	bool row;

	if (target->project.at == NULL)
		return FAULT_NONE;
	db_bind_text(d, SQL_NAMES, 1, target->project);
	while ((f = db_step(d, SQL_NAMES, &row)) == FAULT_NONE && row) {
		text_span(&target->others, db_text(d, SQL_NAMES, 0));
		/* The NUL, which is in no column, ends the name. */
		text_add(&target->others, "", 1);
	}
	db_finish(d, SQL_NAMES);
	return f == FAULT_NONE && target->others.broken ? FAULT_MEMORY : f;
}

/* Takes the next of the project's other names off the front. */
static struct span
next_name(struct span *others)
{
	struct span name = span_of(others->at);

	*others = span_behind(*others, name.len + 1);
	return name;
}

static bool
is_other_name(struct span s, const struct erase_target *target)
{
	struct span others = text_view(&target->others);

	while (others.len > 0)
		if (pii_same(s, next_name(&others)))
			return true;
	return false;
}

static bool
is_project(struct span id, struct span slug, const struct erase_target *target)
{
	return (id.len > 0 && pii_same(id, target->project)) ||
	    (slug.len > 0 && pii_same(slug, target->project)) ||
	    is_other_name(id.len > 0 ? id : slug, target);
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
		found = is_project(SPAN_NONE, json_scalar(json_at(list, i)),
		    target);
	json_close(&root);
	return found;
}

static bool
is_word_at(struct span s, size_t i)
{
	return i < s.len && (ascii_is_name(s.at[i]) || s.at[i] == '-');
}

/* Whether the bytes that end before `i` are the name of a member: a quote and a
 * colon follow. */
static bool
is_member(struct span s, size_t i)
{
	if (i == s.len || s.at[i] != '"')
		return false;
	for (i++; i < s.len && span_is_white(s.at[i]); i++)
		;
	return i < s.len && s.at[i] == ':';
}

/* Whether the name is a word of the body. A short number may be anything. */
static bool
bytes_name(struct span body, struct span name)
{
	size_t digits = 0;

	while (digits < name.len && ascii_is_digit(name.at[digits]))
		digits++;
	if (name.len == 0 || (digits == name.len && digits < NUMBER_DIGITS))
		return false;
	for (size_t i = 0; i + name.len <= body.len; i++)
		if (pii_same((struct span){ body.at + i, name.len }, name) &&
		    (i == 0 || !is_word_at(body, i - 1)) &&
		    !is_word_at(body, i + name.len) &&
		    !is_member(body, i + name.len))
			return true;
	return false;
}

/* Whether a body that cannot be read names the project. Nothing is looked for
 * in what --redact has left of one, nor in the head of a spool file. */
static bool
bytes_name_project(struct span body, const struct erase_target *target)
{
	struct span others = text_view(&target->others);
	const char *head;
	bool found;

	if (redact_is_unreadable(body))
		return false;
	head = body.len > 0 ? memmem(body.at, body.len, "\n\n", 2) : NULL;
	if (head != NULL)
		body = span_behind(body, (size_t)(head + 2 - body.at));
	found = bytes_name(body, target->project);
	while (!found && others.len > 0)
		found = bytes_name(body, next_name(&others));
	return found;
}

static enum fault
issue_belongs(struct db *d, const struct erase_target *target,
    struct erase_match *m)
{
	enum fault f;
	bool row;

	db_bind_text(d, SQL_ISSUE, 1, span_of(m->issue_id));
	while ((f = db_step(d, SQL_ISSUE, &row)) == FAULT_NONE && row &&
	    m->belongs == BELONGS_NOT)
		if (is_project(db_text(d, SQL_ISSUE, 0),
		    db_text(d, SQL_ISSUE, 1), target))
			m->belongs = BELONGS_BY_ISSUE;
	db_finish(d, SQL_ISSUE);
	return f;
}

/* Sets all but the id of the match. */
static enum fault
belongs_to_project(struct db *d, const struct hook *hook,
    const struct erase_target *target, struct erase_match *m)
{
	struct observation o;
	struct span project, slug, issue;
	enum fault f = FAULT_MEMORY;
	bool found;

	if (observation_make(&o, hook, span_of("")) == 0) {
		project = observation_get(&o, OBSERVED_PROJECT_ID);
		slug = observation_get(&o, OBSERVED_PROJECT_SLUG);
		issue = observation_get(&o, OBSERVED_ISSUE_ID);
		snprintf(m->issue_id, ISSUE_ID_SIZE, "%.*s", (int)issue.len,
		    issue.at == NULL ? "" : issue.at);
		found = o.outcome == OUTCOME_UNREADABLE ?
		    bytes_name_project(hook->body, target) :
		    is_project(project, slug, target) ||
		    body_lists_project(hook->body, target);
		m->belongs = found ? BELONGS : BELONGS_NOT;
		f = FAULT_NONE;
		if (!found && issue.len > 0 && project.len + slug.len == 0)
			f = issue_belongs(d, target, m);
	}
	observation_release(&o);
	return f;
}

/* Whether the hook is to be erased; as above. */
static enum fault
look_at_hook(struct db *d, const struct hook *hook,
    const struct erase_target *target, struct erase_match *m)
{
	int meant;

	m->issue_id[0] = '\0';
	if (target->project.at != NULL)
		return belongs_to_project(d, hook, target, m);
	meant = redact_mentions(hook->body, target->person);
	m->belongs = meant > 0 ? BELONGS : BELONGS_NOT;
	return meant < 0 ? FAULT_MEMORY : FAULT_NONE;
}

/* ---- the database ---- */

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

/* The same of the row that SQL_NEXT has just read. */
static enum fault
look_at_row(struct db *d, const struct erase_target *target,
    struct erase_match *m)
{
	struct hook hook = { .body = db_text(d, SQL_NEXT, 1),
	    .resource = db_text(d, SQL_NEXT, 2) };
	enum fault f;

	if (hook.body.at == NULL)
		hook.body = span_of("");
	m->webhook_id = db_int(d, SQL_NEXT, 0);
	f = look_at_hook(d, &hook, target, m);
	if (target->project.at != NULL && is_project(db_text(d, SQL_NEXT, 5),
	    db_text(d, SQL_NEXT, 6), target))
		m->belongs = BELONGS;
	return f;
}

/* Reads the next rows, without a lock; *found of them, those that belong to the
 * target in the way that is `wanted`, are in `matches`. */
static enum fault
find_matches(struct db *d, const struct erase_target *target,
    enum belongs wanted, int64_t *cursor,
    struct erase_match matches[BATCH_ROWS], unsigned *found,
    struct erase_count *c, bool *end)
{
	enum fault f;
	unsigned rows = 0;
	bool row;

	*found = 0;
	db_bind_int(d, SQL_NEXT, 1, *cursor);
	db_bind_int(d, SQL_NEXT, 2, BATCH_ROWS);
	db_bind_int(d, SQL_NEXT, 3, wanted == BELONGS);
	while ((f = db_step(d, SQL_NEXT, &row)) == FAULT_NONE && row) {
		struct erase_match *m = &matches[*found];

		if ((f = look_at_row(d, target, m)) != FAULT_NONE)
			break;
		rows++;
		*cursor = m->webhook_id;
		if (m->belongs == wanted) {
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
erase_hooks(struct db *d, const struct erase_target *target,
    struct erase_place *place, bool really, struct erase_count *c, bool *end)
{
	struct erase_match matches[BATCH_ROWS];
	bool last = target->project.at == NULL || place->issues_done;
	unsigned found;
	enum fault f = find_matches(d, target, last ? BELONGS :
	    BELONGS_BY_ISSUE, &place->webhook_id, matches, &found, c, end);

	if (f == FAULT_NONE && *end && !last) {
		*place = (struct erase_place){ .issues_done = true };
		*end = false;
	}
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
erase_spool_file(struct db *d, int dir, const char *name,
    const struct erase_target *target, bool really, struct erase_count *c)
{
	struct text file = { 0 };
	struct erase_match m = { .belongs = BELONGS_NOT };
	struct hook hook;
	enum fault f = read_spooled(dir, name, &file);

	if (f == FAULT_NONE) {
		/* In a file that is not whole any byte may be personal. */
		if (!spool_file_parse(&hook, text_view(&file)))
			hook = (struct hook){ .body = file.len > 0 ?
			    text_view(&file) : span_of("") };
		f = look_at_hook(d, &hook, target, &m);
	}
	text_release(&file);
	if (f == FAULT_NONE && m.belongs != BELONGS_NOT) {
		c->spooled++;
		if (really && unlinkat(dir, name, 0) != 0 && errno != ENOENT)
			f = fault_errno(errno);
	}
	return f;
}

/* Whether this is a hook in the spool, one that was set aside, or what a dead
 * process has left of one. */
static bool
is_spooled(int dir, const char *name)
{
	const char *dot = strrchr(name, '.');

	return (dot != NULL &&
	    (strcmp(dot, SPOOL_HOOK) == 0 || strcmp(dot, SPOOL_BAD) == 0)) ||
	    spool_scan_is_stale(dir, name);
}

enum fault
erase_spooled(struct db *d, const char *path, const struct erase_target *target,
    bool really, struct erase_count *c)
{
	DIR *folder = opendir(path);
	enum fault f = FAULT_NONE;
	struct dirent *e;

	if (folder == NULL)
		return errno == ENOENT ? FAULT_NONE : fault_errno(errno);
	while (f == FAULT_NONE && (e = readdir(folder)) != NULL)
		if (is_spooled(dirfd(folder), e->d_name))
			f = erase_spool_file(d, dirfd(folder), e->d_name,
			    target, really, c);
	if (f == FAULT_NONE && really && fsync(dirfd(folder)) != 0)
		f = fault_errno(errno);
	closedir(folder);
	return f;
}
