/* One request, answered twice: by the handler itself, and over FastCGI. Both
 * answers must be the same, and as the man page's table has them.
 *
 * The input is a .hook file: a line whose name has an underscore is a CGI
 * variable, any other one a header. The method is POST, the length that of the
 * body, and the signature valid, unless the file says otherwise; the value
 * `right` stands for the valid signature, too, which no engine would find. */
#include <stdlib.h>

#include "../tests/support/hook-file.h"
#include "fuzz.h"
#include "worker.h"

#define VARIABLES	32
#define DEFAULTS	3	/* that call_set_default() adds at most */
#define NAME_SIZE	64

struct variable {
	char		name[NAME_SIZE];
	struct span	value;
};

struct call {
	struct variable	 variable[VARIABLES];
	size_t		 count;
	struct span	 body;
	size_t		 at;
	char		 length[24], signature[65];
};

/* ---- as the handler sees it ---- */

static struct span
call_param(void *arg, const char *name)
{
	const struct call *c = arg;

	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->variable[i].name, name) == 0)
			return c->variable[i].value;
	return SPAN_NONE;
}

static size_t
call_read_body(void *arg, char *buf, size_t n)
{
	struct call *c = arg;

	if (n > c->body.len - c->at)
		n = c->body.len - c->at;
	memcpy(buf, c->body.at + c->at, n);
	c->at += n;
	return n;
}

/* ---- from the input ---- */

static void
call_set(struct call *c, const char *prefix, struct span name,
    struct span value)
{
	struct variable *v = &c->variable[c->count];
	size_t at = strlen(prefix);

	/* To libfcgi a variable is NAME=VALUE; a server names none with a =. */
	if (c->count == VARIABLES || name.len + at + 1 > sizeof(v->name) ||
	    memchr(name.at, '\0', name.len) != NULL ||
	    memchr(name.at, '=', name.len) != NULL)
		return;
	memcpy(v->name, prefix, at + 1);
	for (size_t i = 0; i < name.len; i++) {
		char ch = name.at[i];

		if (ch >= 'a' && ch <= 'z')
			ch = (char)(ch - 'a' + 'A');
		v->name[at + i] = ch == '-' ? '_' : ch;
	}
	v->name[at + name.len] = '\0';
	/* A CGI variable ends at a NUL. */
	value.len = value.at == NULL ? 0 : strnlen(value.at, value.len);
	v->value = value;
	c->count++;
}

static void
call_set_default(struct call *c, const char *name, const char *value)
{
	if (call_param(c, name).at == NULL)
		call_set(c, "", span_of(name), span_of(value));
}

static void
call_parse(struct call *c, struct span file)
{
	struct span name, value;
	struct text length = { 0 };

	*c = (struct call){ .count = 0 };
	/* Three are left for the defaults below. */
	while (hook_file_line(&file, &name, &value))
		if (c->count < VARIABLES - DEFAULTS)
			call_set(c, memchr(name.at, '_', name.len) == NULL ?
			    "HTTP_" : "", name, value);
	c->body = file;
	text_int(&length, (int64_t)file.len);
	memcpy(c->length, length.at, length.len);
	text_release(&length);
	fuzz_sign(c->signature, span_of(WORKER_SECRET), file);
	call_set_default(c, "REQUEST_METHOD", "POST");
	call_set_default(c, "CONTENT_LENGTH", c->length);
	if (call_param(c, "HTTP_SENTRY_APP_SIGNATURE").at == NULL)
		call_set_default(c, "HTTP_SENTRY_HOOK_SIGNATURE", "right");
	for (size_t i = 0; i < c->count; i++)
		if (span_is(c->variable[i].value, "right"))
			c->variable[i].value = span_of(c->signature);
}

/* ---- the same as FastCGI records ---- */

enum { BEGIN_REQUEST = 1, PARAMS = 4, STDIN = 5 };

static void
call_put_record(struct text *t, unsigned type, struct span s)
{
	size_t padding = s.len % 8;
	const char header[] = { 1, (char)type, 0, 1, (char)(s.len >> 8),
	    (char)s.len, (char)padding, 0 };

	text_add(t, header, sizeof(header));
	text_span(t, s);
	text_add(t, "padding", padding);
}

/* A stream, in records whose size depends on the input. */
static void
call_put_stream(struct text *t, unsigned type, struct span s)
{
	size_t n = 1 + s.len * 7919 % 16381;

	while (s.len > 0) {
		n = s.len < n ? s.len : n;
		call_put_record(t, type, (struct span){ s.at, n });
		s.at += n;
		s.len -= n;
	}
	call_put_record(t, type, SPAN_NONE);
}

static void
call_put_length(struct text *t, size_t n)
{
	const char four[] = { (char)(n >> 24 | 0x80), (char)(n >> 16),
	    (char)(n >> 8), (char)n };

	if (n < 0x80)
		text_add(t, four + 3, 1);
	else
		text_add(t, four, sizeof(four));
}

