#include "hook/pull_request.h"

#include "base/ascii.h"
#include "hook/body_line.h"

/* The digits behind the last slash of a pull request's URL. */
static struct span
number_in_url(struct span url)
{
	size_t at = url.len;

	while (at > 0 && ascii_is_digit(url.at[at - 1]))
		at--;
	if (at == 0 || at == url.len || url.at[at - 1] != '/')
		return SPAN_NONE;
	return span_behind(url, at);
}

static struct span
get_string(struct json v, const char *name)
{
	return json_string(json_get(v, name));
}

static struct pull_request
read_entry(struct json entry)
{
	struct json inner = json_get(entry, "pull_request");
	struct json v = inner.kind == JSON_OBJECT ? inner : entry;
	struct pull_request p = {
		.repository = facts_first(json_get_scalar(entry, "repo_name"),
		    json_get_scalar(v, "repo_name")),
		.number = facts_either(v, "pr_number", "number"),
		.id = facts_either(v, "pr_id", "id"),
		.url = facts_first(get_string(v, "pr_url"),
		    facts_first(get_string(v, "url"),
		    get_string(v, "web_url"))),
	};

	p.number = facts_first(p.number, number_in_url(p.url));
	return p;
}

/* A pull request whose members stand in the holder itself: their names begin
 * with `pr_`. */
static struct pull_request
read_holder(struct json v)
{
	struct pull_request p = {
		.repository = span_filled(json_get_scalar(v, "repo_name")),
		.number = span_filled(json_get_scalar(v, "pr_number")),
		.id = span_filled(json_get_scalar(v, "pr_id")),
		.url = span_filled(get_string(v, "pr_url")),
	};

	p.number = facts_first(p.number, number_in_url(p.url));
	return p;
}

/* The pull request of a build: Sentry names its number and its repository. */
static struct pull_request
read_git(struct json git)
{
	return (struct pull_request){
		.repository = facts_either(git, "headRepoName",
		    "baseRepoName"),
		.number = span_filled(json_get_scalar(git, "prNumber")),
		.github = span_is(json_get_scalar(git, "provider"), "github"),
	};
}

struct span
pull_request_id(const struct pull_request *p)
{
	return facts_first(p->number, facts_first(p->id, p->url));
}

/* Compares URLs if one of the two has a URL, else all that is known. */
static bool
pull_request_same(const struct pull_request *a, const struct pull_request *b)
{
	if (a->url.at != NULL || b->url.at != NULL)
		return span_same(a->url, b->url);
	return span_same(a->repository, b->repository) &&
	    span_same(a->number, b->number) && span_same(a->id, b->id);
}

static size_t
pull_request_add(struct pull_request *found, size_t n, size_t limit,
    struct pull_request p)
{
	if (n == limit || pull_request_id(&p).at == NULL)
		return n;
	for (size_t i = 0; i < n; i++)
		if (pull_request_same(&found[i], &p))
			return n;
	found[n] = p;
	return n + 1;
}

size_t
pull_request_find_all(const struct facts *f, struct pull_request *found,
    size_t limit)
{
	struct json list = json_get(f->pulls, "pull_requests");
	struct json one = json_get(f->pulls, "pull_request");
	size_t n = 0;

	for (size_t i = 0; i < json_count(list); i++)
		n = pull_request_add(found, n, limit,
		    read_entry(json_at(list, i)));
	if (one.kind == JSON_OBJECT)
		n = pull_request_add(found, n, limit, read_entry(one));
	n = pull_request_add(found, n, limit, read_holder(f->pulls));
	return pull_request_add(found, n, limit, read_git(f->git));
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
pull_request_url(struct text *t, const struct pull_request *p)
{
	text_span(t, p->url);
	if (!p->github || p->repository.len == 0 || p->number.len == 0)
		return;
	text_str(t, "https://github.com/");
	text_span(t, p->repository);
	text_str(t, "/pull/");
	text_span(t, p->number);
}

void
pull_request_lines(struct text *t, const struct facts *f)
{
	struct pull_request found[PULL_REQUESTS_MAX];
	size_t n = pull_request_find_all(f, found, PULL_REQUESTS_MAX);

	for (size_t i = 0; i < n; i++) {
		struct text says = { 0 };

		pull_request_url(&says, &found[i]);
		if (says.len == 0)
			pull_request_name(&says, &found[i]);
		if (says.len == 0)
			text_span(&says, found[i].id);
		body_line_add(t, i == 0 ? "\n- pull request: " :
		    "- pull request: ", text_view(&says), "");
		t->broken |= says.broken;
		text_release(&says);
	}
}

/* `- REPOSITORY: PATH (+ADDED -REMOVED)` */
static void
change_line(struct text *t, struct span repository, struct json change)
{
	struct span path = json_get_scalar(change, "path");
	struct span added = json_get_scalar(change, "added");
	struct span removed = json_get_scalar(change, "removed");

	if (path.len == 0)
		return;
	body_line_add_pair(t, "- ", repository, path);
	if (added.len == 0 || removed.len == 0)
		return;
	text_str(t, " (+");
	text_span(t, added);
	text_str(t, " -");
	text_span(t, removed);
	text_str(t, ")");
}

void
pull_request_code_change_lines(struct text *t, struct json changes)
{
	struct span repository;
	const void *at = NULL;
	struct json list;

	while (json_next(changes, &at, &repository, &list))
		for (size_t i = 0; i < json_count(list); i++)
			change_line(t, repository, json_at(list, i));
}
