#include <stdlib.h>

#include "base/json.h"
#include "../support/tap.h"

#define ROW(s)	{ s, sizeof(s) - 1 }

static const struct span good[] = {
	ROW("{}"), ROW(" \t\r\n{ } \n"), ROW("{\"a\":[1,-2.5e3,true,null]}"),
	ROW("{\"a\":\"N'I.\"}"), ROW("{\"a\":\"\\\"N\"}"),
	ROW("{\"a\":\"\xf0\x9f\x98\x80\"}"), ROW("{\"a\":\"\\ud800\"}"),
	ROW("{\"caf\xc3\xa9\":\"caf\xc3\xa9\"}"), ROW("{\"a\":\"\\/\\u00Ff\"}"),
	ROW("{\"\":{},\"b\" : [ ] ,\"c\":[[],{ },\"\",false]}"),
	ROW("{\"a\":[0,-0,0.0,1E+5,1e-5,18446744073709551616]}"),
}, bad[] = {
	ROW(""), ROW("null"), ROW("[]"), ROW("\"a\""), ROW("1"),
	ROW("{"), ROW("{\"a\":1}x"), ROW("{\"a\":1}{}"), ROW("{}\0"),
	ROW("{\"a\":NaN}"), ROW("{\"a\":Infinity}"), ROW("{\"a\":-Infinity}"),
	ROW("{'a':1}"), ROW("{\"a\":1.}"), ROW("{\"a\":.5}"), ROW("{\"a\":01}"),
	ROW("{\"a\":+1}"), ROW("{\"a\":1,}"), ROW("{a:1}"), ROW("/**/{}"),
	ROW("{\"a\":\"\n\"}"), ROW("{\"a\":\"\0\"}"), ROW("\xef\xbb\xbf{}"),
	ROW("{\"a\":\"\xff\"}"), ROW("{\"a\":\"\xc0\x80\"}"),
	ROW("{\"a\":\"\xed\xa0\x80\"}"), ROW("{\"a\":\"\xe2\x82\"}"),
	ROW("{\"a\":\"\xf4\x90\x80\x80\"}"), ROW("{\"a\":\"\\x\"}"),
	ROW("{\"a\":-01}"), ROW("{\"a\":-.5}"), ROW("{\"a\":01.5}"),
	ROW("{\"a\":01e2}"), ROW("{\"a\":-}"), ROW("{\"a\":1e}"),
	ROW("{\"a\":\"\\"), ROW("{\"a\":TRUE}"), ROW("\v{}"),
	ROW("{\"a\":True}"), ROW("{\"a\":falsE}"), ROW("{\"a\":nUll}"),
	ROW("{\"a\":truex}"), ROW("{\"a\":tru}"), ROW("{\"a\":nan}"),
	ROW("{\"a\":1/**/}"), ROW("{}//"), ROW("//\n{}"), ROW("{} x"),
	ROW("{} \0"), ROW("{}\xc2\xa0"), ROW("{}\f"), ROW("{\0}"),
	ROW("{\"a\":[1,]}"), ROW("{\"a\":[,1]}"), ROW("{\"a\":[1,,1]}"),
	ROW("{\"a\":[1 1]}"), ROW("{\"a\":[1}"), ROW("{\"a\":[1}]"),
	ROW("{\"a\":1]"), ROW("{]"), ROW("{\"a\":[}}"), ROW("{\"a\":1}}"),
	ROW("{\"a\":[\"b\":1]}"), ROW("{,}"), ROW("{\"a\"}"), ROW("{\"a\",1}"),
	ROW("{\"a\" 1}"), ROW("{\"a\":}"), ROW("{:1}"), ROW("{1:1}"),
	ROW("{\"a\":1 \"b\":1}"), ROW("{\"a\":1,,\"b\":1}"),
	ROW("{\"a\"::1}"), ROW("{\"a\":1:1}"), ROW("{{}:1}"),
	ROW("{\"\xff\":1}"), ROW("{\"\n\":1}"), ROW("{\"\\a\":1}"),
	ROW("{\"a\":\"\\u12g4\"}"), ROW("{\"a\":\"\\u123\"}"),
	ROW("{\"a\":\"\\U1234\"}"), ROW("{\"a\":\"\\ud83d\\ude0\"}"),
	ROW("{\"a\":\"\\\0\"}"), ROW("{\"a\":'b'}"), ROW("{\"a\":1.e1}"),
	ROW("{\"a\":00}"), ROW("{\"a\":--1}"), ROW("{\"a\":1-}"),
	ROW("{\"a\":1e+}"), ROW("{\"a\":0x1}"), ROW("{\"a\":1..0}"),
	ROW("{\"a\":123456789012345678901234567890.}"),
};

