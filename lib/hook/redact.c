#include "hook/redact.h"

#include "hook/redact_rule.h"
#include "hook/person_names.h"
#include "hook/pii.h"
#include "base/json_string.h"
#include "hook/signature.h"

#define ROUNDS	4	/* over a text; two do for what people write */

struct walk {
	struct span	 in;
	size_t		 i;		/* how far it has come */
	unsigned	 depth;
	bool		 bad;		/* not JSON */
	struct text	*out;
	/* What a walk learns the next one needs from its beginning on: names,
	 * and of each object, in the order in which they begin, what its
	 * members say about it, redact_rule_marks(). */
	struct person_names	*names;
	struct text	 marks;
	size_t		 objects;	/* begun so far */
	bool		 learned;
	bool		 again;		/* not the first walk */
	struct span	 who;		/* looked for, if at all */
	bool		 address;	/* `who` is one */
	bool		 found;
};

static void	value(struct walk *, enum redact_rule);
static void	container(struct walk *, enum redact_rule, bool pair);

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
	return memchr(raw.at, '.', raw.len) || memchr(raw.at, ':', raw.len) ||
	    memchr(raw.at, '\\', raw.len);
}

/* Whether `text` had an address in it; then `clean` is it without. */
static bool
take_addresses(struct text *clean, struct span text)
{
	size_t from = 0, done = 0;
	enum pii kind;
	struct span what;

	while ((kind = pii_find(text, &from, &what)) != PII_NONE) {
		text_add(clean, text.at + done,
		    (size_t)(what.at - text.at) - done);
		text_str(clean, kind == PII_EMAIL ? "[email]" : "[ip]");
		done = from;
	}
	if (done > 0)
		text_add(clean, text.at + done, text.len - done);
	return done > 0;
}

/* Once: addresses, or if there are none names. */
static bool
take_some(const struct walk *w, struct text *clean, struct span text,
    enum redact_rule rule)
{
	return take_addresses(clean, text) || (w->again &&
	    w->names->count > 0 && person_names_replace(w->names, clean, text,
	    rule == REDACT_PROGRAM));
}

/* Whether `text` had anything in it that goes; then `clean` is it without.
 * What has gone may uncover something beside it, which would go if all were
 * redacted again: it goes now. Who makes that an endless work is left none of
 * the text. */
static bool
take_out(const struct walk *w, struct text *clean, struct span text,
    enum redact_rule rule)
{
	struct text next = { 0 };
	int rounds;

	for (rounds = 0; rounds < ROUNDS &&
	    take_some(w, &next, text, rule); rounds++) {
		text_release(clean);
		*clean = next;
		if (clean->broken)
			return true;
		text = text_view(clean);
		next = (struct text){ 0 };
	}
	clean->broken |= next.broken;
	if (rounds == ROUNDS) {
		clean->len = 0;
		text_str(clean, "[removed]");
	}
	return rounds > 0;
}

static bool
holds_address(struct span text, struct span who)
{
	struct span what;
	size_t from = 0;

	while (pii_find(text, &from, &what) != PII_NONE)
		if (pii_same(what, who))
			return true;
	return false;
}

/* Whether this text, so to be dealt with, names the person. */
static bool
tells(const struct walk *w, struct span text, enum redact_rule rule)
{
	const char *colon;

	if (w->address)
		return holds_address(text, w->who);
	if (pii_same(text, w->who))
		return rule == REDACT_CALLED || redact_rule_drops(rule) ||
		    rule == REDACT_USER || rule == REDACT_ID;
	if (rule != REDACT_USER || text.len == 0 ||
	    (colon = memchr(text.at, ':', text.len)) == NULL)
		return false;
	colon++;
	return pii_same((struct span){ colon,
	    text.len - (size_t)(colon - text.at) }, w->who);
}

static bool
is_kept(enum redact_rule rule)
{
	return rule == REDACT_KEEP || rule == REDACT_CALLED;
}

static void
put_string(struct walk *w, struct span raw)
{
	text_str(w->out, "\"");
	text_span(w->out, raw);
	text_str(w->out, "\"");
}

static bool
is_id(struct span text)
{
	return text.len > 3 && memcmp(text.at, "id:", 3) == 0;
}

/* Writes the string as it is, or what is left of it; `text` is what it says. */
static void
put_text(
    struct walk *w, struct span raw, struct span text, enum redact_rule rule)
{
	struct text clean = { 0 };
	struct span cut = text;

