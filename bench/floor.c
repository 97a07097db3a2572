/* The floor that the worker has to stand above: the four libraries used
 * plainly. libfcgi's threads verify (libsodium), parse and build the event
 * (json-c), and wait on a condition variable for one writer, which commits for
 * all who wait (SQLite). For the bench alone: it has no spool, no limits, no
 * metrics, and answers 503 when the database does not take a hook.
 *
 *	floor SOCKET THREADS DB		SENTRY_CLIENT_SECRET
 *
 * The database is there already, with the tables of bench/load.py.
 */
#include <fcgiapp.h>
#include <json-c/json.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG		4096
#define MAX_THREADS	1024
#define BODY_FIRST	16384	/* bytes; it doubles */
#define TEXT_MAX	2048	/* bytes of a title or a body */
#define MAC_BYTES	crypto_auth_hmacsha256_BYTES

/* A hook on its way to the writer; it lies on its thread's stack. */
struct hook {
	const char	*body;
	size_t		 len;
	const char	*key, *project, *event;
	bool		 over, kept;	/* guarded by lock */
	pthread_cond_t	*told;
	struct hook	*next;
};

struct buffer {
	char	*at;
	size_t	 size;
};

static int sock;
static const char *secret;
static sqlite3 *db;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static struct hook *first, **last = &first;	/* guarded by lock */

enum { BEGIN, COMMIT, ROLLBACK, HOOK, EVENT, STATEMENTS };

static const char *const sql[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[HOOK] = "INSERT INTO webhook (dedupe_key, body) VALUES (?1, ?2) "
	    "ON CONFLICT DO NOTHING",
	[EVENT] = "INSERT INTO outbox (webhook_id, workspace_id, event, state)"
	    " VALUES (?1, (SELECT workspace_id FROM workspace_map "
	    "WHERE project = ?2), ?3, 'pending')",
};
static sqlite3_stmt *statement[STATEMENTS];

/* ---- the writer ---- */

static int
open_database(const char *file)
{
	if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL", NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(db, sql[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &statement[i], NULL) !=
		    SQLITE_OK)
			return -1;
	return 0;
}

static bool
done(int which)
{
	int rc = sqlite3_step(statement[which]);

	sqlite3_reset(statement[which]);
	if (rc != SQLITE_DONE)
		fprintf(stderr, "floor: %s: %s\n", sql[which],
		    sqlite3_errmsg(db));
	return rc == SQLITE_DONE;
}

