#include "store/erase.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "hook/observation.h"
#include "hook/pii.h"
#include "store/spool_file.h"
#include "hook/redact.h"
#include "store/spool.h"

#define BATCH		32	/* hooks looked at, and erased, at once */
#define TRIES		100	/* for a lock that another one has */
#define TRY_MS		20	/* between them */
#define NUMBER_MAX	4	/* digits of a replay's number: it has an end */
#define ISSUE_MAX	64	/* bytes of an issue's id; Sentry's have 20 */

enum statement {
	SQL_NEXT, SQL_ROW, SQL_HOOK, SQL_RELEASE, SQL_OVERWRITE,
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
	[SQL_ROW] = "DELETE FROM outbox WHERE webhook_id = ?1",
	[SQL_HOOK] = "DELETE FROM webhook WHERE id = ?1",
	[SQL_RELEASE] = "DELETE FROM issue_release WHERE issue_id = ?1",
	/* What is deleted is overwritten with zeros. */
	[SQL_OVERWRITE] = "PRAGMA secure_delete = ON",
};

static_assert(STATEMENTS <= DB_STATEMENTS_MAX, "raise DB_STATEMENTS_MAX");

enum fault
erase_open(struct db **d, const char *path, char why[DB_WHY])
{
	enum fault f = db_open(d, path, DB_WRITE, statements, STATEMENTS, why);

	if (f != FAULT_NONE)
		return f;
	if ((f = db_run(*d, SQL_OVERWRITE)) != FAULT_NONE) {
		snprintf(why, DB_WHY, "%s", db_why(*d));
		db_close(*d);
		*d = NULL;
	}
	return f;
}

static void
rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = TRY_MS * 1000000L }, NULL);
}

/* ---- which ---- */

static bool
is_project(struct span s, const struct erase_target *wish)
{
	return s.len > 0 && pii_same(s, wish->project);
}

/* A metric alert may belong to several projects; the observation names one. */
static bool
among_projects(struct span body, const struct erase_target *wish)
{
	struct json root, list;
	bool found = false;

	if (json_open(&root, body) != 0)
		return false;
	list = json_get(json_get(json_get(root, "data"), "metric_alert"),
	    "projects");
	for (size_t i = 0; i < json_count(list) && !found; i++)
		found = is_project(json_scalar(json_at(list, i)), wish);
	json_close(&root);
	return found;
}

/* Whether the hook belongs to the project; `issue` is what it is about. 1, 0,
 * or -1 without memory. */
static int
of_project(const struct hook *hook, const struct erase_target *wish,
    char issue[ISSUE_MAX])
{
	struct observation o;
	struct span id;
	int found = -1;

	if (observation_make(&o, hook, span_of("")) == 0) {
		id = observation_get(&o, OBSERVED_ISSUE_ID);
		snprintf(issue, ISSUE_MAX, "%.*s", (int)id.len,
		    id.at == NULL ? "" : id.at);
		found = is_project(observation_get(&o, OBSERVED_PROJECT_ID),
		    wish) || is_project(observation_get(&o,
		    OBSERVED_PROJECT_SLUG), wish) ||
		    among_projects(hook->body, wish);
	}
	observation_release(&o);
	return found;
}

static int
is_meant(const struct hook *hook, const struct erase_target *wish,
    char issue[ISSUE_MAX])
{
	issue[0] = '\0';
	return wish->project.at != NULL ? of_project(hook, wish, issue) :
	    redact_mentions(hook->body, wish->person);
}

/* ---- the database ---- */

struct target {
	int64_t	hook;
	char	issue[ISSUE_MAX];	/* of a project's */
};

/* The number N of an event id ...-rN, which replay with new ids has made; 1 of
 * any other. *base: without it. */
static unsigned long
replay_number(struct span id, struct span *base)
{
	size_t n = id.len, digits;
	char number[NUMBER_MAX + 1] = "";

	while (n > 0 && id.at[n - 1] >= '0' && id.at[n - 1] <= '9')
		n--;
	digits = id.len - n;
	*base = id;
	if (digits == 0 || digits > NUMBER_MAX || n < 2 ||
	    memcmp(id.at + n - 2, "-r", 2) != 0)
		return 1;
	memcpy(number, id.at + n, digits);
	base->len = n - 2;
	return strtoul(number, NULL, 10);
}

/* All ids by which a sink may have the row: `tried` says that this one was
 * sent, and those before it were, or nobody would have replayed it. */
static void
name_sent(struct text *sent, struct span id, bool tried)
{
	struct span base;
	unsigned long last = replay_number(id, &base);

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

/* The row that stands ready in SQL_NEXT. */
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
	name_sent(&c->sent, db_text(d, SQL_NEXT, 4),
	    db_int(d, SQL_NEXT, 8) != 0);
}

