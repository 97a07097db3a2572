/* A run, from the outside in:
 *
 * 1. backfill_run()     each of the lists of issues, page by page; after a page
 *                       the run's row in the database says how far it is.
 * 2. backfill_page()    each issue of a page.
 * 3. backfill_issue()   reads its activities, compares, and files what did not
 *                       come, in a transaction of its own; before it, where
 *                       nobody knows the issue's release, its newest event.
 *
 * Sentry cannot search for changes of status: neither its list's window, which
 * is that of events, nor its queries know when an issue was resolved. So all
 * issues are listed that had an event within the horizon, 90 days, which is how
 * long Sentry keeps events by default, and each is asked for its activities. In
 * the order of creation: it does not change while the pages are read.
 * (src/sentry/search/snuba/executors.py, src/sentry/api/issue_search.py) */
#include "backfill/backfill.h"

#include <stdio.h>

#include "base/timestamp.h"
#include "base/ascii.h"
#include "hook/facts.h"

#define PATH_MAX_BYTES	1024
#define ID_DIGITS_MAX	20
#define EMPTY_PAGES_MAX	20	/* in a row, that say that more come */
#define BROKEN_MOST	3	/* issues in a row: then it is not they */
#define SCOPE_EVENTS	"event:read"
#define SCOPE_APP	"org:read"

/* Feedback is left out of lists that do not ask for it by its category, which
 * an older Sentry does not know. */
static const struct backfill_list {
	const char	*query;
	bool		 optional;
} backfill_lists[] = {
	{ "", false },
	{ "issue.category%3Afeedback", true },
};
#define LISTS	((int64_t)(sizeof(backfill_lists) / sizeof(backfill_lists[0])))

static const char *const kind_names[BACKFILL_KINDS] = {
	[BACKFILL_CREATED] = "created",
	[BACKFILL_RESOLVED] = "resolved",
	[BACKFILL_UNRESOLVED] = "unresolved",
	[BACKFILL_IGNORED] = "ignored",
	[BACKFILL_ASSIGNED] = "assigned",
};

const char *
backfill_kind_name(enum backfill_kind kind)
{
	return kind_names[kind];
}

static enum backfill_result
backfill_api_fault(enum api_result r, const char *what, const char *said,
    char why[BACKFILL_WHY])
{
	snprintf(why, BACKFILL_WHY, "%s: %s", what, said);
	return r == API_LATER || r == API_STOPPED ? BACKFILL_LATER :
	    BACKFILL_FAILED;
}

static enum backfill_result
backfill_db_fault(struct backfill *b, enum fault f, char why[BACKFILL_WHY])
{
	snprintf(why, BACKFILL_WHY, "the database: %s (%.200s)", fault_name(f),
	    ledger_why(b->ledger));
	return f == FAULT_BUSY ? BACKFILL_LATER : BACKFILL_FAILED;
}

enum backfill_result
backfill_failures(struct backfill *b, const char *app, struct failures *f,
    char why[BACKFILL_WHY])
{
	struct api_answer a = { 0 };
	char path[PATH_MAX_BYTES], said[API_WHY];
	enum api_result r;

	snprintf(path, sizeof(path), "/api/0/sentry-apps/%s/webhook-requests/"
	    "?errorsOnly=true&organizationSlug=%s", app, b->org);
	r = api_get(b->api, &a, path, SCOPE_APP, said);
	if (r == API_GOOD && a.value.kind != JSON_ARRAY) {
		snprintf(said, sizeof(said), "no list came");
		r = API_REFUSED;
	}
	failures_read(f, a.value, b->org);
	api_answer_release(&a);
	return r == API_GOOD ? BACKFILL_DONE : backfill_api_fault(r,
	    "the app's failed hooks", said, why);
}

/* ---- an issue ---- */

static struct span
backfill_tag(struct json event, const char *name)
{
	struct json tags = json_get(event, "tags");

	for (size_t i = 0; i < json_count(tags); i++)
		if (span_is(json_get_scalar(json_at(tags, i), "key"), name))
			return json_get_scalar(json_at(tags, i), "value");
	return SPAN_NONE;
}

/* Of the newest event, if there still is one. Nothing waits for it: without it
 * the hooks have no release. */
static enum backfill_result
backfill_release(struct backfill *b, struct span issue, struct api_answer *a,
    struct ledger_release *release, char why[BACKFILL_WHY])
{
	char path[PATH_MAX_BYTES], said[API_WHY];
	enum fault f;
	enum api_result r;
	bool known;

	*release = (struct ledger_release){ 0 };
	if ((f = ledger_knows_release(b->ledger, issue, &known)) != FAULT_NONE)
		return backfill_db_fault(b, f, why);
	if (known)
		return BACKFILL_DONE;
	snprintf(path, sizeof(path),
	    "/api/0/organizations/%s/issues/%.*s/events/latest/", b->org,
	    (int)issue.len, issue.at);
	r = api_get(b->api, a, path, SCOPE_EVENTS, said);
	if (r == API_GONE)
		return BACKFILL_DONE;
	if (r == API_STOPPED)
		return backfill_api_fault(r, "an issue's newest event", said,
		    why);
	b->count.bare += r != API_GOOD;
	release->release = facts_release(a->value);
	release->environment = backfill_tag(a->value, "environment");
	(void)timestamp_read_ms(&release->at,
	    json_string(json_get(a->value, "dateCreated")));
	return BACKFILL_DONE;
}

