/* Two readers of JSON: ours over json-c, and SQLite's. They agree, but for
 * the differences that are named here. */
#include "fuzz.h"
#include "base/json.h"

/* Of what SQLite takes for JSON. */
struct shape {
	unsigned	depth;		/* of the deepest nesting */
	/* An array or an object stands where a name has to, as {{"":""}:""}:
	 * some versions of SQLite look at the last thing in it alone. */
	bool		odd_name;
};

static struct shape
shape_of(struct span s)
{
	struct shape shape = { 0 };
	unsigned depth = 0;
	bool string = false;
	char before = '\0';

	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (string && c == '\\')
			i++;
		else if (c == '"')
			string = !string;
		else if (!string && (c == '{' || c == '['))
			shape.depth = ++depth > shape.depth ? depth :
			    shape.depth;
		else if (!string && (c == '}' || c == ']'))
			depth--;
		else if (!string && c == ':')
			shape.odd_name |= before == '}' || before == ']';
		if (strchr(" \t\r\n", c) == NULL)
			before = c;
	}
	return shape;
}

/* Why we do not take what SQLite takes: it stops at a NUL, takes any value
 * for a document, goes deeper, does not look into UTF-8, nor at every name. */
static bool
explained(struct span s)
{
	struct shape shape = shape_of(s);
	size_t i = 0;

	if (s.len == 0 || memchr(s.at, '\0', s.len) != NULL)
		return true;
	while (i < s.len && memchr(" \t\r\n", s.at[i], 4) != NULL)
		i++;
	return i == s.len || s.at[i] != '{' || shape.depth > JSON_DEPTH ||
	    fuzz_points(s) < 0 || shape.odd_name;
}

static bool
same(const struct text *a, const struct text *b)
{
	return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

/* What we write is JSON, whichever way, and the same document; ASCII, as
 * Sentry would have written it. */
static void
writes(struct json root, enum json_style style)
{
	struct text first = { 0 }, styled = { 0 }, again = { 0 };
	struct json copy;

	json_write(&styled, root, style);
	json_write(&first, root, JSON_COMPACT_UTF8);
	claim(fuzz_json_valid(text_view(&styled)));
	claim(json_open(&copy, text_view(&styled)) == 0);
	json_write(&again, copy, JSON_COMPACT_UTF8);
	claim(same(&again, &first));
	claim(style == JSON_COMPACT_UTF8 ||
	    fuzz_points(text_view(&styled)) == (long)styled.len);
	json_close(&copy);
	text_release(&first);
	text_release(&styled);
	text_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span s = { (const char *)data, size };
	struct json root;
	bool ours = json_open(&root, s) == 0, theirs = fuzz_json_valid(s);

	claim(!ours || theirs);
	claim(ours || !theirs || explained(s));
	for (int i = 0; ours && i < JSON_STYLES; i++)
		writes(root, (enum json_style)i);
	json_close(&root);
	return 0;
}
