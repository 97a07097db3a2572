#include "page/page.h"

#include <assert.h>

#include "base/log.h"
#include "page_css.h"
#include "page/views.h"

/*
 * A request:
 *
 * 1. page_answer() refuses every method but GET and HEAD.
 * 2. page_get() chooses by the query: none for the overview, dead=N for its
 *    further dead rows, row=N for one row, style for the style sheet.
 * 3. page_overview() or page_row() write the frame, and views.h what is in it.
 *    If the database cannot be read, page_unavailable() replaces it all.
 */

/* The browser loads nothing but the style sheet (?style), runs no script, shows
 * the page in no frame, and tells other sites nothing of it. */
#define HEADERS \
	"Content-Security-Policy: default-src 'none'; style-src 'self'; " \
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n" \
	"X-Content-Type-Options: nosniff\r\n" \
	"X-Frame-Options: DENY\r\n" \
	"Referrer-Policy: no-referrer\r\n" \
	"Cross-Origin-Resource-Policy: same-origin\r\n" \
	"Cross-Origin-Opener-Policy: same-origin\r\n" \
	"X-Robots-Tag: noindex\r\n"

/* Whether the query is `name`, which ends in '=', and a number: *n. */
static bool
page_number(struct span query, const char *name, int64_t *n)
{
	size_t len = strlen(name);

	if (query.len < len || memcmp(query.at, name, len) != 0)
		return false;
	query = span_behind(query, len);
	return span_take_number(&query, INT64_MAX, n) && query.len == 0;
}

/* ---- the frame ---- */

/* The title is followed by the row's number, unless that is 0. */
static void
page_write_title(struct text *t, const char *title, int64_t row)
{
	text_str(t, title);
	if (row > 0)
		text_int(t, row);
}

static void
page_write_top(struct text *t, const char *title, int64_t row)
{
	text_str(t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	    "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
	    "content=\"width=device-width, initial-scale=1\"/>\n"
	    "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
	    "<link rel=\"stylesheet\" href=\"?style\"/>\n<title>");
	page_write_title(t, title, row);
	text_str(t, " - sentry-webhooks</title>\n</head>\n<body>\n"
	    "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n"
	    "<header>\n<p class=\"name\"><a href=\"?\">sentry-webhooks</a>"
	    "</p>\n<form method=\"get\" action=\"?\"><label for=\"row\">Row"
	    "</label> <input id=\"row\" name=\"row\" inputmode=\"numeric\" "
	    "pattern=\"[0-9]+\" required=\"required\" autocomplete=\"off\"/> "
	    "<button>Show</button></form>\n</header>\n"
	    "<main id=\"main\" tabindex=\"-1\">\n<h1>");
	page_write_title(t, title, row);
	text_str(t, "</h1>\n");
}

static void
page_write_bottom(struct text *t)
{
	text_str(t, "</main>\n<footer><p>sentry-webhooks-page "
	    PACKAGE_VERSION "; all times are UTC; this page reads and changes "
	    "nothing.</p></footer>\n</body>\n</html>\n");
}

/* ---- replies ---- */

static void
page_refuse(struct reply *r, int status, const char *reason, const char *say)
{
	r->status = status;
	r->reason = reason;
	r->body.len = 0;
	page_write_top(&r->body, reason, 0);
	text_str(&r->body, "<p>");
	text_str(&r->body, say);
	text_str(&r->body, "</p>\n<p><a href=\"?\">To the overview</a></p>\n");
	page_write_bottom(&r->body);
}

/* Why is logged, not shown: it may name a path. */
static void
page_unavailable(struct reply *r, const char *db, enum fault f, const char *why)
{
	struct log l;

	log_begin(&l, "error", "database-fault");
	log_str(&l, "fault", fault_name(f));
	log_str(&l, "db", db);
	log_str(&l, "why", why);
	log_end(&l);
	page_refuse(r, 503, "Service Unavailable", f == FAULT_OLDER ?
	    "The database is empty: start sentry-webhooks first." :
	    "The database cannot be read now; the log says why.");
}

static void
page_overview(struct reply *r, const char *db, int64_t before)
{
	char why[DB_WHY];
	enum fault f;

	page_write_top(&r->body, "Overview", 0);
	f = views_overview(&r->body, db, before, why);
	if (f != FAULT_NONE)
		page_unavailable(r, db, f, why);
	else
		page_write_bottom(&r->body);
}

static void
page_row(struct reply *r, const char *db, int64_t id)
{
	char why[DB_WHY];
	bool found;
	enum fault f;

	page_write_top(&r->body, "Row ", id);
	f = views_row(&r->body, db, id, &found, why);
	if (f != FAULT_NONE)
		page_unavailable(r, db, f, why);
	else if (!found)
		page_refuse(r, 404, "Not Found",
		    "There is no such row (any more).");
	else
		page_write_bottom(&r->body);
}

static void
page_get(struct reply *r, const char *db, const struct request *q)
{
	struct span query = cgi_param(q, "QUERY_STRING");
	struct span info = cgi_param(q, "PATH_INFO");
	int64_t n;

	if (info.len > 0 && !span_is(info, "/"))
		query = span_of("/");	/* which no page has */
	if (query.len == 0) {
		page_overview(r, db, INT64_MAX);
	} else if (page_number(query, "dead=", &n)) {
		page_overview(r, db, n);
	} else if (page_number(query, "row=", &n)) {
		page_row(r, db, n);
	} else if (span_is(query, "style")) {
		r->type = "text/css; charset=utf-8";
		text_str(&r->body, page_css);
	} else {
		page_refuse(r, 404, "Not Found", "There is no such page.");
	}
}

/* ---- the handler ---- */

static void
page_answer(void *db, const struct request *q, struct reply *r, unsigned count)
{
	struct span method = cgi_param(q, "REQUEST_METHOD");

	assert(count == 1);	/* since handler.alone is NULL */
	*r = (struct reply){ .status = 200, .reason = "OK",
	    .type = "text/html; charset=utf-8", .headers = HEADERS };
	r->bodiless = span_is(method, "HEAD");
	if (span_is(method, "GET") || r->bodiless) {
		page_get(r, db, q);
		return;
	}
	r->headers = "Allow: GET, HEAD\r\n" HEADERS;
	page_refuse(r, 405, "Method Not Allowed",
	    "This page can only be looked at.");
}

struct handler
page_handler(const char *db)
{
	return (struct handler){ .answer = page_answer,
	    .arg = (void *)(uintptr_t)db };
}