static void
backfill_count_filed(struct backfill *b, const struct change_list *list,
    const bool filed[])
{
	for (size_t i = 0; i < list->count; i++) {
		b->count.filed += filed[i];
		for (int k = 0; filed[i] && k < BACKFILL_KINDS; k++)
			b->count.kind[k] += strcmp(list->change[i].action,
			    kind_names[k]) == 0;
	}
}

/* What the list shows of the issue, and its activities: compared, and filed. */
static enum backfill_result
backfill_changes(struct backfill *b, struct ledger_run *run, struct json issue,
    const struct change_list *list, char why[BACKFILL_WHY])
{
	struct span id = json_get_scalar(issue, "id");
	bool missing[CHANGES_MAX + 1];
	struct ledger_release release;
	struct api_answer a = { 0 };
	enum backfill_result r;
	unsigned n, large = 0;
	enum fault f = ledger_compare(b->ledger, run, id, list, missing, &n);

	if (f != FAULT_NONE)
		return backfill_db_fault(b, f, why);
	b->count.missing += n;
	if (b->dry_run)
		backfill_count_filed(b, list, missing);
	if (n == 0 || b->dry_run)
		return BACKFILL_DONE;
	r = backfill_release(b, id, &a, &release, why);
	if (r == BACKFILL_DONE) {
		f = ledger_file(b->ledger, run, issue, list, &release, missing,
		    &large);
		if (f != FAULT_NONE)
			r = backfill_db_fault(b, f, why);
		else
			backfill_count_filed(b, list, missing);
		b->count.large += large;
	}
	api_answer_release(&a);
	return r;
}

/* Sentry did not show an issue's activities, as `status` and `r` say. Whether
 * the others can go on: it may be this issue alone. But a Sentry that fails for
 * one after the other is down; and a token that is not taken stays so. */
static bool
backfill_may_skip(struct backfill *b, enum api_result r, int status)
{
	if (r == API_STOPPED || status == 0 || status == 401 || status == 429 ||
	    (status >= 300 && status < 400))
		return false;
	if (r == API_LATER)
		return ++b->count.broken < BROKEN_MOST;
	return true;
}

static enum backfill_result
backfill_issue(struct backfill *b, struct ledger_run *run, struct json issue,
    char why[BACKFILL_WHY])
{
	struct change_list list;
	struct span id = json_get_scalar(issue, "id");
	struct api_answer a = { 0 };
	char path[PATH_MAX_BYTES], said[API_WHY];
	enum backfill_result result = BACKFILL_DONE;
	enum api_result r;

	snprintf(path, sizeof(path),
	    "/api/0/organizations/%s/issues/%.*s/activities/", b->org,
	    (int)id.len, id.at);
	r = api_get(b->api, &a, path, SCOPE_EVENTS, said);
	if (r == API_GONE) {
		b->count.vanished++;
	} else if (r != API_GOOD) {
		if (backfill_may_skip(b, r, a.headers.status))
			b->count.refused++;
		else
			result = backfill_api_fault(r, "an issue's activities",
			    said, why);
	} else {
		struct json activity = json_get(a.value, "activity");

		b->count.shown++;
		b->count.broken = 0;
		b->count.strange += activity.kind != JSON_ARRAY;
		change_list_read(&list, issue, activity);
		b->count.hidden += list.hidden_before > run->since;
		result = backfill_changes(b, run, issue, &list, why);
	}
	api_answer_release(&a);
	return result;
}

/* ---- pages ---- */

/* Ids go into paths: digits, as Sentry's are. What was created behind the
 * window has nothing in it. */
static bool
backfill_wants(struct backfill *b, const struct ledger_run *run,
    struct json issue)
{
	struct span id = json_get_scalar(issue, "id");
	bool good = id.len > 0 && id.len <= ID_DIGITS_MAX;
	int64_t first;

	for (size_t i = 0; i < id.len && good; i++)
		good = ascii_is_digit(id.at[i]);
	b->count.strange += !good;
	return good && (!timestamp_read_ms(&first,
	    json_string(json_get(issue, "firstSeen"))) || first <= run->until);
}

static enum backfill_result
backfill_page(struct backfill *b, struct ledger_run *run, struct json issues,
    char why[BACKFILL_WHY])
{
	enum backfill_result r = BACKFILL_DONE;

	for (size_t i = 0; i < json_count(issues) && r == BACKFILL_DONE; i++) {
		struct json issue = json_at(issues, i);

		if (backfill_wants(b, run, issue))
			r = backfill_issue(b, run, issue, why);
		b->count.issues += r == BACKFILL_DONE;
		if (b->progress != NULL)
			b->progress(&b->count);
	}
	return r;
}