static void
reads(void)
{
	struct json root;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ok(json_open(&root, good[i]) == 0, "good row %zu is read", i);
		json_close(&root);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ok(json_open(&root, bad[i]) == 1, "bad row %zu is refused", i);
		json_close(&root);
	}
}

/* Each byte at each place of a string: some are looked at eight at once. */
static void
reads_every_byte(void)
{
	char bytes[] = "{\"\":\"aaaaaaaaaaaaaaaaaa\"}";
	unsigned wrong = 0;

	for (int at = 5; at < 23; at++) {
		for (int c = 0; c < 256; c++) {
			bool want = c >= 0x20 && c < 0x80 && c != '"' &&
			    c != '\\';
			struct json root;

			memset(bytes + 5, 'a', 18);
			bytes[at] = (char)c;
			wrong += (json_open(&root, (struct span){ bytes,
			    sizeof(bytes) - 1 }) == 0) != want;
			json_close(&root);
		}
	}
	ok(wrong == 0, "what may stand in a string (%u mistakes)", wrong);
}

/* What is cut is refused, wherever that is, without a look behind its end. */
static void
reads_all_or_nothing(void)
{
	static const char whole[] = "{\"a\":[true,false,null,\"\xf0\x9f\x98"
	    "\x80\\ud836\\udc00\\n\"],\"\\ud83d\\ude00\":{\"b\":-12.50e+3,"
	    "\"c\":-123456789012345678901}}";
	size_t n = sizeof(whole) - 1, taken = 0;

	for (size_t len = 0; len <= n; len++) {
		char *copy = malloc(len + 1);
		struct json root;

		if (copy == NULL)
			abort();
		memcpy(copy + 1, whole, len);
		taken += json_open(&root, (struct span){ copy + 1, len }) == 0 ?
		    len : 0;
		json_close(&root);
		free(copy);
	}
	ok(taken == n, "a document that is cut is refused, wherever");
}

/* The innermost one is not empty. */
static void
depth(size_t levels, int want)
{
	struct text t = { 0 };
	struct json root;

	text_str(&t, "{\"a\":");
	for (size_t i = 1; i < levels; i++)
		text_str(&t, "[");
	text_str(&t, "1");
	for (size_t i = 1; i < levels; i++)
		text_str(&t, "]");
	text_str(&t, "}");
	ok(json_open(&root, text_view(&t)) == want, "depth %zu is %s", levels,
	    want == 0 ? "read" : "refused");
	json_close(&root);
	text_release(&t);
}

static void
scalars(void)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "int", "4509372106539008" },
		{ "max", "18446744073709551615" },
		{ "neg", "-9223372036854775808" }, { "one", "1" },
		{ "half", "0.5" }, { "exp", "1000" }, { "zero", "0" },
		{ "big", "1e+22" }, { "tail", "1.5" },
		{ "over", "18446744073709551616" },
		{ "under", "-9223372036854775809" },
		{ "long", "123456789012345678901234567890" },
		{ "nanos", "1767225600123456789" }, { "minus", "0" },
		{ "t", "true" }, { "f", "false" },
		{ "s", "text" }, { "twice", "last" }, { "null", NULL },
		{ "arr", NULL }, { "obj", NULL }, { "missing", NULL },
	};
	struct json root;

	ok(json_open(&root, span_of("{\"int\":4509372106539008,"
	    "\"max\":18446744073709551615,\"neg\":-9223372036854775808,"
	    "\"one\":1.0,\"half\":0.5,\"exp\":1e3,\"zero\":-0.0,"
	    "\"big\":1e+22,\"over\":18446744073709551616,"
	    "\"under\":-9223372036854775809,\"nanos\":1767225600123456789,"
	    "\"long\":123456789012345678901234567890,\"minus\":-0,"
	    "\"tail\":1.50,\"t\":true,\"f\":false,\"s\":\"text\","
	    "\"twice\":1,\"twice\":\"last\",\"null\":null,\"arr\":[1],"
	    "\"obj\":{}}")) == 0, "a document of scalars is read");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span s = json_get_scalar(root, rows[i].name);

		ok(rows[i].want == NULL ? s.at == NULL :
		    span_is(s, rows[i].want), "%s prints as %s", rows[i].name,
		    rows[i].want == NULL ? "nothing" : rows[i].want);
	}
	ok(json_get(json_get(root, "missing"), "x").kind == JSON_MISSING,
	    "look-ups chain over what is not there");
	ok(json_at(json_get(root, "arr"), 1).kind == JSON_MISSING,
	    "there is nothing behind an array's end");
	ok(json_nullish(json_get(root, "null")) &&
	    !json_nullish(json_get(root, "f")), "null is nullish, false not");
	ok(json_get(root, "long").kind == JSON_INT &&
	    span_is(json_source(json_get(root, "long")),
	    "123456789012345678901234567890") &&
	    json_truthy(json_get(root, "long")),
	    "an integer of many digits is one");
	ok(!json_truthy(json_get(root, "zero")) &&
	    json_truthy(json_get(root, "half")) &&
	    json_truthy(json_get(root, "obj")), "truth is JavaScript's");
	json_close(&root);
}

