/* The outbox as a queue, on a real file; the clock is an argument. */
#include "deliver/yield.h"
#include "../support/shell.h"
#include "../support/tap.h"

#define NOW	1000000

/* A reader that takes up to `limit` rows, but not `busy`, nor of `lane`. */
struct reader {
	unsigned	 limit;
	int64_t		 busy;
	int		 lane;
	struct row	*rows, **tail;
};

static enum pick
pick(void *arg, int64_t id, unsigned lane)
{
	struct reader *r = arg;

	if (id == r->busy || (int)lane == r->lane)
		return PICK_PASS;
	return r->limit == 0 ? PICK_STOP : PICK_TAKE;
}

static void
take(void *arg, struct row *row)
{
	struct reader *r = arg;

	r->limit--;
	*r->tail = row;
	r->tail = &row->next;
}

/* Rows 1 to n, due at their id times 10. */
static void
fill(int n)
{
	char sql[1024];

	if (!run("DELETE FROM outbox; DELETE FROM webhook"))
		abort();
	snprintf(sql, sizeof(sql), "WITH RECURSIVE n (i) AS (SELECT 1 "
	    "UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	    "INSERT INTO webhook (id, received_at, resource, dedupe_key, "
	    "outcome, body) SELECT i, i, 'issue', CAST(i AS BLOB), 'observed', "
	    "x'' FROM n;"
	    "INSERT INTO outbox (id, webhook_id, event_id, created_at, "
	    "workspace_id, store_id, source_type, source_id, title, "
	    "occurred_at, source_event, state, due_at) SELECT id, id, "
	    "'e' || id, id, 'w', 's', 't', 'i', 't', 'o', '{\"a\":1}', "
	    "'pending', id * 10 FROM webhook", n);
	if (!run(sql))
		abort();
}

static struct row *
read_rows(struct db *d, bool tried, struct queue_place *place,
    struct reader r, bool *end)
{
	struct queue_visitor to = { pick, take, &r };

	r.rows = NULL;
	r.tail = &r.rows;
	if (queue_next(d, tried, place, NOW, &to, end) != FAULT_NONE)
		abort();
	return r.rows;
}

static struct row *
next(struct db *d, struct queue_place *place, unsigned limit, bool *end)
{
	return read_rows(d, false, place, (struct reader){ .limit = limit,
	    .lane = -1 }, end);
}

/* Whether these ids were read, and nothing else; the rows are freed. */
static bool
are(struct row *rows, const char *ids)
{
	char said[128] = "";
	size_t n = 0;

	for (struct row *r = rows; r != NULL && n < sizeof(said); r = r->next)
		n += (size_t)snprintf(said + n, sizeof(said) - n, "%s%lld",
		    n == 0 ? "" : " ", (long long)r->id);
	row_free_all(rows);
	if (strcmp(said, ids) != 0)
		printf("# %s, not %s\n", said, ids);
	return strcmp(said, ids) == 0;
}

static void
takes(struct db *d)
{
	struct queue_place place = { 0, 0 };
	struct row *rows;
	int64_t newest, backlog;
	bool end;

	fill(3);
	rows = next(d, &place, 2, &end);
	ok(span_is(text_view(&rows->envelope), "{\"name\":\"apps-console/"
	    "neural/observation.capture\",\"id\":\"e1\",\"ts\":1,\"data\":{"
	    "\"workspaceId\":\"w\",\"storeId\":\"s\",\"sourceEvent\":"
	    "{\"a\":1}}}") && rows->lane == row_lane(span_of("w")),
	    "a row comes with its envelope, and its workspace's lane");
	ok(are(rows, "1 2") && !end, "a page holds the first rows, in order");
	ok(are(next(d, &place, 2, &end), "3") && end, "the next page goes on");
	place = (struct queue_place){ 0, 0 };
	ok(are(read_rows(d, false, &place, (struct reader){ .limit = 9,
	    .busy = 2, .lane = -1 }, &end), "1 3"),
	    "a row that is on its way is passed over");
	if (!run("UPDATE outbox SET workspace_id = 'v' WHERE id = 3"))
		abort();
	place = (struct queue_place){ 0, 0 };
	ok(are(read_rows(d, false, &place, (struct reader){ .limit = 9,
	    .lane = (int)row_lane(span_of("w")) }, &end), "3") && end,
	    "and so is a lane that has its share");
	if (!run("UPDATE outbox SET due_at = 9000000000000 - id"))
		abort();
	place = (struct queue_place){ 0, 0 };
	ok(are(next(d, &place, 9, &end), "1 2 3"),
	    "a row that was never tried is due whatever due_at says");
	ok(run("UPDATE outbox SET attempts = 1 WHERE id = 1") &&
	    queue_newest(d, &newest, &backlog) == FAULT_NONE && backlog ==
	    newest - 1, "how many are to go is known");
	ok(run("UPDATE outbox SET state = 'dead'") &&
	    queue_newest(d, &newest, &backlog) == FAULT_NONE &&
	    newest == ask("SELECT max(id) FROM outbox") && newest > 0 &&
	    backlog == 0, "and the newest, whatever became of the row");
	place = (struct queue_place){ 0, 0 };
	ok(next(d, &place, 9, &end) == NULL && end, "a dead row is never due");
}

#define FAR	"4660000"	/* NOW + QUEUE_FAR_MS */

static void
takes_tried(struct db *d)
{
	struct reader all = { .limit = 9, .lane = -1 };
	struct queue_place place = { 0, 0 };
	bool end;

	fill(9);
	if (!run("UPDATE outbox SET attempts = 1 WHERE id > 2;"
	    "UPDATE outbox SET due_at = 1000000 WHERE id = 3;"
	    "UPDATE outbox SET due_at = 1000001 WHERE id = 4;"
	    "UPDATE outbox SET due_at = " FAR " WHERE id = 5;"
	    "UPDATE outbox SET due_at = " FAR " + 1 WHERE id = 6;"
	    "UPDATE outbox SET due_at = -7, attempts = -1 WHERE id = 7"))
		abort();
	ok(are(next(d, &place, 9, &end), "1 2") && end,
	    "what was tried before is not read with the others");
	place = (struct queue_place){ 0, 0 };
	ok(are(read_rows(d, true, &place, all, &end), "7 8 9 3 6") && end,
	    "but for itself, when it is due, or was put off for too long");
	place = (struct queue_place){ 0, 0 };
	all.limit = 4;
	ok(are(read_rows(d, true, &place, all, &end), "7 8 9 3") && !end &&
	    are(read_rows(d, true, &place, all, &end), "6") && end,
	    "page by page as well");
}

static void
writes_fates(struct db *d)
{
	struct queue_place place = { 0, 0 };
	struct row *rows, *r;
	bool end;

	fill(5);
	rows = r = next(d, &place, 9, &end);
	row_set_fate(r, FATE_DELIVERED, span_of(""));
	row_set_fate(r = r->next, FATE_ACKED, span_of(""));
	r->seq = 77;
	r->due_at = 5000;
	row_set_fate(r = r->next, FATE_LATER, span_of("HTTP 500"));
	r->due_at = 6000;
	row_set_fate(r = r->next, FATE_REFUSED, span_of("HTTP 400"));
	row_set_fate(r->next, FATE_MISCONFIGURED, span_of("HTTP 401"));
	ok(queue_write_fates(d, rows, NOW, "sink") == FAULT_NONE,
	    "fates are written");
	ok(ask("SELECT state = 'delivered' AND attempts = 1 AND delivered_at "
	    "= 1000000 AND sink = 'sink' FROM outbox WHERE id = 1") == 1,
	    "delivered");
	ok(ask("SELECT state = 'acked' AND sink_seq = 77 AND due_at = 5000 "
	    "FROM outbox WHERE id = 2") == 1, "acked, to be confirmed later");
	ok(ask("SELECT state = 'pending' AND attempts = 1 AND due_at = 6000 "
	    "AND last_error = 'HTTP 500' FROM outbox WHERE id = 3") == 1,
	    "later");
	ok(ask("SELECT state = 'dead' AND last_error = 'HTTP 400' "
	    "FROM outbox WHERE id = 4") == 1, "dead, with the sink's words");
	ok(ask("SELECT state = 'pending' AND attempts = 0 AND last_error "
	    "IS NULL FROM outbox WHERE id = 5") == 1,
	    "a row does not pay for a sink that is not set up");
	row_free_all(rows);

	fill(2);
	place = (struct queue_place){ 0, 0 };
	rows = next(d, &place, 9, &end);
	row_set_fate(rows, FATE_DELIVERED, span_of(""));
	row_set_fate(rows->next, FATE_DELIVERED, span_of(""));
	if (!run("UPDATE outbox SET event_id = 'e1-r2' WHERE id = 1"))
		abort();
	ok(queue_write_fates(d, rows, NOW, "sink") == FAULT_NONE &&
	    ask("SELECT state = 'pending' FROM outbox WHERE id = 1") == 1 &&
	    ask("SELECT state = 'delivered' FROM outbox WHERE id = 2") == 1,
	    "a row that got a new id meanwhile is sent again");
	row_free_all(rows);

	fill(1);
	if (!run("UPDATE outbox SET attempts = 19 WHERE id = 1"))
		abort();
	place = (struct queue_place){ 0, 0 };
	rows = read_rows(d, true, &place, (struct reader){ .limit = 9,
	    .lane = -1 }, &end);
	row_set_fate(rows, FATE_REFUSED, span_of("HTTP 500"));
	if (!run("UPDATE outbox SET attempts = 0 WHERE id = 1"))
		abort();
	ok(queue_write_fates(d, rows, NOW, "sink") == FAULT_NONE &&
	    ask("SELECT state = 'pending' AND attempts = 0 FROM outbox") == 1,
	    "a row that was replayed on its last attempt is not dead");
	row_free_all(rows);
}

static void
confirms(struct db *d)
{
	struct queue_acked acked[8];
	uint64_t highest;
	unsigned n;

	fill(6);
	if (!run("UPDATE outbox SET state = 'acked', sink = 'nats:S@1', "
	    "sink_seq = id * 100, due_at = id; UPDATE outbox SET sink = "
	    "'nats:S@2' WHERE id = 5; UPDATE outbox SET sink = 'nats:SX@1' "
	    "WHERE id = 6"))
		abort();
	ok(queue_acked(d, 0, 3, "nats:S@1", acked, 8, &n) == FAULT_NONE &&
	    n == 3 && acked[2].seq == 300 &&
	    strcmp(acked[2].event_id, "e3") == 0,
	    "rows of this stream whose time has come are to be confirmed");
	acked[1].lost = true;
	ok(queue_confirm(d, acked, n, 50, 55) == FAULT_NONE &&
	    ask("SELECT count(*) FROM outbox WHERE state = 'delivered' AND "
	    "delivered_at = 50 AND id IN (1, 3)") == 2,
	    "those that are held are delivered");
	ok(ask("SELECT state = 'pending' AND due_at = 55 AND sink_seq IS NULL"
	    " FROM outbox WHERE id = 2") == 1, "a lost one is pending again");
	ok(queue_highest(d, "nats:S@1", &highest) == FAULT_NONE &&
	    highest == 400, "the highest that is acked is known");
	ok(queue_requeue(d, "nats:S", "nats:S@1", 400, 60, 9, &n) ==
	    FAULT_NONE && n == 1 && ask("SELECT state = 'pending' FROM outbox"
	    " WHERE id = 5") == 1,
	    "what an earlier stream of that name had is sent again");
	ok(queue_requeue(d, "nats:S", "nats:S@1", 399, 60, 9, &n) ==
	    FAULT_NONE && n == 1 && ask("SELECT state = 'pending' FROM outbox"
	    " WHERE id = 4") == 1, "and what stood behind its end");
	ok(ask("SELECT state = 'acked' FROM outbox WHERE id = 6") == 1,
	    "but not what another stream has");
}

/* Passes until the end; returns how much was deleted. */
#define PRUNE_NOW	1000	/* ms */

static unsigned
prune(struct db *d, int64_t before, unsigned span)
{
	struct queue_prune_place place = { 0 };
	unsigned sum = 0, n;
	bool end = false;

	for (int i = 0; i < 100 && !end; i++) {
		if (queue_prune(d, &place, before, PRUNE_NOW, span, &n, &end) !=
		    FAULT_NONE)
			abort();
		sum += n;
	}
	return end ? sum : UINT32_MAX;
}

static void
prunes(struct db *d)
{
	struct queue_prune_place place = { 0 };
	unsigned n;
	bool end;

	fill(12);
	if (!run("UPDATE outbox SET state = 'delivered', delivered_at = 1; "
	    "UPDATE outbox SET state = 'dead' WHERE id = 2; "
	    "UPDATE outbox SET state = 'acked' WHERE id = 3; "
	    "UPDATE outbox SET state = 'pending' WHERE id = 4; "
	    "UPDATE outbox SET state = 'unmapped' WHERE id = 5; "
	    "UPDATE webhook SET received_at = 5 WHERE id = 12; "
	    "INSERT INTO webhook (id, received_at, resource, dedupe_key, "
	    "outcome, body) VALUES (13, 5, 'x', x'aa', 'ignored', x''), "
	    "(21, 50, 'x', x'bb', 'ignored', x'')"))
		abort();
	ok(prune(d, 12, 3) == 7 + 7 + 1, "old rows that are delivered go, "
	    "with their hooks, and old hooks without a row");
	ok(ask("SELECT group_concat(id) = '2,3,4,5,12' FROM outbox") ==
	    1, "all others stay");
	ok(ask("SELECT group_concat(id) = '2,3,4,5,12,21' FROM "
	    "(SELECT id FROM webhook ORDER BY id)") == 1,
	    "and so do their hooks");
	ok(prune(d, 12, 3) == 0, "a second pass finds nothing");
	fill(9);
	if (!run("UPDATE outbox SET state = 'delivered'"))
		abort();
	ok(queue_prune(d, &place, 7, 10, 2, &n, &end) == FAULT_NONE &&
	    n == 2 && place.left > 0 &&
	    queue_prune(d, &place, 7, 10, 2, &n, &end) == FAULT_NONE &&
	    ask("SELECT count(*) FROM webhook") == 7 &&
	    ask("SELECT count(*) FROM outbox") == 7,
	    "hooks go with their rows, by turns");
	fill(9);
	if (!run("UPDATE outbox SET state = 'delivered', created_at = "
	    "CASE WHEN id < 4 THEN 999999 ELSE id END; "
	    "UPDATE webhook SET received_at = 999999 WHERE id < 4"))
		abort();
	ok(prune(d, 8, 3) == 4 + 4, "what is dated in the future stays, and "
	    "holds up nobody behind it");
}

int
main(void)
{
	struct db *worker, *d;
	struct backlog c;
	char why[DB_WHY];

	shell_begin();
	ok(queue_open(&d, shell_path, why) != FAULT_NONE,
	    "a file that is not there is not made: %s", why);
	if (store_open(&worker, shell_path, DB_OWN, why) != FAULT_NONE ||
	    queue_open(&d, shell_path, why) != FAULT_NONE)
		return 1;
	shell_open();
	takes(d);
	takes_tried(d);
	writes_fates(d);
	confirms(d);
	prunes(d);
	for (int64_t n = 0; n < 10000000; n = n * 10 + 9)
		ok(yield_share(n) == (n < 10000 ? 2 : n < 100000 ? 4 :
		    n < 1000000 ? 6 : 8), "with %lld rows to go it takes "
		    "%d percent of the time", (long long)n, yield_share(n));
	fill(3);
	ok(queue_count_backlog(d, &c) == FAULT_NONE && c.pending == 3 &&
	    c.oldest_pending == 1, "what is there is counted");
	db_close(d);
	db_close(worker);
	return shell_end() != 0 ? 1 : tap_done();
}