static enum api_result
backfill_get_page(struct backfill *b, const struct ledger_run *run,
    struct api_answer *a, char said[API_WHY])
{
	char path[PATH_MAX_BYTES];
	enum api_result r;

	snprintf(path, sizeof(path), "/api/0/organizations/%s/issues/"
	    "?query=%s&project=-1&sort=new&statsPeriod=%ud&limit=100%s%s",
	    b->org, backfill_lists[run->list].query, b->horizon_days,
	    run->cursor[0] != '\0' ? "&cursor=" : "", run->cursor);
	r = api_get(b->api, a, path, SCOPE_EVENTS, said);
	if (r == API_GOOD && a->value.kind != JSON_ARRAY) {
		snprintf(said, API_WHY, "no list of issues came");
		return API_REFUSED;
	}
	if (r == API_GONE)
		snprintf(said, API_WHY, "404: there is no organization "
		    "\"%.64s\" here, or the token is another's", b->org);
	return r;
}

/* What tells a page from others: that of page 1, 2, 4, 8 and so on. */
struct page_mark {
	char		id[ID_DIGITS_MAX + 1];	/* its first issue's */
	char		cursor[LEDGER_CURSOR];	/* of the next page */
	unsigned	empty;			/* pages in a row */
	uint64_t	pages;			/* so far */
};

/* Whether the pages lead on: a cursor may be wrong, and lead back for ever.
 * Each page is compared with the last one that is marked: pages that come again
 * do so within thrice their number (Brent, An improved Monte Carlo
 * factorization algorithm, 1980). */
static bool
backfill_leads_on(struct page_mark *mark, const struct api_answer *a)
{
	struct span id = json_get_scalar(json_at(a->value, 0), "id");
	bool again = mark->pages > 0 &&
	    ((id.len > 0 && span_is(id, mark->id)) ||
	    strcmp(a->headers.cursor, mark->cursor) == 0);

	mark->empty = json_count(a->value) == 0 ? mark->empty + 1 : 0;
	mark->pages++;
	if ((mark->pages & (mark->pages - 1)) == 0) {
		snprintf(mark->id, sizeof(mark->id), "%.*s", (int)id.len,
		    id.len > 0 ? id.at : "");
		snprintf(mark->cursor, sizeof(mark->cursor), "%s",
		    a->headers.cursor);
	}
	return !again && mark->empty < EMPTY_PAGES_MAX;
}

/* Notes where the next page is, or the next list. */
static enum backfill_result
backfill_turn(struct backfill *b, struct ledger_run *run,
    const struct api_headers *h, char why[BACKFILL_WHY])
{
	enum fault f;

	snprintf(run->cursor, sizeof(run->cursor), "%s",
	    h->more ? h->cursor : "");
	run->list += !h->more;
	if (run->list >= LISTS && b->count.shown == 0 &&
	    b->count.vanished + b->count.refused > 0)
		return backfill_api_fault(b->count.broken > 0 ? API_LATER :
		    API_REFUSED, "activities", "Sentry shows them of no issue:"
		    " it may not know them, or the token may not see them",
		    why);
	/* Where the last issues failed, a run that is cut now asks for them
	 * once more. */
	if (b->dry_run || (b->count.broken > 0 && run->list < LISTS))
		return BACKFILL_DONE;
	f = ledger_save_run(b->ledger, run, run->list >= LISTS);
	return f == FAULT_NONE ? BACKFILL_DONE : backfill_db_fault(b, f, why);
}

static enum backfill_result
backfill_next_page(struct backfill *b, struct ledger_run *run,
    struct page_mark *mark, struct api_answer *a, char why[BACKFILL_WHY])
{
	static const struct api_headers over = { 0 };
	const char *what = "the list of issues";
	char said[API_WHY];
	enum backfill_result result;
	enum api_result r = backfill_get_page(b, run, a, said);

	if (r == API_REFUSED && backfill_lists[run->list].optional &&
	    a->headers.status == 400)
		return backfill_turn(b, run, &over, why);
	if (r != API_GOOD)
		return backfill_api_fault(r, what, said, why);
	if (run->cursor[0] == '\0')
		b->count.hits += (uint64_t)a->headers.hits;
	if (!backfill_leads_on(mark, a) && a->headers.more)
		return backfill_api_fault(API_REFUSED, what,
		    "its pages lead back to themselves", why);
	result = backfill_page(b, run, a->value, why);
	return result != BACKFILL_DONE ? result :
	    backfill_turn(b, run, &a->headers, why);
}

enum backfill_result
backfill_run(struct backfill *b, struct ledger_run *run,
    char why[BACKFILL_WHY])
{
	struct page_mark mark = { 0 };
	struct api_answer a = { 0 };
	enum backfill_result r = BACKFILL_DONE;

	while (run->list < LISTS && r == BACKFILL_DONE) {
		int64_t list = run->list;

		r = backfill_next_page(b, run, &mark, &a, why);
		api_answer_release(&a);
		if (run->list != list)
			mark = (struct page_mark){ 0 };
	}
	return r;
}
