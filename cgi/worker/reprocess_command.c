/* The steps of reprocess_command():
 *  1. a run that only counts, for the plan (reprocess_run,
 *     reprocess_show_plan);
 *  2. the question, where something would be written (args_confirm);
 *  3. the run that writes (reprocess_run), and what came of it.
 * A signal ends a run between two transactions; what was written stays, and
 * the same command goes on from there. */
#include "worker/reprocess_command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process_guard.h"
#include "base/timestamp.h"
#include "store/reprocess.h"

#define BAR_MS		200	/* between two turns of the bar */
#define BAR_WIDTH	40	/* characters */

static const volatile sig_atomic_t *interrupted;

/* Only a person wants to see how it moves. */
static void
reprocess_draw_bar(const struct reprocess *r, const char *what,
    int64_t *drawn_at)
{
	int64_t all, done = reprocess_done(r, &all), now = clock_ms();
	/* Of ids, which somebody may have set as high as they go. */
	double share = all > 0 ? (double)done / (double)all : 1;

	if (!isatty(STDERR_FILENO) ||
	    (done < all && now - *drawn_at < BAR_MS))
		return;
	*drawn_at = now;
	fprintf(stderr, "\r%-9s [%-*.*s] %3d %%", what, BAR_WIDTH,
	    (int)(share * BAR_WIDTH),
	    "########################################", (int)(share * 100));
	if (done >= all)
		fputs("\r\033[K", stderr);
}

static enum fault
reprocess_run(const struct reprocess_options *o, struct reprocess_count *c,
    char why[DB_WHY])
{
	struct reprocess *r;
	int64_t drawn_at = 0;
	bool end = false;
	enum fault f = reprocess_open(&r, o, why);

	if (f != FAULT_NONE)
		return f;
	while (f == FAULT_NONE && !end && !*interrupted) {
		f = reprocess_next(r, c, &end);
		reprocess_draw_bar(r, o->write ? "writing" : "observing",
		    &drawn_at);
	}
	if (f != FAULT_NONE)
		snprintf(why, DB_WHY, "%s", fault_name(f));
	reprocess_close(r);
	return f;
}

/* How many rows the run will write, if nobody changes one meanwhile. */
static unsigned long
reprocess_to_write(const struct options *o, const struct reprocess_count *c)
{
	return c->added + (o->update ? c->waiting : 0) +
	    (o->new_id ? c->delivered : 0);
}

/* False: nobody can read the plan. */
static bool
reprocess_show_plan(const struct options *o, const struct reprocess_count *c)
{
	printf("hooks selected     %lu\n"
	    "new observations   %lu\n"
	    "would change       %lu not yet delivered%s, %lu delivered%s\n"
	    "stay as they are   %lu with an observation, %lu without\n",
	    c->hooks, c->added, c->waiting, o->update || c->waiting == 0 ?
	    "" : " (--update replaces them)", c->delivered, o->new_id ||
	    c->delivered == 0 ? "" : " (--new-id sends them anew)", c->same,
	    c->without);
	for (unsigned i = 0; i < c->members; i++)
		printf("    %-30s %lu\n", c->member[i].name,
		    c->member[i].count);
	if (c->redacted > 0)
		printf("redacted           %lu: what --redact took out of them "
		    "is not in their observations\n", c->redacted);
	if (c->tried > 0)
		printf("tried before       %lu: a sink that has one keeps what "
		    "it has, since the event id stays\n", c->tried);
	return fflush(stdout) == 0;
}

static void
reprocess_log_run(const struct reprocess_options *o,
    const struct reprocess_count *c, enum fault f)
{
	struct log l;

	log_begin(&l, f == FAULT_NONE ? "info" : "error", "reprocessed");
	log_span(&l, "selection", o->words);
	log_int(&l, "hooks", (int64_t)c->hooks);
	log_int(&l, "rows", (int64_t)c->written);
	if (f != FAULT_NONE)
		log_str(&l, "fault", fault_name(f));
	log_end(&l);
}

static int
reprocess_write_rows(struct reprocess_options *o)
{
	struct reprocess_count c = { 0 };
	char why[DB_WHY];
	enum fault f;

	o->write = true;
	f = reprocess_run(o, &c, why);
	reprocess_log_run(o, &c, f);
	printf("rows written       %lu\n", c.written);
	if (f != FAULT_NONE) {
		args_error("%s: %s", o->db, why);
		return 1;
	}
	if (*interrupted)
		args_error("interrupted; the same command goes on from here");
	return *interrupted;
}

static void
reprocess_write_time(struct text *t, const char *option, int64_t ms)
{
	struct timestamp time;

	if (ms == 0 || !timestamp_ms(&time, ms))
		return;
	text_str(t, option);
	text_str(t, time.iso);
}

/* As it is where a shell takes it for one word, else in quotes. */
static void
reprocess_write_word(struct text *t, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:@/+-";

	if (word[strspn(word, plain)] == '\0')
		text_str(t, word);
	else
		text_json(t, span_of(word));
}

/* The selection as somebody would type it, for the table of replays. */
static void
reprocess_write_words(struct text *t, const struct options *o)
{
	const struct selection *s = &o->select;
	const struct { const char *option, *value; } words[] = {
		{ " --resource ", s->resource }, { " --action ", s->action },
		{ " --project ", s->project }, { " --outcome ", s->outcome },
		{ " --all", s->all ? "" : NULL },
		{ " --update", o->update ? "" : NULL },
		{ " --new-id", o->new_id ? "" : NULL },
	};

	text_str(t, "--reprocess");
	reprocess_write_time(t, " --since ", s->since);
	reprocess_write_time(t, " --until ", s->until);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].value != NULL) {
			text_str(t, words[i].option);
			reprocess_write_word(t, words[i].value);
		}
}

static int
reprocess_plan_and_write(const struct options *o, struct reprocess_options *r)
{
	struct reprocess_count plan = { 0 };
	char why[DB_WHY];

	if (reprocess_run(r, &plan, why) != FAULT_NONE) {
		args_error("%s: %s", o->serve.db, why);
		return 1;
	}
	if (*interrupted) {
		args_error("interrupted; nothing was written");
		return 1;
	}
	if (!reprocess_show_plan(o, &plan)) {
		args_error("the plan cannot be shown; nothing was written");
		return 1;
	}
	if (plan.hooks == 0) {
		args_error("--reprocess: no hook is selected");
		return 1;
	}
	if (o->dry_run || reprocess_to_write(o, &plan) == 0)
		return 0;
	return args_confirm(o->yes, "Write these rows?",
	    "nothing was written") ? reprocess_write_rows(r) : 1;
}

int
reprocess_command(const struct options *o)
{
	struct text words = { 0 };
	struct reprocess_options r = {
		.db = o->serve.db,
		.select = { o->select.since, o->select.until,
		    span_of(o->select.resource), span_of(o->select.action),
		    span_of(o->select.project), span_of(o->select.outcome) },
		.observe_list = span_of(o->observe),
		.redact = o->redact,
		.update = o->update,
		.new_id = o->new_id,
	};
	int status = 1;

	interrupted = process_guard_signals(0, 0);
	reprocess_write_words(&words, o);
	r.words = text_view(&words);
	if (!words.broken)
		status = reprocess_plan_and_write(o, &r);
	text_release(&words);
	return status;
}
