#include "hook/person_names.h"

#include "hook/pii.h"

#define NAME_MIN	3	/* bytes */

/* In a folded text, which has no controls: a name begins; it goes on. */
#define BEGINS		'\1'
#define GOES_ON		'\2'

static bool
small(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
hex(char c)
{
	return digit(c) || (c >= 'a' && c <= 'f');
}

/* ---- folding ---- */

/* A letter of two bytes' small one, which has two bytes as well. */
static unsigned
small_point(unsigned c)
{
	if ((c >= 0xc0 && c <= 0xde && c != 0xd7) ||	/* Latin */
	    (c >= 0x391 && c <= 0x3ab) ||		/* Greek */
	    (c >= 0x410 && c <= 0x42f))			/* Cyrillic */
		return c + 0x20;
	if (c >= 0x400 && c <= 0x40f)
		return c + 0x50;
	if ((c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177))
		return c | 1;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
		return c + (c & 1);
	return c;
}

/* Whether a letter of two bytes begins with this one. Those of U+0080 and a
 * little further are no letters; those of three bytes may be anything. */
static bool
leads_two(char c)
{
	return (unsigned char)c >= 0xc3 && (unsigned char)c <= 0xdf;
}

/* In place: every byte stays where it is. */
static void
fold(char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= ' ' || c == '+') {
			s[i] = ' ';
		} else if (c >= 'A' && c <= 'Z') {
			s[i] = (char)(c - 'A' + 'a');
		} else if (leads_two(s[i]) && i + 1 < len &&
		    (s[i + 1] & 0xc0) == 0x80) {
			unsigned point = small_point((c & 0x1fu) << 6 |
			    ((unsigned char)s[i + 1] & 0x3fu));

			s[i++] = (char)(0xc0 | point >> 6);
			s[i] = (char)(0x80 | (point & 0x3f));
		}
	}
}

/* ---- learning ---- */

static bool
nobody(struct span folded)
{
	static const char *const list[] = { "anonymous", "anonymous user",
	    "customer", "email", "guest", "name", "none", "null", "undefined",
	    "unknown", "unknown user", "user" };
	bool letter = false;

	for (size_t i = 0; i < folded.len; i++)
		letter |= small(folded.at[i]) ||
		    (unsigned char)folded.at[i] >= 0x80;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (span_is(folded, list[i]))
			return true;
	return !letter || folded.len < NAME_MIN;
}

/* How far to go back, from behind each byte of the name. */
static void
prepare(struct person_name *n)
{
	size_t k = 0;

	n->back[0] = 0;
	for (size_t i = 1; i < n->len; i++) {
		while (k > 0 && n->folded[i] != n->folded[k])
			k = n->back[k - 1];
		k += n->folded[i] == n->folded[k];
		n->back[i] = (uint16_t)k;
	}
}

static bool
add(struct person_names *names, const struct person_name *new)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		if (names->list[i].len == new->len &&
		    memcmp(names->list[i].folded, new->folded, new->len) == 0)
			return false;
	for (i = names->count++; i > 0 &&
	    names->list[i - 1].len < new->len; i--)
		names->list[i] = names->list[i - 1];
	names->list[i] = *new;
	prepare(&names->list[i]);
	return true;
}

/* As a URL has it: with all but the plainest bytes as %xx. */
static void
encode(struct person_name *n, struct span s)
{
	static const char digits[] = "0123456789abcdef";

	n->len = 0;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (small((char)(c | 0x20)) || digit(s.at[i]) ||
		    memchr("-._~", c, 4) != NULL) {
			n->folded[n->len++] = s.at[i];
		} else {
			n->folded[n->len++] = '%';
			n->folded[n->len++] = digits[c >> 4];
			n->folded[n->len++] = digits[c & 15];
		}
	}
	fold(n->folded, n->len);
}

/* What a name neither begins nor ends with: spaces, quotes, brackets. */
static bool
around(char c)
{
	return (unsigned char)c < 0x80 && !small((char)(c | 0x20)) &&
	    !digit(c);
}