static bool
insert(const struct hook *h)
{
	sqlite3_stmt *s = statement[HOOK];

	if (sqlite3_bind_text(s, 1, h->key, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_blob64(s, 2, h->body, h->len, SQLITE_STATIC) !=
	    SQLITE_OK || !done(HOOK))
		return false;
	if (sqlite3_changes(db) == 0)	/* it was there before */
		return true;
	s = statement[EVENT];
	return sqlite3_bind_int64(s, 1, sqlite3_last_insert_rowid(db)) ==
	    SQLITE_OK &&
	    sqlite3_bind_text(s, 2, h->project, -1, SQLITE_STATIC) ==
	    SQLITE_OK &&
	    sqlite3_bind_text(s, 3, h->event, -1, SQLITE_STATIC) ==
	    SQLITE_OK && done(EVENT);
}

/* All of them or none. */
static bool
store(const struct hook *h)
{
	bool ok = done(BEGIN);

	if (!ok)
		return false;
	for (; ok && h != NULL; h = h->next)
		ok = insert(h);
	if (ok && done(COMMIT))
		return true;
	(void)done(ROLLBACK);
	return false;
}

static void *
write_all(void *arg)
{
	struct hook *batch, *next;
	bool kept;

	for (;;) {
		pthread_mutex_lock(&lock);
		while (first == NULL)
			pthread_cond_wait(&some, &lock);
		batch = first;
		first = NULL;
		last = &first;
		pthread_mutex_unlock(&lock);
		kept = store(batch);
		pthread_mutex_lock(&lock);
		for (; batch != NULL; batch = next) {
			next = batch->next;
			batch->kept = kept;
			batch->over = true;
			pthread_cond_signal(batch->told);
		}
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static bool
keep(struct hook *h)
{
	pthread_mutex_lock(&lock);
	if (first == NULL)
		pthread_cond_signal(&some);
	*last = h;
	last = &h->next;
	while (!h->over)
		pthread_cond_wait(h->told, &lock);
	pthread_mutex_unlock(&lock);
	return h->kept;
}

/* ---- the event ---- */

static struct json_object *
get(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	(void)json_object_object_get_ex(o, name, &v);
	return v;
}

static const char *
string(struct json_object *o, const char *name, const char *otherwise)
{
	struct json_object *v = get(o, name);

	return v == NULL ? otherwise : json_object_get_string(v);
}

static void
add(struct json_object *o, const char *name, const char *s)
{
	json_object_object_add(o, name, json_object_new_string(s));
}

static struct json_object *
metadata_of(struct json_object *thing)
{
	static const char *const members[] = { "shortId", "permalink",
		"web_url", "platform", "level", "status", "count", "userCount",
		"firstSeen", "lastSeen", "datetime", "release", "environment",
		"culprit" };
	struct json_object *to = json_object_new_object();
	struct json_object *error = get(thing, "metadata"), *v;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if ((v = get(thing, members[i])) != NULL)
			json_object_object_add(to, members[i],
			    json_object_get(v));
	add(to, "errorType", string(error, "type", ""));
	add(to, "errorValue", string(error, "value", ""));
	return to;
}

/* Of an issue, or of the event that an alert or an error has in its place. */
static struct json_object *
event_of(struct json_object *hook, struct json_object *thing)
{
	struct json_object *event = json_object_new_object();
	struct json_object *data = json_object_new_object();
	struct json_object *source = json_object_new_object();
	const char *title = string(thing, "title", "");
	char text[TEXT_MAX];

	add(event, "name", "apps-console/neural/observation.capture");
	json_object_object_add(event, "data", data);
	json_object_object_add(data, "sourceEvent", source);
	add(source, "source", "sentry");
	snprintf(text, sizeof(text), "issue.%s", string(hook, "action", ""));
	add(source, "sourceType", text);
	snprintf(text, sizeof(text), "issue:%s", string(thing, "id",
	    string(thing, "issue_id", "")));
	add(source, "sourceId", text);
	snprintf(text, sizeof(text), "[New Issue] %s", title);
	add(source, "title", text);
	snprintf(text, sizeof(text), "**Error**: %s\n\n**Location**: `%s`\n"
	    "\n**Occurrences**: %s events affecting %s users\n"
	    "**First seen**: %s", title, string(thing, "culprit", ""),
	    string(thing, "count", "1"), string(thing, "userCount", "1"),
	    string(thing, "firstSeen", string(thing, "datetime", "")));
	add(source, "body", text);
	add(source, "occurredAt", string(thing, "lastSeen",
	    string(thing, "datetime", "")));
	json_object_object_add(source, "metadata", metadata_of(thing));
	return event;
}

/* ---- a request ---- */

static const char *
param(const FCGX_Request *r, const char *name)
{
	return FCGX_GetParam(name, r->envp);
}

/* The number of bytes; -1 without memory. */
static int
read_body(FCGX_Request *r, struct buffer *b)
{
	size_t len = 0;
	char *more;
	int n;

	for (;;) {
		if (len == b->size) {
			size_t size = len == 0 ? BODY_FIRST : 2 * len;

			more = size > INT_MAX ? NULL : realloc(b->at, size);
			if (more == NULL)
				return -1;
			*b = (struct buffer){ more, size };
		}
		n = FCGX_GetStr(b->at + len, (int)(b->size - len), r->in);
		if (n <= 0)
			return (int)len;
		len += (size_t)n;
	}
}

static bool
verified(const FCGX_Request *r, const char *body, size_t len)
{
	const char *text = param(r, "HTTP_SENTRY_HOOK_SIGNATURE");
	unsigned char want[MAC_BYTES], got[MAC_BYTES];
	crypto_auth_hmacsha256_state state;
	size_t n;

	if (text == NULL || sodium_hex2bin(got, sizeof(got), text,
	    strlen(text), NULL, &n, NULL) != 0 || n != sizeof(got))
		return false;
	crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret,
	    strlen(secret));
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)body,
	    len);
	crypto_auth_hmacsha256_final(&state, want);
	return sodium_memcmp(want, got, sizeof(want)) == 0;
}

