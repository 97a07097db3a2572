/* The walk over a body that redact() and redact_mentions() share. It copies
 * JSON byte by byte, and lets each value's place decide (redact_rule.h) what
 * becomes of it:
 *
 *  1. walk_body()       the whole body, again until nothing new is learned;
 *  2. walk_value()      one value, after its kind:
 *  3. walk_container()  an object or list: walk_member(), walk_element();
 *  4. walk_label()      a member that says what its neighbours are;
 *  5. walk_string()     a text: put_text() writes what is left of it
 *                       (redact_text.h), a person is looked for in it
 *                       (person_search.h);
 *  6. walk_scalar()     a number, true, false or null. */
#include "hook/redact.h"

#include "base/json_string.h"
#include "hook/person_names.h"
#include "hook/person_search.h"
#include "hook/redact_rule.h"
#include "hook/redact_text.h"
#include "hook/signature.h"

#define MARKS_STEP	64	/* objects that get memory at once */
#define UNREADABLE	"redacted: "	/* begins what is no JSON any more */

struct walk {
	struct span	 in;
	size_t		 i;		/* of the next byte */
	unsigned	 depth;		/* open objects and lists */
	bool		 bad;		/* not JSON */
	struct text	*out;
	/* What one walk learns, the next one needs from its beginning on:
	 * names, and what each object's members say about the object
	 * (redact_rule_marks()), a byte an object, in the order in which
	 * objects begin. */
	struct person_names	*names;
	struct text	 marks;
	size_t		 objects;	/* begun so far */
	bool		 learned;	/* something, on this walk */
	bool		 again;		/* not the first walk */
	struct person_search	*person;	/* looked for, or NULL */
	bool		 found;		/* the person */
};

static void	walk_value(struct walk *, enum redact_rule);
static void	walk_container(struct walk *, enum redact_rule, bool pair);

/* ---- texts ---- */

/* Takes the next string off the walk: what stands between its quotes. Not by
 * json_string_end(): a person is also looked for in a body with bad UTF-8. */
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

/* The names that texts are searched for. All are known from the second walk
 * on. */
static const struct person_names *
known_names(const struct walk *w)
{
	return w->again && w->names->count > 0 ? w->names : NULL;
}

static bool
is_kept(enum redact_rule rule)
{
	return rule == REDACT_KEEP || rule == REDACT_CALLED;
}

static void
put_raw_string(struct walk *w, struct span raw)
{
	text_str(w->out, "\"");
	text_span(w->out, raw);
	text_str(w->out, "\"");
}

/* A tag's value `id:1`. */
static bool
is_id_tag(struct span text)
{
	return text.len > 3 && memcmp(text.at, "id:", 3) == 0;
}

/* Writes a string: as it came (`raw`) if nothing of its text goes, else what is
 * left of the text. */
static void
put_text(struct walk *w, struct span raw, struct span text,
    enum redact_rule rule)
{
	struct text clean = { 0 };
	struct span cut = text;

	if (rule == REDACT_URL)
		for (cut.len = 0; cut.len < text.len; cut.len++)
			if (text.at[cut.len] == '?' || text.at[cut.len] == '#')
				break;
	if (redact_text_clean(&clean, cut, known_names(w), rule))
		cut = text_view(&clean);
	/* Of a user's tag only `id:...` stays, if it still is one now. */
	if (rule == REDACT_USER && (!is_id_tag(text) || !is_id_tag(cut)))
		text_str(w->out, "null");
	else if (clean.len > 0 || cut.len < text.len)
		text_json(w->out, cut);
	else
		put_raw_string(w, raw);
	w->out->broken |= clean.broken;
	text_release(&clean);
}

/* Whether a string is written as it came, without being decoded, unless the
 * caller needs its text. */
static bool
needs_no_text(const struct walk *w, struct span raw, enum redact_rule rule)
{
	if (is_kept(rule))
		return true;
	if (redact_rule_drops(rule))
		return rule != REDACT_NAME;
	return redact_rule_enters(rule) &&
	    !redact_text_may_hold_address(raw) && known_names(w) == NULL;
}

