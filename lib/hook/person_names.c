/* Names and the texts they are looked for in are compared folded: in small
 * letters, with a space for every white space and plus.
 *
 *  1. person_names_learn()    takes the addresses out of a text that is a
 *                             name, and learns the pieces: learn_name();
 *  2. person_names_replace()  folds a text, marks each name in the folded
 *                             copy (mark_name()), and writes the text anew
 *                             with what is marked left out. */
#include "hook/person_names.h"

#include "base/ascii.h"
#include "hook/pii.h"

#define NAME_MIN	3	/* bytes of a name */

/* Marks in a folded text, which has no control characters. */
#define MARK_FIRST	'\1'	/* a name's first byte */
#define MARK_REST	'\2'	/* its other bytes */

/* ---- folding ---- */

/* The small letter of a letter that UTF-8 writes with two bytes. The small one
 * has two bytes as well. */
static unsigned
small_letter(unsigned c)
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

/* Whether this is the first byte of a letter of two bytes. What begins with
 * 0xc2 (U+0080 to U+00BF) is no letter. */
static bool
leads_two_bytes(char c)
{
	return (unsigned char)c >= 0xc3 && (unsigned char)c <= 0xdf;
}

/* Folds in place: what is at a place in the text stays at that place. */
static void
fold_text(char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= ' ' || c == '+') {
			s[i] = ' ';
		} else if (c >= 'A' && c <= 'Z') {
			s[i] = (char)(c - 'A' + 'a');
		} else if (leads_two_bytes(s[i]) && i + 1 < len &&
		    (s[i + 1] & 0xc0) == 0x80) {
			unsigned point = small_letter((c & 0x1fu) << 6 |
			    ((unsigned char)s[i + 1] & 0x3fu));

			s[i++] = (char)(0xc0 | point >> 6);
			s[i] = (char)(0x80 | (point & 0x3f));
		}
	}
}

/* ---- learning ---- */

static bool
is_nobody(struct span folded)
{
	static const char *const list[] = { "anonymous", "anonymous user",
	    "customer", "email", "guest", "name", "none", "null", "undefined",
	    "unknown", "unknown user", "user" };
	bool letter = false;

	for (size_t i = 0; i < folded.len; i++)
		letter |= ascii_is_letter(folded.at[i]) ||
		    (unsigned char)folded.at[i] >= 0x80;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (span_is(folded, list[i]))
			return true;
	return !letter || folded.len < NAME_MIN;
}

/* Fills in `back`: how many bytes of the name still match where the next byte
 * does not. */
static void
set_back(struct person_name *n)
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
person_names_add(struct person_names *names, const struct person_name *new)
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
	set_back(&names->list[i]);
	return true;
}

/* The name as a URL has it: all but the unreserved characters of RFC 3986 as
 * %xx. */
static void
encode_for_url(struct person_name *n, struct span s)
{
	static const char digits[] = "0123456789abcdef";

	n->len = 0;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (ascii_is_letter(s.at[i]) || ascii_is_digit(s.at[i]) ||
		    memchr("-._~", c, 4) != NULL) {
			n->folded[n->len++] = s.at[i];
		} else {
			n->folded[n->len++] = '%';
			n->folded[n->len++] = digits[c >> 4];
			n->folded[n->len++] = digits[c & 15];
		}
	}
	fold_text(n->folded, n->len);
}

/* Whether no name begins or ends with this: spaces, quotes, brackets. */
static bool
is_edge(char c)
{
	return (unsigned char)c < 0x80 && !ascii_is_letter(c) &&
	    !ascii_is_digit(c);
}