static struct json_object *
parse(const char *body, int len)
{
	struct json_tokener *t = json_tokener_new();
	struct json_object *o;

	if (t == NULL)
		return NULL;
	o = json_tokener_parse_ex(t, body, len);
	json_tokener_free(t);
	return o;
}

/* Issues, alerts and errors have what they tell of under one of these names. */
static struct json_object *
thing_of(struct json_object *hook)
{
	static const char *const names[] = { "issue", "event", "error" };
	struct json_object *thing = NULL;

	for (size_t i = 0; thing == NULL && i < 3; i++)
		thing = get(get(hook, "data"), names[i]);
	return thing;
}

static bool
keep_event(const FCGX_Request *r, struct json_object *hook,
    struct json_object *thing, struct hook *h)
{
	struct json_object *event = event_of(hook, thing);
	bool kept;

	h->event = json_object_to_json_string_ext(event,
	    JSON_C_TO_STRING_PLAIN);
	h->project = string(get(thing, "project"), "slug",
	    string(thing, "project", ""));
	if ((h->key = param(r, "HTTP_IDEMPOTENCY_KEY")) == NULL &&
	    (h->key = param(r, "HTTP_REQUEST_ID")) == NULL)
		h->key = param(r, "HTTP_SENTRY_HOOK_SIGNATURE");
	kept = h->event != NULL && keep(h);
	json_object_put(event);
	return kept;
}

/* The status of the answer. */
static int
take(const FCGX_Request *r, const char *body, int len, pthread_cond_t *told)
{
	struct hook h = { .body = body, .len = (size_t)len, .told = told };
	struct json_object *hook, *thing;
	int status = 400;

	if (!verified(r, body, h.len))
		return 401;
	hook = parse(body, len);
	if ((thing = thing_of(hook)) != NULL)
		status = keep_event(r, hook, thing, &h) ? 200 : 503;
	json_object_put(hook);
	return status;
}

static void
answer(FCGX_Request *r, int status)
{
	const char *text = status == 200 ? "{\"received\":true}" :
	    "{\"received\":false}";

	FCGX_FPrintF(r->out, "Status: %d\r\n"
	    "Content-Type: application/json\r\nContent-Length: %d\r\n"
	    "Cache-Control: no-store\r\n\r\n%s", status, (int)strlen(text),
	    text);
	FCGX_Finish_r(r);
}

static void *
serve(void *arg)
{
	pthread_cond_t told = PTHREAD_COND_INITIALIZER;
	struct buffer b = { NULL, 0 };
	FCGX_Request r;
	int len;

	FCGX_InitRequest(&r, sock, 0);
	while (FCGX_Accept_r(&r) == 0) {
		len = read_body(&r, &b);
		answer(&r, len < 0 ? 503 : take(&r, b.at, len, &told));
	}
	free(b.at);
	return arg;
}

int
main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS], writer;
	long i, n = argc == 4 ? strtol(argv[2], NULL, 10) : 0;

	secret = getenv("SENTRY_CLIENT_SECRET");
	if (n < 1 || n > MAX_THREADS || secret == NULL) {
		fputs("usage: floor SOCKET THREADS DB, with "
		    "SENTRY_CLIENT_SECRET\n", stderr);
		return 64;
	}
	if (open_database(argv[3]) != 0) {
		fprintf(stderr, "floor: %s: %s\n", argv[3],
		    sqlite3_errmsg(db));
		return 1;
	}
	if (sodium_init() < 0 || FCGX_Init() != 0)
		return 1;
	signal(SIGTERM, SIG_DFL);	/* it has taken it, and would not end */
	sock = FCGX_OpenSocket(argv[1], BACKLOG);
	if (sock < 0 || pthread_create(&writer, NULL, write_all, NULL) != 0)
		return 1;
	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, serve, NULL) != 0)
			return 1;
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