/* The next string. If `says` is not NULL, *says becomes its text. */
static void
walk_string(struct walk *w, enum redact_rule rule, struct text *says)
{
	struct span raw = take_string(w), view;
	struct text text = { 0 };

	if (says == NULL && w->person == NULL && needs_no_text(w, raw, rule)) {
		put_raw_string(w, raw);
		return;
	}
	w->bad |= !json_string_decode(&text, raw);
	view = text.len > 0 ? text_view(&text) : span_of("");
	w->found |= w->person != NULL &&
	    person_search_in_text(w->person, view, rule);
	if (rule == REDACT_NAME)
		w->learned |= person_names_learn(w->names, view);
	if (redact_rule_drops(rule))
		text_str(w->out, "null");
	else if (is_kept(rule))
		put_raw_string(w, raw);
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
walk_space(struct walk *w)
{
	size_t from = w->i;

	while (w->i < w->in.len && span_is_white(w->in.at[w->i]))
		w->i++;
	text_add(w->out, w->in.at + from, w->i - from);
}

static bool
walk_next_is(const struct walk *w, char c)
{
	return !w->bad && w->i < w->in.len && w->in.at[w->i] == c;
}

static void
walk_expect(struct walk *w, char c)
{
	if (!walk_next_is(w, c)) {
		w->bad = true;
		return;
	}
	w->i++;
	text_add(w->out, &c, 1);
}

/* Remembers for the next walk what an object says of itself. Most bodies have
 * no such object, and need no memory for marks. */
static void
remember_marks(struct walk *w, size_t object, unsigned marks)
{
	static const char none[MARKS_STEP];

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

/* The value of a `name`, `key` or `label`. It may say that the object is an
 * entry whose value is personal. */
static void
walk_label(struct walk *w, struct object *o, enum redact_rule rule,
    enum redact_part part)
{
	struct text text = { 0 };

	if (walk_next_is(w, '"')) {
		walk_string(w, rule, &text);
		o->seen |= part == REDACT_PART_NAME ? REDACT_HAS_NAME : 0;
		if (text.len > 0)
			o->seen |= redact_rule_label(o->rule, text_view(&text));
		text_release(&text);
		return;
	}
	/* Not a text: it may be anything, a person's data as well. */
	if (o->rule == REDACT_EVIDENCE &&
	    (walk_next_is(w, '{') || walk_next_is(w, '[')))
		o->seen |= REDACT_ENTRY;
	walk_value(w, rule);
}

static void
walk_member(struct walk *w, struct object *o)
{
	struct text text = { 0 };
	struct span name;
	enum redact_part part;
	enum redact_rule rule;

	walk_space(w);
	if (!walk_next_is(w, '"')) {
		w->bad = true;
		return;
	}
	walk_string(w, is_kept(o->rule) ? REDACT_KEEP : REDACT_PROGRAM, &text);
	name = text.len > 0 ? text_view(&text) : span_of("");
	walk_space(w);
	walk_expect(w, ':');
	walk_space(w);
	rule = redact_rule_of_marked(o->marks, o->rule,
	    redact_rule_of_member(o->rule, name, w->depth), name);
	part = redact_rule_enters(o->rule) ? redact_rule_part(name) :
	    REDACT_PART_OTHER;
	if (part == REDACT_PART_NAME || part == REDACT_PART_KEY)
		walk_label(w, o, rule, part);
	else
		walk_value(w, rule);
	walk_space(w);
	o->seen |= part == REDACT_PART_VALUE ? REDACT_HAS_VALUE :
	    part == REDACT_PART_CONTACT ? REDACT_OF_PERSON : 0;
	text_release(&text);
}

/* An element of a list. In a pair, a list within a list, the first element is a
 * text that changes the rule for the others. A list of evidence itself may be
 * such a pair. */
static void
walk_element(struct walk *w, enum redact_rule *rule, bool pair, bool first)
{
	struct text name = { 0 };

	walk_space(w);
	if (redact_rule_enters(*rule) && !pair && walk_next_is(w, '[')) {
		walk_container(w, *rule, true);
	} else if (redact_rule_enters(*rule) && first && walk_next_is(w, '"') &&
	    (pair || *rule == REDACT_EVIDENCE)) {
		walk_string(w, REDACT_PROGRAM, &name);
		if (name.len > 0)
			*rule = redact_rule_of_pair(*rule, text_view(&name),
			    w->depth);
		text_release(&name);
	} else {
		walk_value(w, *rule);
	}
	walk_space(w);
}

/* An object or a list; `pair` says that the list may be a pair. */
static void
walk_container(struct walk *w, enum redact_rule rule, bool pair)
{
	bool object = walk_next_is(w, '{'), first = true;
	size_t number = w->objects;
	struct object o = { .rule = rule };

	if (object && w->objects++ < w->marks.len)
		o.marks = (unsigned char)w->marks.at[number];
	walk_expect(w, object ? '{' : '[');
	if (++w->depth > JSON_DEPTH)
		w->bad = true;
	walk_space(w);
	while (!w->bad && !walk_next_is(w, object ? '}' : ']')) {
		if (!first)
			walk_expect(w, ',');
		if (object)
			walk_member(w, &o);
		else
			walk_element(w, &rule, pair, first);
		first = false;
	}
	w->depth--;
	walk_expect(w, object ? '}' : ']');
	if (object && (redact_rule_marks(o.rule, o.seen) & ~o.marks) != 0)
		remember_marks(w, number,
		    redact_rule_marks(o.rule, o.seen) | o.marks);
}

/* A number, true, false or null. */
static void
walk_scalar(struct walk *w, enum redact_rule rule)
{
	size_t from = w->i;
	struct span s;

	while (w->i < w->in.len && strchr(",]} \t\r\n", w->in.at[w->i]) == NULL)
		w->i++;
	s = (struct span){ w->in.at + from, w->i - from };
	w->bad |= s.len == 0;
	w->found |= w->person != NULL &&
	    person_search_in_scalar(w->person, s, rule);
	if (rule == REDACT_USER || redact_rule_drops(rule))
		s = span_of("null");
	text_span(w->out, s);
}

static void
walk_value(struct walk *w, enum redact_rule rule)
{
	size_t from;

	walk_space(w);
	from = w->out->len;
	if (walk_next_is(w, '{') || walk_next_is(w, '['))
		walk_container(w, rule, false);
	else if (walk_next_is(w, '"'))
		walk_string(w, rule, NULL);
	else
		walk_scalar(w, rule);
	if (redact_rule_drops(rule) && !w->out->broken) {
		w->out->len = from;
		text_str(w->out, "null");
	}
	walk_space(w);
}

/* Walks until nothing new is learned: once where there is nothing to learn. The
 * second walk knows all marks, the third the names in what they mark. Returns
 * 0, 1 if the body is not JSON, -1 without memory. */
static int
walk_body(struct walk *w)
{
	size_t start = w->out->len;

	w->names->count = w->names->people = 0;
	do {
		w->i = w->objects = 0;
		w->out->len = start;
		w->learned = false;
		walk_value(w, REDACT_TEXT);
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

	return walk_body(&w);
}

bool
redact_is_unreadable(struct span kept)
{
	size_t n = sizeof(UNREADABLE) - 1;

	return kept.len > n && memcmp(kept.at, UNREADABLE, n) == 0;
}

void
redact_unreadable(struct text *out, struct span body)
{
	char hash[SIGNATURE_FINGERPRINT_HEX + 1];

	signature_fingerprint(hash, body);
	text_str(out, UNREADABLE);
	text_int(out, (int64_t)body.len);
	text_str(out, " bytes that are not JSON, sha256 ");
	text_str(out, hash);
	text_str(out, "...\n");
}

int
redact_mentions(struct span body, struct span who)
{
	struct text unused = { 0 };
	struct person_names names;
	struct person_search person = person_search_of(who);
	struct walk w = { .in = body, .out = &unused, .names = &names,
	    .person = &person };
	int rc = walk_body(&w);

	text_release(&unused);
	w.found |= rc > 0 && person_search_in_bytes(&person, body);
	return rc < 0 || person.broken ? -1 : w.found;
}