	if (rule == REDACT_URL)
		for (cut.len = 0; cut.len < text.len; cut.len++)
			if (text.at[cut.len] == '?' || text.at[cut.len] == '#')
				break;
	if (take_out(w, &clean, cut, rule))
		cut = text_view(&clean);
	/* A tag's value: `id:1`, `ip:...`; what became of the first as well. */
	if (rule == REDACT_USER && (!is_id(text) || !is_id(cut)))
		text_str(w->out, "null");
	else if (clean.len > 0 || cut.len < text.len)
		text_json(w->out, cut);
	else
		put_string(w, raw);
	w->out->broken |= clean.broken;
	text_release(&clean);
}

/* Whether a string goes on as it is, unless somebody wants its text. */
static bool
passes(const struct walk *w, struct span raw, enum redact_rule rule)
{
	if (is_kept(rule))
		return true;
	if (redact_rule_drops(rule))
		return rule != REDACT_NAME;
	return redact_rule_enters(rule) && !may_hold_address(raw) &&
	    !(w->again && w->names->count > 0);
}

/* A string that is next; *says, if it is wanted, is its text. */
static void
string(struct walk *w, enum redact_rule rule, struct text *says)
{
	struct span raw = take_string(w), view;
	struct text text = { 0 };

	if (says == NULL && w->who.at == NULL && passes(w, raw, rule)) {
		put_string(w, raw);
		return;
	}
	w->bad |= !json_string_decode(&text, raw);
	view = text.len > 0 ? text_view(&text) : span_of("");
	w->found |= w->who.at != NULL && tells(w, view, rule);
	if (rule == REDACT_NAME)
		w->learned |= person_names_learn(w->names, view);
	if (redact_rule_drops(rule))
		text_str(w->out, "null");
	else if (is_kept(rule))
		put_string(w, raw);
	else
		put_text(w, raw, view, rule);
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

/* Remembers for the next walk what an object says of itself. */
static void
mark(struct walk *w, size_t object, unsigned marks)
{
	static const char none[64];

	while (w->marks.len <= object && !w->marks.broken)
		text_add(&w->marks, none, sizeof(none));
	if (w->marks.broken)
		w->out->broken = true;
	else
		w->marks.at[object] = (char)marks;
	w->learned = true;
}

struct object {
	enum redact_rule rule;
	unsigned	 marks, seen;	/* marks: remembered */
};

/* The value of a member that says what another one of the object is. */
static void
label(struct walk *w, struct object *o, enum redact_rule rule,
    enum redact_part part)
{
	struct text text = { 0 };

	if (next_is(w, '"')) {
		string(w, rule, &text);
		o->seen |= part == REDACT_PART_NAME ? REDACT_HAS_NAME : 0;
		if (text.len > 0)
			o->seen |= redact_rule_label(o->rule, text_view(&text));
		text_release(&text);
		return;
	}
	/* No text: it may be anything. */
	if (o->rule == REDACT_EVIDENCE && (next_is(w, '{') || next_is(w, '[')))
		o->seen |= REDACT_ENTRY;
	value(w, rule);
}

static void
member(struct walk *w, struct object *o)
{
	struct text text = { 0 };
	struct span name;
	enum redact_part part;
	enum redact_rule rule;

	space(w);
	if (!next_is(w, '"')) {
		w->bad = true;
		return;
	}
	string(w, is_kept(o->rule) ? REDACT_KEEP : REDACT_PROGRAM, &text);
	name = text.len > 0 ? text_view(&text) : span_of("");
	space(w);
	expect(w, ':');
	space(w);
	rule = redact_rule_of_marked(o->marks, o->rule,
	    redact_rule_of_member(o->rule, name, w->depth), name);
	part = redact_rule_enters(o->rule) ? redact_rule_part(name) :
	    REDACT_PART_OTHER;
	if (part == REDACT_PART_NAME || part == REDACT_PART_KEY)
		label(w, o, rule, part);
	else
		value(w, rule);
	space(w);
	o->seen |= part == REDACT_PART_VALUE ? REDACT_HAS_VALUE :
	    part == REDACT_PART_CONTACT ? REDACT_OF_PERSON : 0;
	text_release(&text);
}

/* An element of a list. A pair's first is a text that says what is to be done
 * with the others. Evidence is a pair also if it is no list of lists. */
static void
element(struct walk *w, enum redact_rule *rule, bool pair, bool first)
{
	struct text name = { 0 };

	space(w);
	if (redact_rule_enters(*rule) && !pair && next_is(w, '[')) {
		container(w, *rule, true);
	} else if (redact_rule_enters(*rule) && first && next_is(w, '"') &&
	    (pair || *rule == REDACT_EVIDENCE)) {
		string(w, REDACT_PROGRAM, &name);
		if (name.len > 0)
			*rule = redact_rule_of_pair(*rule, text_view(&name),
			    w->depth);
		text_release(&name);
	} else {
		value(w, *rule);
	}
	space(w);
}

/* An object, or a list, which may be a pair. */
static void
container(struct walk *w, enum redact_rule rule, bool pair)
{
	bool object = next_is(w, '{'), first = true;
	size_t number = w->objects;
	struct object o = { .rule = rule };

	if (object && w->objects++ < w->marks.len)
		o.marks = (unsigned char)w->marks.at[number];
	expect(w, object ? '{' : '[');
	if (++w->depth > JSON_DEPTH)
		w->bad = true;
	space(w);
	while (!w->bad && !next_is(w, object ? '}' : ']')) {
		if (!first)
			expect(w, ',');
		if (object)
			member(w, &o);
		else
			element(w, &rule, pair, first);
		first = false;
	}
	w->depth--;
	expect(w, object ? '}' : ']');
	if (object && (redact_rule_marks(o.rule, o.seen) & ~o.marks) != 0)
		mark(w, number, redact_rule_marks(o.rule, o.seen) | o.marks);
}

/* A number, true, false or null. */
static void
scalar(struct walk *w, enum redact_rule rule)
{
	size_t from = w->i;
	struct span s;

	while (w->i < w->in.len && strchr(",]} \t\r\n", w->in.at[w->i]) == NULL)
		w->i++;
	s = (struct span){ w->in.at + from, w->i - from };
	w->bad |= s.len == 0;
	w->found |= (rule == REDACT_USER || rule == REDACT_ID) &&
	    w->who.at != NULL && pii_same(s, w->who);
	if (rule == REDACT_USER || redact_rule_drops(rule))
		s = span_of("null");
	text_span(w->out, s);
}

static void
value(struct walk *w, enum redact_rule rule)
{
	size_t from;

	space(w);
	from = w->out->len;
	if (next_is(w, '{') || next_is(w, '['))
		container(w, rule, false);
	else if (next_is(w, '"'))
		string(w, rule, NULL);
	else
		scalar(w, rule);
	if (redact_rule_drops(rule) && !w->out->broken) {
		w->out->len = from;
		text_str(w->out, "null");
	}
	space(w);
}

/* From the beginning, until nothing is learned that was not known before: once
 * where there is nothing to learn. The second walk knows all marks, the third
 * the names in what they mark. */
static int
walk(struct walk *w)
{
	size_t start = w->out->len;

	w->names->count = w->names->people = 0;
	do {
		w->i = w->objects = 0;
		w->out->len = start;
		w->learned = false;
		value(w, REDACT_TEXT);
		w->again = true;
		w->bad |= w->i < w->in.len;
	} while (w->learned && !w->bad && !w->out->broken);
	text_release(&w->marks);
	if (w->out->broken)
		return -1;
	return w->bad ? 1 : 0;
}

int
redact(struct text *out, struct span body)
{
	struct person_names names;
	struct walk w = { .in = body, .out = out, .names = &names };

	return walk(&w);
}

void
redact_unreadable(struct text *out, struct span body)
{
	char hash[SIGNATURE_FINGERPRINT_HEX + 1];

	signature_fingerprint(hash, body);
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
		if (pii_same((struct span){ body.at + i, who.len }, who))
			return true;
	return false;
}

int
redact_mentions(struct span body, struct span who)
{
	struct text unused = { 0 };
	struct person_names names;
	struct walk w = { .in = body, .out = &unused, .names = &names,
	    .who = who };
	struct span what;
	size_t from = 0;
	int rc;

	w.address = pii_find(who, &from, &what) != PII_NONE &&
	    what.len == who.len;
	rc = walk(&w);
	text_release(&unused);
	if (rc < 0)
		return -1;
	return w.found || (rc > 0 && holds_bytes(body, who)) ? 1 : 0;
}