static bool
learn_name(struct person_names *names, struct span s)
{
	struct person_name n = { .len = 0 };

	while (s.len > 0 && is_edge(s.at[0]))
		s = span_behind(s, 1);
	if (s.len > PERSON_NAME_BYTES)
		for (s.len = PERSON_NAME_BYTES; s.len > 0 &&
		    (unsigned char)s.at[s.len] > ' '; s.len--)
			;
	while (s.len > 0 && is_edge(s.at[s.len - 1]))
		s.len--;
	if (s.len < NAME_MIN || names->people == PERSON_NAMES_MAX)
		return false;
	memcpy(n.folded, s.at, n.len = s.len);
	fold_text(n.folded, n.len);
	if (is_nobody((struct span){ n.folded, n.len }))
		return false;
	n.words = memchr(n.folded, ' ', n.len) != NULL;
	if (!person_names_add(names, &n))
		return false;
	names->people++;
	encode_for_url(&n, s);
	person_names_add(names, &n);
	return true;
}

bool
person_names_learn(struct person_names *names, struct span text)
{
	size_t from = 0, done = 0;
	struct span what;
	bool new = false;

	while (pii_find(text, &from, &what) != PII_NONE) {
		new |= learn_name(names, (struct span){ text.at + done,
		    (size_t)(what.at - text.at) - done });
		done = from;
	}
	return learn_name(names, (struct span){ text.at + done,
	    text.len - done }) || new;
}

/* ---- replacing ---- */

static bool
is_word_byte(char folded)
{
	return ascii_is_letter(folded) || ascii_is_digit(folded) ||
	    folded == '_';
}

/* Whether the character before `i` belongs to a word. An escape of a URL, as
 * %20, does not. */
static bool
is_word_before(const char *s, size_t i)
{
	if (i == 0 || (i > 2 && s[i - 3] == '%' &&
	    ascii_hex_value(s[i - 2]) >= 0 && ascii_hex_value(s[i - 1]) >= 0))
		return false;
	if ((unsigned char)s[i - 1] >= 0x80)
		return i > 1 && leads_two_bytes(s[i - 2]);
	return is_word_byte(s[i - 1]);
}

static bool
is_word_at(struct span s, size_t i)
{
	return i < s.len && (is_word_byte(s.at[i]) || leads_two_bytes(s.at[i]));
}

/* Whether the bytes from `i` up to `end` are no part of a longer word. At an
 * edge with a character of three bytes or more that is not asked: scripts with
 * such characters may have no spaces between words. */
static bool
is_whole_word(struct span s, size_t i, size_t end)
{
	size_t last = end - 1;

	while (last > i && (s.at[last] & 0xc0) == 0x80)
		last--;
	return ((unsigned char)s.at[i] >= 0xe0 || !is_word_before(s.at, i)) &&
	    ((unsigned char)s.at[last] >= 0xe0 || !is_word_at(s, end));
}

/* Marks the name wherever it is in a folded text. Whether it was there. */
static bool
mark_name(struct text *folded, const struct person_name *n)
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
		if (is_whole_word(text_view(folded), i + 1 - n->len, i + 1)) {
			memset(folded->at + i + 1 - n->len, MARK_REST, n->len);
			folded->at[i + 1 - n->len] = MARK_FIRST;
			found = true;
			matched = 0;
		} else {
			matched = n->back[matched - 1];
		}
	}
	return found;
}

/* Appends `text` with [name] in the place of each marked name. */
static void
leave_out_names(struct text *clean, struct span text, struct span folded)
{
	size_t i = 0, run;

	while (i < text.len) {
		for (run = i; i < text.len && folded.at[i] != MARK_FIRST; i++)
			;
		text_add(clean, text.at + run, i - run);
		if (i == text.len)
			break;
		text_str(clean, "[name]");
		for (i++; i < text.len && folded.at[i] == MARK_REST; i++)
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
		fold_text(folded.at, folded.len);
	for (size_t i = 0; i < names->count && !folded.broken; i++)
		if (names->list[i].words || !program)
			found |= mark_name(&folded, &names->list[i]);
	if (found)
		leave_out_names(clean, text, text_view(&folded));
	clean->broken |= folded.broken;
	text_release(&folded);
	return found;
}
