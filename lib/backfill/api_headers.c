#include "backfill/api_headers.h"

#include <limits.h>
#include <stdio.h>
#include <strings.h>

#define LIMITED		429	/* the status of too many requests */
#define NUMBER_MAX	(INT64_MAX / 100000)	/* larger ones mean nothing */
#define UNTOLD_WAIT_MS	5000	/* where it comes without saying how long */

/* The number that the text begins with; 0 without one. */
static int64_t
api_headers_number(struct span s, int64_t most)
{
	int64_t n;

	s = span_trimmed(s);
	return span_take_number(&s, most, &n) ? n : 0;
}

/* Whether the line is this header's; then *value is what it says. */
static bool
api_headers_is(struct span line, const char *name, struct span *value)
{
	size_t n = strlen(name);

	if (line.len <= n || line.at[n] != ':' ||
	    strncasecmp(line.at, name, n) != 0)
		return false;
	*value = span_trimmed((struct span){ line.at + n + 1,
	    line.len - n - 1 });
	return true;
}

/* The text between the quotes of ` name="text"` in a link's parameters. */
static struct span
api_headers_parameter(struct span link, const char *name)
{
	struct span s;
	size_t n = strlen(name);
	const char *at = link.at, *end = link.at + link.len, *quote;

	while ((at = memmem(at, (size_t)(end - at), name, n)) != NULL) {
		s = (struct span){ at + n, (size_t)(end - at) - n };
		if (at > link.at && (at[-1] == ' ' || at[-1] == ';') &&
		    s.len >= 2 && s.at[0] == '=' && s.at[1] == '"') {
			s.at += 2;
			s.len -= 2;
			quote = memchr(s.at, '"', s.len);
			return quote == NULL ? SPAN_NONE :
			    (struct span){ s.at, (size_t)(quote - s.at) };
		}
		at += n;
	}
	return SPAN_NONE;
}

static bool
api_headers_cursor_good(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_name(s.at[i]) && s.at[i] != ':')
			return false;
	return s.len > 0 && s.len <= API_CURSOR_MAX;
}

/* <URL>; rel="next"; results="true"; cursor="0:100:0", and the like for the
 * page before. Of the URLs nothing is used: they could lead anywhere. */
static void
api_headers_link(struct api_headers *h, struct span links)
{
	while (links.len > 0) {
		const char *comma = memchr(links.at, ',', links.len);
		struct span link = links, cursor;

		if (comma != NULL)
			link.len = (size_t)(comma - links.at);
		cursor = api_headers_parameter(link, "cursor");
		if (span_is(api_headers_parameter(link, "rel"), "next") &&
		    span_is(api_headers_parameter(link, "results"), "true") &&
		    api_headers_cursor_good(cursor)) {
			h->more = true;
			snprintf(h->cursor, sizeof(h->cursor), "%.*s",
			    (int)cursor.len, cursor.at);
		}
		links.at += link.len;
		links.len -= link.len;
		if (links.len > 0) {
			links.at++;
			links.len--;
		}
	}
}

void
api_headers_read(struct api_headers *h, struct span line)
{
	struct span value;

	if (line.len >= 5 && memcmp(line.at, "HTTP/", 5) == 0) {
		*h = (struct api_headers){ 0 };
		(void)span_take_word(&line, ' ');
		h->status = (int)api_headers_number(line, INT_MAX);
	} else if (api_headers_is(line, "link", &value)) {
		api_headers_link(h, value);
	} else if (api_headers_is(line, "x-hits", &value)) {
		h->hits = api_headers_number(value, NUMBER_MAX);
	} else if (api_headers_is(line, "retry-after", &value)) {
		h->retry_after_s = api_headers_number(value, NUMBER_MAX);
	} else if (api_headers_is(line, "x-sentry-rate-limit-reset", &value)) {
		h->reset_s = api_headers_number(value, NUMBER_MAX);
	} else if (api_headers_is(line, "x-sentry-rate-limit-remaining",
	    &value)) {
		h->used_up = span_is(value, "0");
	}
}

int64_t
api_headers_wait_ms(const struct api_headers *h, int64_t now)
{
	int64_t wait = 0;

	if (h->status != LIMITED && !h->used_up && h->retry_after_s == 0)
		return 0;
	if (h->retry_after_s > 0)
		wait = h->retry_after_s > API_WAIT_MAX_MS / 1000 ?
		    API_WAIT_MAX_MS : h->retry_after_s * 1000;
	else if (h->reset_s > 0)
		wait = h->reset_s * 1000 - now;
	if (wait <= 0)
		wait = h->status == LIMITED ? UNTOLD_WAIT_MS : 0;
	return wait > API_WAIT_MAX_MS ? API_WAIT_MAX_MS : wait;
}
