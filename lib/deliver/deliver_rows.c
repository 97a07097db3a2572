#include "deliver/deliver_rows.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "sink/retry.h"

#define READ_ROWS	5000	/* at once, at most */
#define WRITE_ROWS	1000	/* in a transaction */
#define PAUSE_LEAST_MS	1000	/* the first pause; each next is doubled */
#define PAUSE_MOST_MS	30000
#define QUIET_MS	10000	/* no row accepted for so long: log it */

/* ---- out ---- */

/* How many rows to send now. After a pause it is a single one: it has to show
 * that the server is there again. */
static unsigned
rows_to_send(struct deliver *d)
{
	unsigned room = d->sink->ops->room(d->sink);

	if (clock_ms() < d->pause_until)
		return 0;
	if (d->pause_ms > 0)
		return d->in_flight.count == 0 && room > 0;
	return room > READ_ROWS ? READ_ROWS : room;
}

void
deliver_rows_send(struct deliver *d, struct queue_reader *from)
{
	int64_t now = clock_ms();
	struct row *rows;
	enum fault f;

	if (d->db == NULL || (from->idle && now < from->poll_at &&
	    !(d->config->once && d->in_flight.count == 0)))
		return;
	f = queue_reader_take(from, d->db, &d->in_flight, rows_to_send(d),
	    deliver_state_due_now(d), now, &rows);
	if (rows != NULL)
		d->sink->ops->give(d->sink, rows);
	deliver_state_fault(d, f);
}

/* ---- back ---- */

static void
release_row(struct deliver *d, struct row *r)
{
	in_flight_drop(&d->in_flight, r);
	row_free(r);
}

/* The row was not taken, and nothing is written: it is read again before those
 * that came after it. */
static void
put_back_row(struct deliver *d, struct row *r)
{
	struct queue_place *place = &d->fresh.place;

	if (r->attempts == 0 && place->id >= r->id)
		place->id = r->id - 1;
	release_row(d, r);
}

/* Spreads the retries. Without a random number rows wait as long as they may:
 * that is safe, too. */
static uint32_t
random_jitter(void)
{
	uint32_t n;

	return getentropy(&n, sizeof(n)) == 0 ? n : UINT32_MAX;
}

/* Sets due_at: when the row is tried again, or confirmed. A row that has no
 * attempt left is dead. */
static void
schedule_row(struct deliver *d, struct row *r)
{
	int64_t now = deliver_state_due_now(d);

	if (r->fate == FATE_ACKED) {
		r->due_at = now + d->config->settle_ms;
		confirm_acked(&d->confirm, r->seq);
	}
	if (r->fate != FATE_LATER && r->fate != FATE_UNREACHABLE)
		return;
	if (r->attempts + 1 >= d->config->max_attempts)
		r->fate = FATE_REFUSED;
	else
		r->due_at = now + retry_wait(r->attempts + 1, random_jitter(),
		    r->after_ms);
}

static void
add_unwritten(struct deliver *d, struct row *r)
{
	schedule_row(d, r);
	row_list_add(&d->unwritten, r);
	if (d->unwritten_count++ == 0)
		d->unwritten_since = clock_ms();
}

/* What the rows that came back together say about the server. */
struct server_signs {
	bool	unusable;	/* a row was unreachable or misconfigured */
	bool	answered;	/* another row got an answer, */
	bool	accepted;	/* which was more than "later" */
	char	why[SINK_WHY];	/* a row was not taken */
};

static void
note_sign(struct server_signs *s, const struct row *r)
{
	bool unusable = r->fate == FATE_MISCONFIGURED ||
	    r->fate == FATE_UNREACHABLE;

	s->unusable |= unusable;
	s->answered |= !unusable;
	if (unusable || r->fate == FATE_LATER)
		snprintf(s->why, sizeof(s->why), "%s", r->why);
	else
		s->accepted = true;
}