static void
call_put_records(struct text *t, const struct call *c)
{
	static const char begin[] = { 0, 1, 0, 0, 0, 0, 0, 0 };
	struct text params = { 0 };

	for (size_t i = 0; i < c->count; i++) {
		struct span name = span_of(c->variable[i].name);

		call_put_length(&params, name.len);
		call_put_length(&params, c->variable[i].value.len);
		text_span(&params, name);
		text_span(&params, c->variable[i].value);
	}
	call_put_record(t, BEGIN_REQUEST, (struct span){ begin,
	    sizeof(begin) });
	call_put_stream(t, PARAMS, text_view(&params));
	call_put_stream(t, STDIN, c->body);
	text_release(&params);
}

/* ---- what the man page says ---- */

static bool
call_path_ends_in(struct call *c, const char *what)
{
	struct text path = { 0 };
	size_t n = strlen(what);
	bool does;

	text_span(&path, call_param(c, "SCRIPT_NAME"));
	text_span(&path, call_param(c, "PATH_INFO"));
	does = path.len >= n &&
	    memcmp(path.at + path.len - n, what, n) == 0;
	text_release(&path);
	return does;
}

/* The length, or -1 where there is none, -2 where it is too much. */
static long
call_length(struct span s)
{
	long n = 0;
	size_t digits = 0;

	while (digits < s.len && s.at[digits] >= '0' && s.at[digits] <= '9')
		digits++;
	if (digits < s.len || s.len == 0)
		return -1;
	for (size_t i = 0; i < s.len && n <= WORKER_MAX_BODY; i++)
		n = n * 10 + (s.at[i] - '0');
	return n > WORKER_MAX_BODY ? -2 : n;
}

static const char *
expected_post(struct call *c)
{
	struct span s = call_param(c, "HTTP_SENTRY_HOOK_SIGNATURE");
	struct span body = c->body;
	long length = call_length(call_param(c, "CONTENT_LENGTH"));
	char hex[65];
	struct json root;
	bool json;

	if (s.at == NULL)
		s = call_param(c, "HTTP_SENTRY_APP_SIGNATURE");
	if (s.len == 0)
		return "401 {\"error\":\"Missing sentry-hook-signature "
		    "header\"}";
	if (signature_form(s) != SIGNATURE_VALID)
		return "401 {\"error\":\"Signature length mismatch\"}";
	if (length == -2)
		return "413 {\"error\":\"Payload too large\"}";
	if (length < 0 || (size_t)length > body.len)
		return "400 {\"error\":\"Bad request\"}";
	body.len = (size_t)length;
	fuzz_sign(hex, span_of(WORKER_SECRET), body);
	for (size_t i = 0; i < s.len; i++)
		if ((s.at[i] | (s.at[i] > '9' ? 0x20 : 0)) != hex[i])
			return "401 {\"error\":\"Invalid signature\"}";
	json = json_open(&root, body) == 0;
	json_close(&root);
	return json ? "200 {\"received\":true}" :
	    "400 {\"error\":\"Invalid JSON\"}";
}

/* NULL: the answer has figures that change with each call. */
static const char *
expected_answer(struct call *c)
{
	struct span method = call_param(c, "REQUEST_METHOD");

	if (span_is(method, "POST"))
		return expected_post(c);
	if (!span_is(method, "GET") && !span_is(method, "HEAD"))
		return "405 {\"error\":\"Method not allowed\"}";
	if (call_path_ends_in(c, "/ready") || call_path_ends_in(c, "/metrics"))
		return NULL;
	return "200 {\"status\":\"ok\",\"service\":\"sentry-webhooks\"}";
}

static void
check_reply(struct call *c, const struct reply *r)
{
	const char *expected = expected_answer(c);

	if (expected == NULL) {
		claim(r->status == 200 || r->status == 503);
		return;
	}
	claim(r->status == atoi(expected));
	claim(span_is(text_view(&r->body), expected + 4));
	claim((r->headers != NULL) == (r->status == 405));
	claim(r->bodiless == span_is(call_param(c, "REQUEST_METHOD"), "HEAD"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text here = { 0 }, there = { 0 }, records = { 0 };
	struct text replies = { 0 };
	struct call c;
	const struct handler *h = worker_handler();
	struct request q = { call_param, call_read_body, &c };
	struct reply r;
	struct span rest;

	call_parse(&c, (struct span){
	    size > 0 ? (const char *)data : "", size });
	call_put_records(&records, &c);
	h->answer(h->arg, &q, &r, 1);
	check_reply(&c, &r);
	cgi_write_reply(&here, &r);
	text_release(&r.body);
	worker_serve(&replies, text_view(&records));
	rest = text_view(&replies);
	claim(worker_reply(&rest, &there) && rest.len == 0);
	claim(expected_answer(&c) == NULL || (here.len == there.len &&
	    memcmp(here.at, there.at, here.len) == 0));
	text_release(&here);
	text_release(&there);
	text_release(&records);
	text_release(&replies);
	return 0;
}
