#include "redact.h"

#include "care.h"
#include "personal.h"
#include "quoted.h"
#include "signature.h"

struct walk {
	struct span	 in;
	size_t		 i;		/* how far it has come */
	unsigned	 depth;
	bool		 bad;		/* not JSON */
	struct text	*out;
	struct span	 who;		/* looked for, if at all */
	bool		 address;	/* `who` is one */
	bool		 found;
};

static void	value(struct walk *, enum care);

/* ---- texts ---- */

/* Off the walk: what stands between the quotes of the string that is next. */
static struct span
take_string(struct walk *w)
{
	size_t from = w->i + 1, i = from;

	while (i < w->in.len && w->in.at[i] != '"')
		i += w->in.at[i] == '\\' ? 2 : 1;
	if (i >= w->in.len) {
		w->bad = true;
		i = w->in.len;
		from = from < i ? from : i;
	}
	w->i = i < w->in.len ? i + 1 : i;
	return (struct span){ w->in.at + from, i - from };
}

/* Most texts hold no address: nothing is done about those. */
static bool
may_hold_address(struct span raw)
{
	return memchr(raw.at, '.', raw.len) != NULL ||
	    memchr(raw.at, ':', raw.len) != NULL ||
	    memchr(raw.at, '\\', raw.len) != NULL;
}

/* Whether `text` had an address in it; then `clean` is it without. */
static bool
take_out(struct text *clean, struct span text)
{
	size_t from = 0, done = 0;
	enum personal kind;
	struct span what;

	while ((kind = personal_find(text, &from, &what)) != PERSONAL_NONE) {
		text_add(clean, text.at + done,
		    (size_t)(what.at - text.at) - done);
		text_str(clean, kind == PERSONAL_EMAIL ? "[email]" : "[ip]");
		done = from;
	}
	if (done > 0)
		text_add(clean, text.at + done, text.len - done);
	return done > 0;
}

static bool
holds_address(struct span text, struct span who)
{
	struct span what;
	size_t from = 0;

	while (personal_find(text, &from, &what) != PERSONAL_NONE)
		if (personal_same(what, who))
			return true;
	return false;
}

/* Whether this text, so to be dealt with, names the person. */
static bool
names(const struct walk *w, struct span text, enum care care)
{
	const char *colon;

	if (w->address)
		return holds_address(text, w->who);
	if (personal_same(text, w->who))
		return care == CARE_CALLED || care == CARE_DROP ||
		    care == CARE_USER || care == CARE_ID;
	if (care != CARE_USER || text.len == 0 ||
	    (colon = memchr(text.at, ':', text.len)) == NULL)
		return false;
	colon++;
	return personal_same((struct span){ colon,
	    text.len - (size_t)(colon - text.at) }, w->who);
}

static bool
is_kept(enum care care)
{
	return care == CARE_KEEP || care == CARE_CALLED;
}

static void
put_string(struct walk *w, struct span raw)
{
	text_str(w->out, "\"");
	text_span(w->out, raw);
	text_str(w->out, "\"");
}

/* Writes the string as it is, or what is left of it; `text` is what it says. */
static void
put_text(struct walk *w, struct span raw, struct span text, enum care care)
{
	struct text clean = { 0 };
	struct span cut = text;

	if (care == CARE_URL)
		for (cut.len = 0; cut.len < text.len; cut.len++)
			if (text.at[cut.len] == '?' || text.at[cut.len] == '#')
				break;
	if (take_out(&clean, cut))
		text_json(w->out, text_view(&clean));
	else if (cut.len < text.len)
		text_json(w->out, cut);
	else
		put_string(w, raw);
	w->out->broken |= clean.broken;
	text_release(&clean);
}

/* A string that is next; *says, if it is wanted, is its text. */
static void
string(struct walk *w, enum care care, struct text *says)
{
	struct span raw = take_string(w), view;
	struct text text = { 0 };

	if (says == NULL && w->who.at == NULL && (is_kept(care) ||
	    care == CARE_DROP || (care == CARE_TEXT &&
	    !may_hold_address(raw)))) {
		put_string(w, raw);
		return;
	}
	w->bad |= !quoted_text(&text, raw);
	view = text.len > 0 ? text_view(&text) : span_of("");
	w->found |= w->who.at != NULL && names(w, view, care);
	if (care == CARE_USER)		/* a tag's value: `id:1`, `ip:...` */
		care = view.len > 3 && memcmp(view.at, "id:", 3) == 0 ?
		    CARE_TEXT : CARE_DROP;
	if (care == CARE_DROP)
		text_str(w->out, "null");
	else if (is_kept(care))
		put_string(w, raw);
	else
		put_text(w, raw, view, care);
	w->out->broken |= text.broken;
	if (says != NULL)
		*says = text;
	else
		text_release(&text);
}

/* ---- values ---- */