static bool
learn_whole(struct person_names *names, struct span s)
{
	struct person_name n = { .len = 0 };

	while (s.len > 0 && around(s.at[0])) {
		s.at++;
		s.len--;
	}
	if (s.len > PERSON_NAME_BYTES)
		for (s.len = PERSON_NAME_BYTES; s.len > 0 &&
		    (unsigned char)s.at[s.len] > ' '; s.len--)
			;
	while (s.len > 0 && around(s.at[s.len - 1]))
		s.len--;
	if (s.len < NAME_MIN || names->people == PERSON_NAMES_MAX)
		return false;
	memcpy(n.folded, s.at, n.len = s.len);
	fold(n.folded, n.len);
	if (nobody((struct span){ n.folded, n.len }))
		return false;
	n.words = memchr(n.folded, ' ', n.len) != NULL;
	if (!add(names, &n))
		return false;
	names->people++;
	encode(&n, s);
	add(names, &n);
	return true;
}

bool
person_names_learn(struct person_names *names, struct span text)
{
	size_t from = 0, done = 0;
	struct span what;
	bool new = false;

	while (pii_find(text, &from, &what) != PII_NONE) {
		new |= learn_whole(names, (struct span){ text.at + done,
		    (size_t)(what.at - text.at) - done });
		done = from;
	}
	return learn_whole(names, (struct span){ text.at + done,
	    text.len - done }) || new;
}

/* ---- taking out ---- */

/* Whether a word's character ends before `i`. What a URL writes %20, or in
 * any such way, is none. */
static bool
word_before(const char *s, size_t i)
{
	if (i == 0 || (i > 2 && s[i - 3] == '%' && hex(s[i - 2]) &&
	    hex(s[i - 1])))
		return false;
	if ((unsigned char)s[i - 1] >= 0x80)
		return i > 1 && leads_two(s[i - 2]);
	return small(s[i - 1]) || digit(s[i - 1]) || s[i - 1] == '_';
}

static bool
word_at(struct span s, size_t i)
{
	return i < s.len && (small(s.at[i]) || digit(s.at[i]) ||
	    s.at[i] == '_' || leads_two(s.at[i]));
}

/* Whether what stands from `i` up to `end` is no part of a longer word. A
 * character of three bytes or more needs nothing around it: in the scripts
 * that have no spaces nothing is. */
static bool
whole(struct span s, size_t i, size_t end)
{
	size_t last = end - 1;

	while (last > i && (s.at[last] & 0xc0) == 0x80)
		last--;
	return ((unsigned char)s.at[i] >= 0xe0 || !word_before(s.at, i)) &&
	    ((unsigned char)s.at[last] >= 0xe0 || !word_at(s, end));
}

/* Marks the name in a folded text. Whether it was there. */
static bool
mark(struct text *folded, const struct person_name *n)
{
	size_t matched = 0;
	bool found = false;

	for (size_t i = 0; i < folded->len; i++) {
		if (matched == 0) {
			const char *first = memchr(folded->at + i,
			    n->folded[0], folded->len - i);

			if (first == NULL)
				break;
			i = (size_t)(first - folded->at);
		}
		while (matched > 0 && n->folded[matched] != folded->at[i])
			matched = n->back[matched - 1];
		matched += n->folded[matched] == folded->at[i];
		if (matched < n->len)
			continue;
		if (whole(text_view(folded), i + 1 - n->len, i + 1)) {
			memset(folded->at + i + 1 - n->len, GOES_ON, n->len);
			folded->at[i + 1 - n->len] = BEGINS;
			found = true;
			matched = 0;
		} else {
			matched = n->back[matched - 1];
		}
	}
	return found;
}

/* `text` without what is marked in its folded copy. */
static void
leave_out(struct text *clean, struct span text, struct span folded)
{
	size_t i = 0, run;

	while (i < text.len) {
		for (run = i; i < text.len && folded.at[i] != BEGINS; i++)
			;
		text_add(clean, text.at + run, i - run);
		if (i == text.len)
			break;
		text_str(clean, "[name]");
		for (i++; i < text.len && folded.at[i] == GOES_ON; i++)
			;
	}
}

bool
person_names_replace(const struct person_names *names, struct text *clean,
    struct span text, bool program)
{
	struct text folded = { 0 };
	bool found = false;

	text_span(&folded, text);
	if (!folded.broken)
		fold(folded.at, folded.len);
	for (size_t i = 0; i < names->count && !folded.broken; i++)
		if (names->list[i].words || !program)
			found |= mark(&folded, &names->list[i]);
	if (found)
		leave_out(clean, text, text_view(&folded));
	clean->broken |= folded.broken;
	text_release(&folded);
	return found;
}
