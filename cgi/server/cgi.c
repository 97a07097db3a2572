#include "server/cgi.h"

struct span
cgi_param(const struct request *q, const char *name)
{
	return q->param(q->arg, name);
}

void
cgi_write_reply(struct text *t, const struct reply *r)
{
	text_str(t, "Status: ");
	text_int(t, r->status);
	text_str(t, " ");
	text_str(t, r->reason);
	text_str(t, "\r\nContent-Type: ");
	text_str(t, r->type);
	text_str(t, "\r\nContent-Length: ");
	text_int(t, (int64_t)r->body.len);
	text_str(t, "\r\nCache-Control: no-store\r\n");
	if (r->headers != NULL)
		text_str(t, r->headers);
	text_str(t, "\r\n");
	if (!r->bodiless)
		text_span(t, text_view(&r->body));
}
