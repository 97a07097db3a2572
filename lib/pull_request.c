#include "pull_request.h"

#include "lines.h"

/* The digits behind the last slash. */
static struct span
number_in(struct span url)
{
	size_t at = url.len;

	while (at > 0 && url.at[at - 1] >= '0' && url.at[at - 1] <= '9')
		at--;
	if (at == 0 || at == url.len || url.at[at - 1] != '/')
		return (struct span){ NULL, 0 };
	return (struct span){ url.at + at, url.len - at };
}

static struct span
string_of(struct json v, const char *name)
{
	return json_string(json_get(v, name));
}

static struct pull_request
read_one(struct json entry)
{
	struct json inner = json_get(entry, "pull_request");
	struct json v = inner.kind == JSON_OBJECT ? inner : entry;
	struct pull_request p = {
		.repository = facts_first(json_get_scalar(entry, "repo_name"),
		    json_get_scalar(v, "repo_name")),
		.number = facts_either(v, "pr_number", "number"),
		.id = facts_either(v, "pr_id", "id"),
		.url = facts_first(string_of(v, "pr_url"),
		    facts_first(string_of(v, "url"),
		    string_of(v, "web_url"))),
	};

	p.number = facts_first(p.number, number_in(p.url));
	return p;
}

/* The holder itself: of it, only what is called `pr_`. */
static struct pull_request
read_holder(struct json v)
{
	struct pull_request p = {
		.repository = span_filled(json_get_scalar(v, "repo_name")),
		.number = span_filled(json_get_scalar(v, "pr_number")),
		.id = span_filled(json_get_scalar(v, "pr_id")),
		.url = span_filled(string_of(v, "pr_url")),
	};

	p.number = facts_first(p.number, number_in(p.url));
	return p;
}

struct span
pull_request_id(const struct pull_request *p)
{
	return facts_first(p->number, facts_first(p->id, p->url));
}

static bool
same(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static size_t
add(struct pull_request *found, size_t n, size_t limit, struct pull_request p)
{
	if (n == limit || pull_request_id(&p).at == NULL)
		return n;
	for (size_t i = 0; i < n; i++)
		if (p.url.at != NULL || found[i].url.at != NULL ?
		    same(found[i].url, p.url) :
		    same(pull_request_id(&found[i]), pull_request_id(&p)))
			return n;
	found[n] = p;
	return n + 1;
}

size_t
pull_requests(const struct facts *f, struct pull_request *found, size_t limit)
{
	struct json list = json_get(f->pulls, "pull_requests");
	struct json one = json_get(f->pulls, "pull_request");
	size_t n = 0;

	for (size_t i = 0; i < json_count(list); i++)
		n = add(found, n, limit, read_one(json_at(list, i)));
	if (one.kind == JSON_OBJECT)
		n = add(found, n, limit, read_one(one));
	n = add(found, n, limit, read_holder(f->pulls));
	return add(found, n, limit,
	    (struct pull_request){ .number = span_filled(f->pull_number) });
}

void
pull_request_name(struct text *t, const struct pull_request *p)
{
	text_span(t, p->repository);
	if (p->number.len == 0)
		return;
	text_str(t, "#");
	text_span(t, p->number);
}

void
pull_request_lines(struct text *t, const struct facts *f)
{
	struct pull_request found[PULL_REQUESTS_MAX];
	size_t n = pull_requests(f, found, PULL_REQUESTS_MAX);

	for (size_t i = 0; i < n; i++)
		line_add(t, i == 0 ? "\n- pull request: " :
		    "- pull request: ", facts_first(found[i].url,
		    pull_request_id(&found[i])), "");
}