static void
writes(void)
{
	static const char *const want[JSON_STYLES] = {
		[JSON_COMPACT_ASCII] = "{\"a\":[1,2.0,"
		    "\"\\u00e9\\ud83d\\ude00\\ud836\\udc00\","
		    "-10000000000000000000000],\"b\":null}",
		[JSON_COMPACT_UTF8] = "{\"a\":[1,2,"
		    "\"\xc3\xa9\xf0\x9f\x98\x80\xf0\x9d\xa0\x80\","
		    "-10000000000000000000000],\"b\":null}",
		[JSON_SPACED_ASCII] = "{\"a\": [1, 2.0, \"\\u00e9\\ud83d\\ude00"
		    "\\ud836\\udc00\", -10000000000000000000000], \"b\": null}",
	};
	struct json root;

	if (json_open(&root, span_of("{ \"a\": [1,2.0,\"\xc3\xa9\\ud83d\\ude00"
	    "\\ud836\\udc00\",-10000000000000000000000],\n\"b\":null}")) != 0)
		abort();
	for (int i = 0; i < JSON_STYLES; i++) {
		struct text t = { 0 };

		json_write(&t, root, (enum json_style)i);
		ok(span_is(text_view(&t), want[i]), "style %d is written", i);
		text_release(&t);
	}
	json_close(&root);
}

/* The character, as Sentry escapes it, between other escapes. */
static bool
comes_back(uint32_t c)
{
	struct text t = { 0 }, want = { 0 };
	const char utf8[] = { (char)(0xf0 | c >> 18),
	    (char)(0x80 | (c >> 12 & 0x3f)), (char)(0x80 | (c >> 6 & 0x3f)),
	    (char)(0x80 | (c & 0x3f)) };
	char pair[16];
	struct json root;
	struct span s;
	bool back;

	snprintf(pair, sizeof(pair), "\\u%04x\\u%04X",
	    0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
	text_str(&t, "{\"a\":\"\\ud9ff");
	text_str(&t, pair);
	text_str(&t, pair);
	text_str(&t, "\\\\u\\udc00\"}");
	text_str(&want, "\xef\xbf\xbd");
	text_add(&want, utf8, sizeof(utf8));
	text_add(&want, utf8, sizeof(utf8));
	text_str(&want, "\\u\xef\xbf\xbd");
	if (json_open(&root, text_view(&t)) != 0)
		return false;
	s = json_string(json_get(root, "a"));
	back = s.len == want.len && memcmp(s.at, want.at, s.len) == 0;
	json_close(&root);
	text_release(&t);
	text_release(&want);
	return back;
}

/* json-c before 0.19 loses those that end in d800 to dfff. Some are tried of
 * each plane, and of what is lost there. */
static void
reads_every_pair(void)
{
	uint32_t c = 0x10000;

	while (c < 0x110000 && comes_back(c))
		c += 61;
	ok(c >= 0x110000, "every surrogate pair becomes its character (%x)",
	    c);
}

int
main(void)
{
	reads();
	reads_every_byte();
	reads_all_or_nothing();
	depth(100, 0);
	depth(128, 0);
	depth(129, 1);
	depth(100000, 1);
	scalars();
	writes();
	reads_every_pair();
	return tap_done();
}
