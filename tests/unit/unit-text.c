#include <math.h>

#include "../support/tap.h"
#include "base/text.h"

static void
escapes(void)
{
	static const struct {
		const char	*in, *out, *says;
		size_t		 len;
	} rows[] = {
		{ "abc", "\"abc\"", "plain text", 3 },
		{ "", "\"\"", "no text", 0 },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"", "quotes and backslashes", 5 },
		{ "\b\t\n\f\r", "\"\\b\\t\\n\\f\\r\"", "named controls", 5 },
		{ "\0\x01\x1f", "\"\\u0000\\u0001\\u001f\"", "other controls, "
		    "NUL among them", 3 },
		{ "/\x7f\xc3\xa9", "\"/\x7f\xc3\xa9\"", "slash, DEL and UTF-8 "
		    "as they are", 4 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text t = { 0 };

		text_json(&t, (struct span){ rows[i].in, rows[i].len });
		ok(span_is(text_view(&t), rows[i].out),
		    "JSON.stringify's form of %s", rows[i].says);
		text_release(&t);
	}
}

static void
numbers(void)
{
	static const struct {
		double		 in;
		const char	*out;
	} rows[] = {
		{ 0.0, "0" }, { -0.0, "0" }, { 1.0, "1" }, { -1.5, "-1.5" },
		{ 100.0, "100" }, { 0.1, "0.1" }, { 0.1 + 0.2,
		    "0.30000000000000004" }, { 1e-6, "0.000001" },
		{ 1.5e-7, "1.5e-7" }, { 1e21, "1e+21" },
		{ 123456789012345678901.0, "123456789012345680000" },
		{ 9007199254740993.0, "9007199254740992" },
		{ 5e-324, "5e-324" }, { -HUGE_VAL, "-Infinity" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text t = { 0 };

		text_number(&t, rows[i].in);
		ok(span_is(text_view(&t), rows[i].out),
		    "a number is printed as %s", rows[i].out);
		text_release(&t);
	}
}

static void
cuts(void)
{
	/* "a", e-acute, euro, an emoji: 1, 2, 3 and 4 bytes. */
	struct span s = span_of("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");

	ok(text_fit_bytes(s, 10) == 10, "what fits to the byte is whole");
	ok(text_fit_bytes(s, 9) == 6, "one byte less cuts before the emoji");
	ok(text_fit_bytes(s, 8) == 3, "the ellipsis needs three bytes");
	ok(text_fit_bytes(s, 5) == 1, "a cut never splits a character");
	ok(text_fit_bytes(s, 3) == 0, "only the ellipsis may be left");
	ok(text_fit_points(s, 4) == 10, "what fits to the character is whole");
	ok(text_fit_points(s, 3) == 3, "two characters and the ellipsis");
	ok(text_fit_points(s, 1) == 0, "no character and the ellipsis");
}

static void
grows(void)
{
	struct text t = { 0 };
	char block[1000];

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 100; i++)
		text_add(&t, block, sizeof(block));
	text_int(&t, INT64_MIN);
	ok(!t.broken && t.len == 100020 &&
	    memcmp(t.at + 100000, "-9223372036854775808", 20) == 0,
	    "a text grows and holds all that was added");
	text_add(&t, block, SIZE_MAX / 2);
	ok(t.broken && t.len == 100020, "what cannot be held breaks the text");
	text_str(&t, "y");
	ok(t.len == 100020, "a broken text takes nothing more");
	text_release(&t);
	ok(t.at == NULL && !t.broken, "a released text is as new");
}

static void
splits(void)
{
	struct span list = span_of(" a,b\t\n,,c d,"), lines = span_of("a\n\nb");
	struct span blanks = span_of("a,b c");

	ok(span_is(span_take_word(&list, ','), "a") &&
	    span_is(span_take_word(&list, ','), "b") &&
	    span_is(span_take_word(&list, ','), "c") &&
	    span_is(span_take_word(&list, ','), "d") &&
	    span_take_word(&list, ',').len == 0 && list.len == 0,
	    "words are taken off between white space and commas");
	ok(span_is(span_take_word(&blanks, ' '), "a,b") &&
	    span_is(span_take_word(&blanks, ' '), "c") && blanks.len == 0,
	    "or white space alone");
	ok(span_is(span_take_line(&lines), "a") &&
	    span_is(span_take_line(&lines), "") &&
	    span_is(span_take_line(&lines), "b") && lines.len == 0,
	    "lines are taken off, the last one without a newline too");
	ok(span_is(span_trimmed(span_of(" \r\n\ta b\t")), "a b") &&
	    span_trimmed(span_of(" \n")).len == 0,
	    "white space around a text is trimmed");
}

int
main(void)
{
	splits();
	escapes();
	numbers();
	cuts();
	grows();
	return tap_done();
}