static int
row_is_meant(struct db *d, const struct erase_target *wish, struct target *t)
{
	struct hook hook = { .body = db_text(d, SQL_NEXT, 1),
	    .resource = db_text(d, SQL_NEXT, 2) };
	int meant;

	if (hook.body.at == NULL)
		hook.body = span_of("");
	t->hook = db_int(d, SQL_NEXT, 0);
	meant = is_meant(&hook, wish, t->issue);
	if (wish->project.at != NULL && meant == 0)
		meant = is_project(db_text(d, SQL_NEXT, 5), wish) ||
		    is_project(db_text(d, SQL_NEXT, 6), wish);
	return meant;
}

static enum fault
choose(struct db *d, const struct erase_target *wish, int64_t *place,
    struct target t[BATCH], unsigned *count, struct erase_count *c, bool *end)
{
	enum fault f;
	unsigned rows = 0;
	bool row;

	*count = 0;
	db_bind_int(d, SQL_NEXT, 1, *place);
	db_bind_int(d, SQL_NEXT, 2, BATCH);
	while ((f = db_step(d, SQL_NEXT, &row)) == FAULT_NONE && row) {
		int meant = row_is_meant(d, wish, &t[*count]);

		if (meant < 0) {
			f = FAULT_MEMORY;
			break;
		}
		rows++;
		*place = db_int(d, SQL_NEXT, 0);
		if (meant > 0) {
			++*count;
			count_row(d, c);
		}
	}
	db_finish(d, SQL_NEXT);
	*end = rows < BATCH;
	return f;
}

static enum fault
delete_one(struct db *d, const struct target *t)
{
	enum fault f;

	db_bind_int(d, SQL_ROW, 1, t->hook);
	if ((f = db_run(d, SQL_ROW)) != FAULT_NONE)
		return f;
	if (t->issue[0] != '\0') {
		db_bind_text(d, SQL_RELEASE, 1, span_of(t->issue));
		if ((f = db_run(d, SQL_RELEASE)) != FAULT_NONE)
			return f;
	}
	db_bind_int(d, SQL_HOOK, 1, t->hook);
	return db_run(d, SQL_HOOK);
}

static enum fault
delete_all(struct db *d, const struct target *t, unsigned count)
{
	enum fault f;
	int tries = 0;

	while ((f = db_begin(d)) == FAULT_BUSY && ++tries < TRIES)
		rest();
	if (f != FAULT_NONE)
		return f;
	for (unsigned i = 0; i < count && f == FAULT_NONE; i++)
		f = delete_one(d, &t[i]);
	return db_end(d, f);
}

enum fault
erase_hooks(struct db *d, const struct erase_target *wish, int64_t *place,
    bool really, struct erase_count *c, bool *end)
{
	struct target targets[BATCH];
	unsigned count;
	enum fault f = choose(d, wish, place, targets, &count, c, end);

	return f != FAULT_NONE || count == 0 || !really ? f :
	    delete_all(d, targets, count);
}

enum fault
erase_traces(struct db *d)
{
	enum fault f;
	int tries = 0;

	while ((f = db_wipe_log(d)) == FAULT_BUSY && ++tries < TRIES)
		rest();
	return f;
}

/* ---- the spool ---- */

static enum fault
read_file(int dir, const char *name, struct text *file)
{
	enum fault f = spool_read(dir, name, file);

	/* Brought in meanwhile: it is looked at there. What is no file, or
	 * longer than any hook, is none of ours. */
	if (f == FAULT_REFUSED || f == FAULT_GONE)
		text_release(file);
	return f == FAULT_GONE || f == FAULT_REFUSED ? FAULT_NONE : f;
}

static enum fault
erase_file(int dir, const char *name, const struct erase_target *wish,
    bool really, struct erase_count *c)
{
	struct text file = { 0 };
	char issue[ISSUE_MAX];
	struct hook hook;
	enum fault f = read_file(dir, name, &file);
	int meant = 0;

	if (f == FAULT_NONE) {
		/* A torn one: whatever is in it. */
		if (!spool_file_parse(&hook, text_view(&file)))
			hook = (struct hook){ .body = file.len > 0 ?
			    text_view(&file) : span_of("") };
		if ((meant = is_meant(&hook, wish, issue)) < 0)
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

/* A hook that waits, or one that was set aside. */
static bool
is_hook(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL &&
	    (strcmp(dot, ".hook") == 0 || strcmp(dot, ".bad") == 0);
}

enum fault
erase_spooled(const char *path, const struct erase_target *wish, bool really,
    struct erase_count *c)
{
	DIR *d = opendir(path);
	enum fault f = FAULT_NONE;
	struct dirent *e;

	if (d == NULL)
		return errno == ENOENT ? FAULT_NONE : fault_errno(errno);
	while (f == FAULT_NONE && (e = readdir(d)) != NULL)
		if (is_hook(e->d_name))
			f = erase_file(dirfd(d), e->d_name, wish, really, c);
	if (f == FAULT_NONE && really && fsync(dirfd(d)) != 0)
		f = fault_errno(errno);
	closedir(d);
	return f;
}