static void
pause_delivery(struct deliver *d)
{
	d->pause_ms = d->pause_ms == 0 ? PAUSE_LEAST_MS : d->pause_ms * 2;
	if (d->pause_ms > PAUSE_MOST_MS)
		d->pause_ms = PAUSE_MOST_MS;
	d->pause_until = clock_ms() + d->pause_ms;
	d->failed |= d->config->once;
}

/* Logs whether the server takes rows, and begins or ends a pause. */
static void
act_on_signs(struct deliver *d, const struct server_signs *s)
{
	if (s->accepted) {
		d->accepted_at = clock_ms();
		deliver_log_sink(&d->log, d->sink->name, d->sink->error);
	} else if (s->unusable || (s->answered &&
	    clock_ms() - d->accepted_at > QUIET_MS)) {
		deliver_log_sink(&d->log, d->sink->name, s->why);
	}
	if (s->answered)
		d->pause_ms = d->pause_until = 0;
	else if (s->unusable && clock_ms() >= d->pause_until)
		pause_delivery(d);
}

void
deliver_rows_receive(struct deliver *d, int ms)
{
	struct row *r, *rows = d->sink->ops->wait(d->sink, ms);
	struct server_signs signs = { .why = "" };
	/* While no server answers, one row has its attempt counted for all of
	 * them; a row that was in flight when the pause began has none. */
	bool counted = clock_ms() < d->pause_until;

	while ((r = rows) != NULL) {
		rows = r->next;
		note_sign(&signs, r);
		if (r->fate == FATE_DELIVERED || r->fate == FATE_ACKED ||
		    r->fate == FATE_REFUSED)
			in_flight_moved(&d->in_flight, r, clock_ms());
		if (r->fate == FATE_MISCONFIGURED ||
		    (r->fate == FATE_UNREACHABLE && counted)) {
			put_back_row(d, r);
			continue;
		}
		counted |= r->fate == FATE_UNREACHABLE;
		add_unwritten(d, r);
	}
	act_on_signs(d, &signs);
}

/* ---- into the database ---- */

static void
count_fate(struct deliver *d, const struct row *r)
{
	static const enum deliver_metric table[] = {
		[FATE_DELIVERED] = COUNT_DELIVERED,
		[FATE_ACKED] = COUNT_ACKED,
		[FATE_LATER] = COUNT_RETRIED,
		[FATE_UNREACHABLE] = COUNT_RETRIED,
		[FATE_REFUSED] = COUNT_DEAD,
	};

	d->metrics.count[table[r->fate]]++;
	if (r->fate == FATE_REFUSED)
		deliver_log_dead(r);
}

void
deliver_rows_write(struct deliver *d, bool now)
{
	struct row *r, **cut = &d->unwritten.first;
	unsigned n = 0;
	enum fault f;

	if (d->unwritten.first == NULL || d->db == NULL || (!now &&
	    d->unwritten_count < WRITE_ROWS &&
	    clock_ms() - d->unwritten_since < DELIVER_ROWS_WRITE_MS))
		return;
	do
		cut = &(*cut)->next;
	while (++n < WRITE_ROWS && *cut != NULL);
	r = *cut;
	*cut = NULL;
	f = queue_write_fates(d->db, d->unwritten.first, clock_wall_ms(),
	    d->sink->name);
	*cut = r;
	deliver_state_fault(d, f);
	if (f != FAULT_NONE) {
		d->unwritten_since = clock_ms();
		return;
	}
	deliver_log_database(&d->log, FAULT_NONE, "");
	/* If a row was replayed meanwhile, its fate was not written, and it is
	 * still due: the queue must be read again. */
	d->fresh.empty = d->tried.empty = false;
	for (; n > 0; n--) {
		r = d->unwritten.first;
		d->unwritten.first = r->next;
		d->unwritten_count--;
		count_fate(d, r);
		release_row(d, r);
	}
	if (d->unwritten.first == NULL)
		row_list_start(&d->unwritten);
}
