#include "page/page.h"

#include <assert.h>

#include "base/log.h"
#include "page_css.h"
#include "page/views.h"

#define DIGITS_MAX	18	/* of a row's number */

/* Nothing is loaded but the style sheet from beside the page; no script, no
 * frame around it, no word of it to other sites. */
#define HEADERS \
	"Content-Security-Policy: default-src 'none'; style-src 'self'; " \
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n" \
	"X-Content-Type-Options: nosniff\r\n" \
	"X-Frame-Options: DENY\r\n" \
	"Referrer-Policy: no-referrer\r\n" \
	"Cross-Origin-Resource-Policy: same-origin\r\n" \
	"Cross-Origin-Opener-Policy: same-origin\r\n" \
	"X-Robots-Tag: noindex\r\n"

/* NAME=DIGITS and nothing else. */
static bool
number(struct span query, const char *name, int64_t *n)
{
	size_t len = strlen(name);

	*n = 0;
	if (query.len <= len || query.len > len + DIGITS_MAX ||
	    memcmp(query.at, name, len) != 0)
		return false;
	for (size_t i = len; i < query.len; i++) {
		if (query.at[i] < '0' || query.at[i] > '9')
			return false;
		*n = *n * 10 + (query.at[i] - '0');
	}
	return true;
}

/* ---- the frame ---- */

static void
write_top(struct text *t, const char *title, int64_t row)
{
	text_str(t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	    "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
	    "content=\"width=device-width, initial-scale=1\"/>\n"
	    "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
	    "<link rel=\"stylesheet\" href=\"?style\"/>\n<title>");
	text_str(t, title);
	if (row > 0)
		text_int(t, row);
	text_str(t, " - sentry-webhooks</title>\n</head>\n<body>\n"
	    "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n"
	    "<header>\n<p class=\"name\"><a href=\"?\">sentry-webhooks</a>"
	    "</p>\n<form method=\"get\" action=\"?\"><label for=\"row\">Row"
	    "</label> <input id=\"row\" name=\"row\" inputmode=\"numeric\" "
	    "pattern=\"[0-9]+\" required=\"required\" autocomplete=\"off\"/> "
	    "<button>Show</button></form>\n</header>\n"
	    "<main id=\"main\" tabindex=\"-1\">\n<h1>");
	text_str(t, title);
	if (row > 0)
		text_int(t, row);
	text_str(t, "</h1>\n");
}

static void
write_bottom(struct text *t)
{
	text_str(t, "</main>\n<footer><p>sentry-webhooks-page "
	    PACKAGE_VERSION "; all times are UTC; this page reads and changes "
	    "nothing.</p></footer>\n</body>\n</html>\n");
}

/* ---- replies ---- */

static void
refuse(struct reply *r, int status, const char *reason, const char *say)
{
	r->status = status;
	r->reason = reason;
	r->body.len = 0;
	write_top(&r->body, reason, 0);
	text_str(&r->body, "<p>");
	text_str(&r->body, say);
	text_str(&r->body, "</p>\n<p><a href=\"?\">To the overview</a></p>\n");
	write_bottom(&r->body);
}

/* Why stands in the log: it may name a path. */
static void
unavailable(struct reply *r, const char *db, enum fault f, const char *why)
{
	struct log l;

	log_begin(&l, "error", "database-fault");
	log_str(&l, "fault", fault_name(f));
	log_str(&l, "db", db);
	log_str(&l, "why", why);
	log_end(&l);
	refuse(r, 503, "Service Unavailable", f == FAULT_OLDER ?
	    "The database is empty: start sentry-webhooks first." :
	    "The database cannot be read now; the log says why.");
}

static void
overview(struct reply *r, const char *db, int64_t before)
{
	char why[DB_WHY];
	enum fault f;

	write_top(&r->body, "Overview", 0);
	f = views_overview(&r->body, db, before, why);
	if (f != FAULT_NONE)
		unavailable(r, db, f, why);
	else
		write_bottom(&r->body);
}

static void
one_row(struct reply *r, const char *db, int64_t id)
{
	char why[DB_WHY];
	bool found;
	enum fault f;

	write_top(&r->body, "Row ", id);
	f = views_row(&r->body, db, id, &found, why);
	if (f != FAULT_NONE)
		unavailable(r, db, f, why);
	else if (!found)
		refuse(r, 404, "Not Found", "There is no such row (any more)."
		    );
	else
		write_bottom(&r->body);
}

static void
get(struct reply *r, const char *db, const struct request *q)
{
	struct span query = cgi_param(q, "QUERY_STRING");
	struct span info = cgi_param(q, "PATH_INFO");
	int64_t n;

	if (info.len > 0 && !span_is(info, "/"))
		query = span_of("/");	/* which no page has */
	if (query.len == 0) {
		overview(r, db, INT64_MAX);
	} else if (number(query, "dead=", &n)) {
		overview(r, db, n);
	} else if (number(query, "row=", &n)) {
		one_row(r, db, n);
	} else if (span_is(query, "style")) {
		r->type = "text/css; charset=utf-8";
		text_str(&r->body, page_css);
	} else {
		refuse(r, 404, "Not Found", "There is no such page.");
	}
}

/* ---- the handler ---- */

static void
answer(void *db, const struct request *q, struct reply *r, unsigned count)
{
	struct span method = cgi_param(q, "REQUEST_METHOD");

	assert(count == 1);	/* as they are all answered alone */
	*r = (struct reply){ .status = 200, .reason = "OK",
	    .type = "text/html; charset=utf-8", .headers = HEADERS };
	r->bodiless = span_is(method, "HEAD");
	if (span_is(method, "GET") || r->bodiless) {
		get(r, db, q);
		return;
	}
	r->headers = "Allow: GET, HEAD\r\n" HEADERS;
	refuse(r, 405, "Method Not Allowed",
	    "This page can only be looked at.");
}

struct handler
page_handler(const char *db)
{
	return (struct handler){ .answer = answer,
	    .arg = (void *)(uintptr_t)db };
}