static void
space(struct walk *w)
{
	size_t from = w->i;

	while (w->i < w->in.len && w->in.at[w->i] != '\0' &&
	    strchr(" \t\r\n", w->in.at[w->i]) != NULL)
		w->i++;
	text_add(w->out, w->in.at + from, w->i - from);
}

static bool
next_is(const struct walk *w, char c)
{
	return !w->bad && w->i < w->in.len && w->in.at[w->i] == c;
}

static void
expect(struct walk *w, char c)
{
	if (!next_is(w, c)) {
		w->bad = true;
		return;
	}
	w->i++;
	text_add(w->out, &c, 1);
}

static void
member(struct walk *w, enum care care)
{
	struct text name = { 0 };

	space(w);
	if (!next_is(w, '"')) {
		w->bad = true;
		return;
	}
	string(w, is_kept(care) ? CARE_KEEP : CARE_TEXT, &name);
	space(w);
	expect(w, ':');
	value(w, care_of_member(care, name.len > 0 ? text_view(&name) :
	    span_of(""), w->depth));
	text_release(&name);
}

/* The first of a pair, [name, value] in a list, which says what is to be done
 * with the other. */
static void
pair_name(struct walk *w, enum care *care)
{
	struct text name = { 0 };

	space(w);
	string(w, *care, &name);
	if (name.len > 0)
		*care = care_of_name(text_view(&name), w->depth);
	text_release(&name);
}

enum kind { OBJECT, LIST, PAIR };

static void	container(struct walk *, enum care, enum kind);

static void
element(struct walk *w, enum care *care, enum kind kind, bool first)
{
	space(w);
	if (*care == CARE_TEXT && kind == LIST && next_is(w, '['))
		container(w, *care, PAIR);
	else if (*care == CARE_TEXT && kind == PAIR && first &&
	    next_is(w, '"'))
		pair_name(w, care);
	else
		value(w, *care);
	space(w);
}

static void
container(struct walk *w, enum care care, enum kind kind)
{
	char close = kind == OBJECT ? '}' : ']';
	bool first = true;

	expect(w, kind == OBJECT ? '{' : '[');
	if (++w->depth > JSON_DEPTH)
		w->bad = true;
	space(w);
	while (!w->bad && !next_is(w, close)) {
		if (!first)
			expect(w, ',');
		if (kind == OBJECT)
			member(w, care);
		else
			element(w, &care, kind, first);
		first = false;
	}
	w->depth--;
	expect(w, close);
}

/* A number, true, false or null. */
static void
scalar(struct walk *w, enum care care)
{
	size_t from = w->i;
	struct span s;

	while (w->i < w->in.len && strchr(",]} \t\r\n", w->in.at[w->i]) == NULL)
		w->i++;
	s = (struct span){ w->in.at + from, w->i - from };
	w->bad |= s.len == 0;
	w->found |= (care == CARE_USER || care == CARE_ID) &&
	    w->who.at != NULL && personal_same(s, w->who);
	if (care == CARE_USER || care == CARE_DROP)
		s = span_of("null");
	text_span(w->out, s);
}

static void
value(struct walk *w, enum care care)
{
	size_t from;

	space(w);
	from = w->out->len;
	if (next_is(w, '{') || next_is(w, '['))
		container(w, care, next_is(w, '{') ? OBJECT : LIST);
	else if (next_is(w, '"'))
		string(w, care, NULL);
	else
		scalar(w, care);
	if (care == CARE_DROP && !w->out->broken) {
		w->out->len = from;
		text_str(w->out, "null");
	}
	space(w);
}

static int
walk(struct walk *w)
{
	value(w, CARE_TEXT);
	if (w->out->broken)
		return -1;
	return w->bad || w->i < w->in.len ? 1 : 0;
}

int
redact(struct text *out, struct span body)
{
	struct walk w = { .in = body, .out = out };

	return walk(&w);
}

void
redact_unreadable(struct text *out, struct span body)
{
	char hash[FINGERPRINT_HEX + 1];

	fingerprint(hash, body);
	text_str(out, "redacted: ");
	text_int(out, (int64_t)body.len);
	text_str(out, " bytes that are not JSON, sha256 ");
	text_str(out, hash);
	text_str(out, "...\n");
}

/* In what cannot be read: as bytes. */
static bool
holds_bytes(struct span body, struct span who)
{
	for (size_t i = 0; i + who.len <= body.len; i++)
		if (personal_same((struct span){ body.at + i, who.len }, who))
			return true;
	return false;
}

int
redact_names(struct span body, struct span who)
{
	struct text unused = { 0 };
	struct walk w = { .in = body, .out = &unused, .who = who };
	struct span what;
	size_t from = 0;
	int rc;

	w.address = personal_find(who, &from, &what) != PERSONAL_NONE &&
	    what.len == who.len;
	rc = walk(&w);
	text_release(&unused);
	if (rc < 0)
		return -1;
	return w.found || (rc > 0 && holds_bytes(body, who)) ? 1 : 0;
}
