#include <stdlib.h>

#include "hook/pii.h"
#include "hook/redact.h"
#include "hook/signature.h"
#include "../support/tap.h"

/* What is left of a text, in its place in an event. */
static bool
becomes(const char *body, const char *want, int status)
{
	struct text out = { 0 }, again = { 0 };
	int rc = redact(&out, span_of(body));
	bool good = rc == status;

	if (good && rc == 0)
		good = out.len == strlen(want) &&
		    memcmp(out.at, want, out.len) == 0 &&
		    redact(&again, text_view(&out)) == 0 &&
		    again.len == out.len &&
		    memcmp(again.at, out.at, out.len) == 0;
	if (!good)
		printf("# %d: %.*s\n", rc, (int)out.len, out.at);
	text_release(&out);
	text_release(&again);
	return good;
}

static void
addresses(void)
{
	static const struct {
		const char *text, *want, *what;
	} rows[] = {
		{ "a@b.io", "[email]", "an e-mail address" },
		{ "<a.b+c@d-e.f.org>.", "<[email]>.", "one between brackets" },
		{ "o'brien@x.ie 'a@b.io'", "[email] '[email]'",
		    "a quote in a name, and quotes around one" },
		{ "x?m=a%40b.io&n", "x?m=[email]&n", "one as URLs write it" },
		{ "\\u00e9ve@caf\\u00e9.fr", "[email]", "one with accents" },
		{ "a@xn--p1ai.xn--p1ai", "[email]", "one of ASCII's kind" },
		{ "\\u0061\\u0040b.io\\n", "[email]\\n",
		    "one that hides behind escapes" },
		{ "\\na@b.io", "\\n[email]", "one behind an escape" },
		{ "a@b.io,c@d.io", "[email],[email]", "two of them" },
		{ "10.0.0.1:80 v1.2.3.4/24", "[ip]:80 v[ip]/24", "IPv4" },
		{ "from 1.2.3.4.", "from [ip].", "IPv4 before a full stop" },
		{ "::1 [2001:DB8::7]:80", "[ip] [[ip]]:80", "IPv6" },
		{ "fe80::1%eth0: x", "[ip]%eth0: x", "IPv6 with a zone" },
		{ "::ffff:10.1.2.3", "[ip]", "IPv4 in IPv6" },
		{ "?ip=2001%3Adb8%3A%3A77&x", "?ip=[ip]&x",
		    "IPv6 as URLs write it" },
		{ "%5B2001:db8::77%5D:80", "%5B[ip]%5D:80",
		    "IPv6 in a URL's brackets" },
		{ "x%3Fm%3Da%2540b.io a&#64;b.io a\\\\u0040b.io",
		    "[email] [email] [email]", "an @ in other disguises" },
		{ "\xe9\x94\x99\xe8\xaf\xaf" "a@b.io\xe4\xb8\x8d\xef\xbc\x8cok",
		    "\xe9\x94\x99\xe8\xaf\xaf[email]\xe4\xb8\x8d\xef\xbc\x8cok",
		    "one between words without spaces" },
		{ "\xe2\x80\x9c" "a@b.io\xe2\x80\x94ok",
		    "\xe2\x80\x9c[email]\xe2\x80\x94ok",
		    "one between a quote and a dash" },
		{ "ann@example.\xe4\xb8\xad\xe5\x9b\xbd ann@vi\xe1\xbb\x87t.vn",
		    "[email] [email]", "one in part of other letters" },
		{ "nguy\xe1\xbb\x85n.v\xc4\x83n.a@b.vn", "[email]",
		    "one in Vietnamese" },
		{ "x \xe7\x94\xa8.a@b.io", "x [email]",
		    "one that is wide before a dot" },
		{ "\xe9\x94\x99@\xe8\xaf\xaf.\xe8\xaf\xaf", "[email]",
		    "one in a script of wide characters" },
		{ "ip:2001:db8::1.", "ip:[ip].", "IPv6 behind a colon" },
		{ "a@b.cc.1.2.3.4", "[email].[ip]", "one before another" },
		{ "1::2.1::2.1::2.1::2.1::2.1::2.1::2.1::2.1::2.1::2",
		    "[removed]", "a text that uncovers ever more" },
		{ "std::vector Ab::Cd 12:34:56", NULL, "no IPv6" },
		{ "1.2.3 1.2.3.4.5 256.1.1.1 1.2.3.1234", NULL, "no IPv4" },
		{ "a@b @c.io a@1.2 a@b. pkg@18.2.0", NULL, "no e-mail" },
	};
	char body[256], want[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(body, sizeof(body), "{\"x\":\"%s\"}", rows[i].text);
		snprintf(want, sizeof(want), "{\"x\":\"%s\"}",
		    rows[i].want != NULL ? rows[i].want : rows[i].text);
		ok(becomes(body, want, 0), rows[i].want != NULL ?
		    "%s is taken out" : "%s: left as it is", rows[i].what);
	}
}

static void
places(void)
{
	static const struct {
		const char *body, *want, *what;
	} rows[] = {
		{ "{\"x\":{\"user\":{\"id\":7,\"name\":\"B\"}}}",
		    "{\"x\":{\"user\":{\"id\":7,\"name\":null}}}",
		    "of a user the id stays" },
		{ "{\"user\":{\"id\":\"a@b.io\"}}", "{\"user\":{\"id\":"
		    "\"[email]\"}}", "an id that is an address goes" },
		{ "{\"user\":\"bob\"}", "{\"user\":null}",
		    "a user that is a text goes" },
		{ "{\"user\":[{\"id\":1,\"x\":[{}]},2]}",
		    "{\"user\":[{\"id\":1,\"x\":null},null]}",
		    "users in a list keep their ids" },
		{ "{\"tags\":[[\"user\",\"id:7\"],[\"user\",\"ip:x\"]]}",
		    "{\"tags\":[[\"user\",\"id:7\"],[\"user\",null]]}",
		    "of a tag `user` the id stays" },
		{ "{\"l\":[\"user\",\"email\"]}",
		    "{\"l\":[\"user\",\"email\"]}",
		    "a list of words is no pair" },
		{ "{\"t\":[[\"User.E-mail\",\"q\"]],\"USER_NAME\":\"q\"}",
		    "{\"t\":[[\"User.E-mail\",null]],\"USER_NAME\":null}",
		    "names count in any case" },
		{ "{\"\\u0065mail\":{\"a\":[1,{\"b\":2}]}}",
		    "{\"\\u0065mail\":null}", "names count behind escapes" },
		{ "{\"a@b.io\":1}", "{\"[email]\":1}",
		    "an address as a name is taken out" },
		{ "{\"request\":{\"url\":\"http://h/?a#b\",\"env\":{}}}",
		    "{\"request\":{\"url\":\"http://h/\",\"env\":null}}",
		    "of a request the URL stays, up to the query" },
		{ "{\"contexts\":{\"os\":{\"name\":\"L\"},\"me\":{}}}",
		    "{\"contexts\":{\"os\":{\"name\":\"L\"},\"me\":null}}",
		    "of contexts an SDK's stay" },
		{ "{\"contexts\":{\"device\":{\"name\":\"B\",\"m\":1}}}",
		    "{\"contexts\":{\"device\":{\"name\":null,\"m\":1}}}",
		    "a device loses its name" },
		{ "{\"actor\":{\"name\":\"a@b.io\"},\"data\":{\"actor\":"
		    "{\"name\":\"a@b.io\"}}}", "{\"actor\":{\"name\":\"a@b.io"
		    "\"},\"data\":{\"actor\":{\"name\":\"[email]\"}}}",
		    "the team's actor stays, another does not" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(becomes(rows[i].body, rows[i].want, 0), "%s",
		    rows[i].what);
}

/* What stays, and what only seems to be such. */
static void
kept_places(void)
{
	static const struct {
		const char *body, *want, *what;
	} rows[] = {
		{ "{\"release\":\"1.2.3.4\",\"z\":[[\"release\",\"::1\"]]}",
		    "{\"release\":\"1.2.3.4\",\"z\":[[\"release\",\"::1\"]]}",
		    "a release stays" },
		{ "{\"data\":{\"web_url\":\"/?m=a@b.io\",\"z\":{\"z\":[["
		    "\"web_url\",\"a@b.io\"]]}}}", "{\"data\":{\"web_url\":"
		    "\"/?m=a@b.io\",\"z\":{\"z\":[[\"web_url\",\"[email]\""
		    "]]}}}", "Sentry's links stay, a tag of their name does "
		    "not" },
		{ "{\"version\":\"a@10.1.2.3\",\"t\":[[\"sentry:release\","
		    "\"1.2.3.4\"],[\"app_version\",\"1.2.3.4 a@b.io\"]]}",
		    "{\"version\":\"a@10.1.2.3\",\"t\":[[\"sentry:release\","
		    "\"1.2.3.4\"],[\"app_version\",\"1.2.3.4 [email]\"]]}",
		    "versions of four numbers stay" },
		{ "{\"version\":\"2001:db8::1\",\"evidenceDisplay\":[{"
		    "\"user_id\":{\"name\":\"Ann Lee\"}}],\"data\":{"
		    "\"sentry:permalink\":\"a@b.io\"}}", "{\"version\":"
		    "\"[ip]\",\"evidenceDisplay\":[{\"user_id\":{\"name\":"
		    "null}}],\"data\":{\"sentry:permalink\":\"[email]\"}}",
		    "what looks like a version, an id or a link does not" },
		{ "{\"t\":[{\"name\":\"email\",\"key\":\"user\",\"value\":"
		    "\"id:Ann Lee\"}]}", "{\"t\":[{\"name\":\"email\","
		    "\"key\":\"user\",\"value\":null}]}",
		    "an entry of two names" },
		{ "{\"t\":[{\"key\":\"user\",\"value\":\"username:b\"},"
		    "{\"key\":\"user\",\"value\":\"id:7\"},[\"sentry:user\","
		    "\"email:b\"]]}", "{\"t\":[{\"key\":\"user\",\"value\":"
		    "null},{\"key\":\"user\",\"value\":\"id:7\"},["
		    "\"sentry:user\",null]]}", "tags `user` of any form" },
		{ "{\"a\" :\t-1.50e+03 , \"b\":[ ]\n}", "{\"a\" :\t-1.50e+03 ,"
		    " \"b\":[ ]\n}", "numbers and white space stay" },
		{ "{\"a\":\"\\ud83d\\u00e9\"}", "{\"a\":\"\\ud83d\\u00e9\"}",
		    "what need not be changed is not, not even half a "
		    "surrogate" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(becomes(rows[i].body, rows[i].want, 0), "%s",
		    rows[i].what);
}

/* Who gave feedback: where it is said, and where else it stands. */
static void
feedback(void)
{
	static const struct {
		const char *body, *want, *what;
	} rows[] = {
		{ "{\"evidenceData\":{\"name\":\"Ada Holm\",\"source\":"
		    "\"x\"}}", "{\"evidenceData\":{\"name\":null,\"source\":"
		    "\"x\"}}", "evidence loses its name" },
		{ "{\"evidenceData\":{\"user\":{\"id\":1,\"name\":\"B\"},"
		    "\"User\":\"B\"}}", "{\"evidenceData\":{\"user\":{\"id\":1,"
		    "\"name\":null},\"User\":null}}",
		    "a user in evidence keeps the id" },
		{ "{\"evidenceDisplay\":[{\"name\":\"name\",\"value\":\"q\","
		    "\"important\":true}]}", "{\"evidenceDisplay\":[{\"name\":"
		    "\"name\",\"value\":null,\"important\":true}]}",
		    "an entry of a name loses its value" },
		{ "{\"evidenceDisplay\":[{\"value\":\"q\",\"x\":[\"q\"],"
		    "\"name\":\"Contact-Email\"},{\"value\":\"q\",\"name\":"
		    "\"message\"}]}", "{\"evidenceDisplay\":[{\"value\":null,"
		    "\"x\":null,\"name\":\"Contact-Email\"},{\"value\":\"q\","
		    "\"name\":\"message\"}]}", "also before its name stands" },
		{ "{\"evidenceDisplay\":[{\"value\":1,\"value\":[2],\"name\":"
		    "\"x\",\"name\":\"IP Address\"}]}", "{\"evidenceDisplay\":"
		    "[{\"value\":null,\"value\":null,\"name\":\"x\",\"name\":"
		    "\"IP Address\"}]}", "and if it has two of each" },
		{ "{\"evidenceDisplay\":[{\"name\":\"x\",\"value\":[{\"value\":"
		    "\"q\",\"n\\u0061me\":\"User\"}]}]}", "{\"evidenceDisplay\""
		    ":[{\"name\":\"x\",\"value\":[{\"value\":null,"
		    "\"n\\u0061me\":\"User\"}]}]}", "and within another" },
		{ "{\"evidenceDisplay\":[{\"name\":[\"name\"],\"value\":\"q\""
		    "}]}", "{\"evidenceDisplay\":[{\"name\":[\"name\"],"
		    "\"value\":null}]}", "and if its name is no text" },
		{ "{\"evidenceDisplay\":[[\"name\",\"q\",1],[\"user\",\"q\"],"
		    "[\"user\",\"id:3\"],[\"x\",\"q\"]]}",
		    "{\"evidenceDisplay\":[[\"name\",null,null],[\"user\",null"
		    "],[\"user\",\"id:3\"],[\"x\",\"q\"]]}",
		    "lists of two are entries" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(becomes(rows[i].body, rows[i].want, 0), "%s",
		    rows[i].what);
}

static void
feedback_elsewhere(void)
{
	static const struct {
		const char *body, *want, *what;
	} rows[] = {
		{ "{\"evidenceDisplay\":[\"name\",\"q\"]}",
		    "{\"evidenceDisplay\":[\"name\",null]}",
		    "and a list that is only one" },
		{ "{\"evidenceDisplay\":{\"name\":\"Ada\",\"x\":\"ada\"}}",
		    "{\"evidenceDisplay\":{\"name\":null,\"x\":\"[name]\"}}",
		    "what has no value is no entry" },
		{ "{\"l\":[{\"value\":\"q\",\"key\":\"user.email\",\"z\":1},"
		    "{\"name\":\"name\",\"value\":\"q\"}]}", "{\"l\":[{"
		    "\"value\":null,\"key\":\"user.email\",\"z\":1},{\"name\":"
		    "\"name\",\"value\":\"q\"}]}",
		    "elsewhere as well, unless it is only called name" },
		{ "{\"x\":{\"name\":\"Ada\",\"url\":\"/ada\","
		    "\"contact_email\":null}}", "{\"x\":{\"name\":null,"
		    "\"url\":\"/[name]\",\"contact_email\":null}}",
		    "who has a contact_email gave feedback" },
		{ "{\"userReport\":{\"name\":\"Ada\",\"comments\":\"no Ada\""
		    "}}", "{\"userReport\":{\"name\":null,\"comments\":"
		    "\"no [name]\"}}", "so did who wrote a report" },
		{ "{\"c\":\"Ada!\",\"contexts\":{\"user_feedback\":{\"name\":"
		    "\"Ada\"}}}", "{\"c\":\"[name]!\",\"contexts\":{"
		    "\"user_feedback\":null}}",
		    "and whom a context of feedback names" },
		{ "{\"tags\":[[\"user\",\"id::1\"]]}",
		    "{\"tags\":[[\"user\",null]]}",
		    "an id that an address takes in is none" },
		{ "{\"metadata\":[[\"name\",\"q\"]]}",
		    "{\"metadata\":[[\"name\",null]]}",
		    "metadata of pairs lose the name, too" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(becomes(rows[i].body, rows[i].want, 0), "%s",
		    rows[i].what);
}

/* Texts, beside a body that says who somebody is. */
static void
named(void)
{
	static const struct {
		const char *name, *text, *want, *what;
	} rows[] = {
		{ "Ada Holm", "I am ADA HOLM.", "I am [name].", "in any case" },
		{ "Ada Holm", "Ada\\nHolm Ada  Holm", "[name] Ada  Holm",
		    "with one space of any kind" },
		{ "Ada Holm", "Adam Holm, Ada Holms, Ada", NULL,
		    "not as a part of words" },
		{ "Ada Holm", "?n=Ada%20Holm&m=Ada+Holm", "?n=[name]&m=[name]",
		    "as URLs write it" },
		{ "Ada", "%20Ada %C3%A9Ada", "%20[name] %C3%A9[name]",
		    "behind what URLs write so" },
		{ "S\\u00f8ren \\u00c5s", "S\xc3\x98REN \xc3\xa5S",
		    "[name]", "behind escapes, with accents" },
		{ "S\xc3\xb8ren", "?S%C3%B8ren", "?[name]",
		    "with accents, as URLs write them" },
		{ "\xd0\x90\xd0\xbd\xd1\x8f", "\xd0\xb0\xd0\x9d\xd0\xaf",
		    "[name]", "in Cyrillic" },
		{ "\xe6\x9d\x8e\xe6\x98\x8e", "x\xe6\x88\x91\xe6\x9d\x8e"
		    "\xe6\x98\x8e\xe6\x98\xaf", "x\xe6\x88\x91[name]"
		    "\xe6\x98\xaf", "where words have no spaces" },
		{ "Ada", "\xe2\x80\x9c" "Ada\xe2\x80\x9d, Ada's Adas _ada",
		    "\xe2\x80\x9c[name]\xe2\x80\x9d, [name]'s Adas _ada",
		    "between quotes" },
		{ "Ada <ada@b.io>", "Ada <ada@b.io>", "[name] <[email]>",
		    "apart from an address" },
		{ "\\\"Ada\\\"", "ada", "[name]", "without quotes of its own" },
		{ "aab", "aaab aab", "aaab [name]", "which begins so" },
		{ "111x", "111x.1.2.3.4", "[name].[ip]",
		    "and uncovers an address" },
		{ "Kiel", "Kielfe80::1", "[name][ip]", "beside an address" },
		{ "Al", "Al", NULL, "not of two bytes" },
		{ "123", "123", NULL, "not of digits" },
		{ "Anonymous", "anonymous", NULL, "nor of nobody" },
		{ "id:7", "id:7", "[name]", "also if it looks like an id" },
	};
	char body[256], want[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(body, sizeof(body), "{\"x\":\"%s\",\"user\":"
		    "{\"name\":\"%s\"}}", rows[i].text, rows[i].name);
		snprintf(want, sizeof(want), "{\"x\":\"%s\",\"user\":"
		    "{\"name\":null}}", rows[i].want != NULL ?
		    rows[i].want : rows[i].text);
		ok(becomes(body, want, 0), "a name is taken out %s",
		    rows[i].what);
	}
}

static void
named_where(void)
{
	static const struct {
		const char *body, *want, *what;
	} rows[] = {
		{ "{\"type\":\"Ada\",\"m\":\"Ada\",\"ada\":[[\"level\","
		    "\"ada\"],[\"ada\",\"ada\"]],\"metadata\":{\"name\":"
		    "\"Ada\"}}", "{\"type\":\"Ada\",\"m\":\"[name]\",\"ada\":"
		    "[[\"level\",\"ada\"],[\"ada\",\"[name]\"]],\"metadata\":"
		    "{\"name\":null}}", "a single word is left to a program" },
		{ "{\"type\":\"Ada H\",\"ada h\":1,\"user\":{\"name\":"
		    "\"Ada H\"}}", "{\"type\":\"[name]\",\"[name]\":1,\"user\":"
		    "{\"name\":null}}", "several words are not" },
		{ "{\"m\":\"Ada Ada H\",\"l\":[{\"user\":{\"name\":\"Ada\"}}"
		    ",{\"user\":{\"name\":\"Ada H\"}}]}", "{\"m\":\"[name] "
		    "[name]\",\"l\":[{\"user\":{\"name\":null}},{\"user\":"
		    "{\"name\":null}}]}", "of two names the longer is first" },
		{ "{\"m\":\"admin Will Kay\",\"user\":{\"username\":"
		    "\"admin\"},\"first_name\":\"Will\",\"full_name\":\"Kay\""
		    "}", "{\"m\":\"admin Will [name]\",\"user\":{\"username\":"
		    "null},\"first_name\":null,\"full_name\":null}",
		    "whole names are taken out, not what may be a word" },
		{ "{\"actor\":{\"name\":\"Ada\"},\"release\":\"Ada\",\"user\":"
		    "{\"name\":\"Ada\"}}", "{\"actor\":{\"name\":\"Ada\"},"
		    "\"release\":\"Ada\",\"user\":{\"name\":null}}",
		    "the team's namesake stays" },
		{ "{\"m\":\"Ada\",\"evidenceDisplay\":[{\"value\":\"Ada\","
		    "\"name\":\"name\"}]}", "{\"m\":\"[name]\","
		    "\"evidenceDisplay\":[{\"value\":null,\"name\":\"name\"}]}",
		    "a name is learned from evidence, too" },
		{ "{\"user\":{\"id\":\"Ada\",\"name\":{\"x\":[\"Ada\"]}}}",
		    "{\"user\":{\"id\":\"[name]\",\"name\":null}}",
		    "and from what is no text" },
		{ "{\"tags\":[[\"user\",\"id:7x\"]],\"user\":{\"name\":"
		    "\"id:7x\"}}", "{\"tags\":[[\"user\",null]],\"user\":"
		    "{\"name\":null}}", "a tag's id that is a name is none" },
		{ "{\"contexts\":{\"device\":{\"name\":\"Ada\"}},\"m\":"
		    "\"Ada\"}", "{\"contexts\":{\"device\":{\"name\":null}},"
		    "\"m\":\"Ada\"}", "a device's name is nobody's" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(becomes(rows[i].body, rows[i].want, 0), "%s",
		    rows[i].what);
}

/* Nine people, of whom eight are looked for; and a name that is too long is
 * cut where a word ends. */
static void
many_names(void)
{
	struct text body = { 0 }, out = { 0 };
	char user[64];

	text_str(&body, "[\"Ada8 Ada9\"");
	for (int i = 1; i <= 9; i++) {
		snprintf(user, sizeof(user),
		    ",{\"user\":{\"name\":\"Ada%d\"}}", i);
		text_str(&body, user);
	}
	text_str(&body, "]");
	ok(redact(&out, text_view(&body)) == 0 && out.len > 15 &&
	    memcmp(out.at, "[\"[name] Ada9\",", 15) == 0,
	    "eight names are looked for");
	body.len = out.len = 0;
	text_str(&body, "[\"");
	for (int i = 0; i < 11; i++)
		text_str(&body, "Wilhelmina ");
	text_str(&body, "\",{\"user\":{\"name\":\"");
	for (int i = 0; i < 11; i++)
		text_str(&body, "Wilhelmina ");
	text_str(&body, "\"}}]");
	ok(redact(&out, text_view(&body)) == 0 && out.len > 34 &&
	    memcmp(out.at, "[\"[name] Wilhelmina Wilhelmina Wil", 34) == 0,
	    "of a name the first words are looked for");
	text_release(&body);
	text_release(&out);
}

/* No prefix of a body passes, and none is read beyond its end: each has a
 * block of its own, for valgrind and the sanitizers. */
static void
broken(void)
{
	static const char body[] = "{\"a\":[[\"user\",\"id:\\u0041\"],true],"
	    "\"evidenceDisplay\":[{\"value\":\"Ada\",\"name\":\"name\"}],"
	    "\"user\":{\"id\":1.5,\"e\":\"\\ud83d\\ude00 a@b.io\"}}";
	int passed = 0;

	for (size_t n = 0; n < sizeof(body) - 1; n++) {
		char *copy = malloc(n > 0 ? n : 1);
		struct text out = { 0 };

		if (copy == NULL)
			abort();
		memcpy(copy, body, n);
		passed += redact(&out, (struct span){ copy, n }) == 0;
		text_release(&out);
		free(copy);
	}
	ok(passed == 0, "no torn body passes");
	ok(becomes("{\"a\":\"\\q\"}", "", 1), "nor does a wrong escape");
	ok(becomes("{\"a\":1}x", "", 1), "nor do bytes behind the end");
	ok(becomes("{\"a\":1,}", "", 1), "nor does a comma too many");
}

static void
deep(void)
{
	char body[2 * JSON_DEPTH + 8];
	struct text out = { 0 };
	size_t n = JSON_DEPTH + 1;

	memset(body, '[', n);
	memset(body + n, ']', n);
	ok(redact(&out, (struct span){ body, 2 * n }) == 1,
	    "what is nested too deep is not followed");
	text_release(&out);
}

/* One who gave feedback, in one place only. */
static void
naming_feedback(void)
{
	static const struct {
		const char	*body, *who;
		int		 want;
	} rows[] = {
		{ "{\"evidenceData\":{\"name\":\"Ada Holm\"}}", "ada holm", 1 },
		{ "{\"evidenceDisplay\":[{\"name\":\"name\",\"value\":"
		    "\"Ada Holm\"}]}", "Ada Holm", 1 },
		{ "{\"evidenceDisplay\":[{\"value\":\"Ada Holm\",\"name\":"
		    "\"name\"}]}", "Ada Holm", 1 },
		{ "{\"evidenceDisplay\":[{\"value\":\"a@b.io\",\"name\":"
		    "\"contact_email\"}]}", "A@b.io", 1 },
		{ "{\"evidenceDisplay\":[{\"value\":\"Ada Holm\",\"name\":"
		    "\"message\"}]}", "Ada Holm", 0 },
		{ "{\"contexts\":{\"feedback\":{\"name\":\"Ada Holm\"}}}",
		    "Ada Holm", 1 },
		{ "{\"contexts\":{\"feedback\":{\"contact_email\":"
		    "\"a@b.io\"}}}", "a@b.io", 1 },
		{ "{\"metadata\":{\"name\":\"Ada Holm\"}}", "Ada Holm", 1 },
		{ "{\"user\":{\"name\":\"Ada Holm\"}}", "Ada Holm", 1 },
		{ "{\"evidenceData\":{\"name\":\"Ada Holm\"}}", "Ada", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(redact_mentions(span_of(rows[i].body),
		       span_of(rows[i].who)) == rows[i].want,
		    "%s names %s: %d", rows[i].body, rows[i].who, rows[i].want);
}

/* An id or a name: where it is looked for, and where not. */
static void
naming_places(void)
{
	static const struct {
		const char	*body, *who;
		int		 want;
	} rows[] = {
		{ "{\"user\":{\"id\":\"31\"}}", "31", 1 },
		{ "{\"user\":{\"username\":31}}", "31", 1 },
		{ "{\"user\":{\"id\":null}}", "null", 0 },
		{ "{\"user\":{\"geo\":{\"region\":\"31\"}}}", "31", 0 },
		{ "{\"frames\":[{\"vars\":{\"i\":\"31\"}}]}", "31", 0 },
		{ "{\"request\":{\"headers\":[[\"Content-Length\",\"31\"]]}}",
		    "31", 0 },
		{ "{\"extra\":{\"retries\":\"31\"}}", "31", 0 },
		{ "{\"extra\":{\"user_id\":\"31\"}}", "31", 1 },
		{ "{\"extra\":{\"user\":{\"id\":31}}}", "31", 1 },
		{ "{\"contexts\":{\"cart\":{\"items\":\"31\"}}}", "31", 0 },
		{ "{\"contexts\":{\"crm\":{\"for\":\"Ada Holm\"}}}",
		    "Ada Holm", 1 },
		{ "{\"contexts\":{\"crm\":{\"for\":\"0123-4567-89ab-cdef\"}}}",
		    "0123-4567-89AB-cdef", 1 },
		{ "{\"t\":[[\"user.id\",\"31\"]]}", "31", 1 },
		{ "{\"t\":[{\"key\":\"user\",\"value\":\"id:31\"}]}", "31",
		    1 },
		{ "{\"t\":[{\"key\":\"user\",\"value\":\"username:Ada Holm\""
		    "}]}", "ada holm", 1 },
		{ "{\"user\":{\"name\":\" Ada  Holm (admin)\"}}", "Ada Holm",
		    1 },
		{ "{\"user\":{\"name\":\"Ada Holm\"}}", "Ada  Holm", 1 },
		{ "{\"user\":\"\"}", " ", 0 },
		{ "{\"user\":{\"name\":\"Adas Holm\"}}", "Ada Holm", 0 },
		{ "{\"user\":{\"name\":\"Ada Holms\"}}", "Ada Holm", 0 },
		{ "{\"user\":{\"name\":\" Ada\"}}", "Ada", 1 },
		{ "{\"user\":{\"name\":\"Ada Holm\"}}", "Ada", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(redact_mentions(span_of(rows[i].body),
		       span_of(rows[i].who)) == rows[i].want,
		    "%s names %s: %d", rows[i].body, rows[i].who, rows[i].want);
}

/* An address: in what disguises it is found. */
static void
naming_addresses(void)
{
	static const struct {
		const char	*text, *who;
		int		 want;
	} rows[] = {
		{ "\xe7\x94\xa8" "ann@b.io\xe4\xb8\x8d", "ann@b.io", 1 },
		{ "\xe2\x80\x9c" "ann@b.io\xe2\x80\x9d", "ann@b.io", 1 },
		{ "/?mail=ann%40b.io", "ann@b.io", 1 },
		{ "/?next=%253Fm%253Dann%2540b.io", "Ann@b.io", 1 },
		{ "line\\\\nann@b.io", "ann@b.io", 1 },
		{ "\\\\u003cann@b.io\\\\u003e", "ann@b.io", 1 },
		{ "_ann@b.io_", "ann@b.io", 1 },
		{ "ann@b.io.Please", "ann@b.io", 1 },
		{ "(ann@b.io.)", "ann@b.io", 1 },
		{ "jo.ann@b.io", "ann@b.io", 0 },
		{ "x ann@b.io- y", "ann@b.io", 1 },
		{ "x ann@b.\xe4\xb8\xad\xe5\x9b\xbd y",
		    "ann@b.\xe4\xb8\xad\xe5\x9b\xbd", 1 },
		{ "joann@b.io", "ann@b.io", 0 },
		{ "ann@b.io.uk", "ann@b.io", 0 },
		{ "ann@b.ion", "ann@b.io", 0 },
		{ "ann@b.io-x", "ann@b.io", 0 },
		{ "::ffff:198.51.100.77", "198.51.100.77", 1 },
		{ "198.51.100.77", "::ffff:198.51.100.77", 1 },
		{ "198.51.100.7", "198.51.100.77", 0 },
		{ "2001:0DB8:0:0:0:0:0:0077", "2001:db8::77", 1 },
		{ "ipv6:2001:db8::77", "2001:db8::77", 1 },
		{ "code:2001:db8::77", "2001:db8::77", 1 },
		{ "?ip=2001%3Adb8%3A%3A77", "2001:db8::77", 1 },
		{ "2001:db8::7", "2001:db8::77", 0 },
	};
	char body[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(body, sizeof(body), "{\"m\":\"%s\"}", rows[i].text);
		ok(redact_mentions(span_of(body), span_of(rows[i].who)) ==
		    rows[i].want, "%s names %s: %d", body, rows[i].who,
		    rows[i].want);
	}
}

static void
naming(void)
{
	static const char body[] = "{\"action\":\"x\",\"data\":{\"error\":"
	    "{\"event_id\":\"77\",\"n\":42,\"title\":\"no ann@b.io\",\"user\":"
	    "{\"id\":42,\"username\":\"Ann\",\"ip_address\":\"10.0.0.10\"},"
	    "\"tags\":[[\"user\",\"id:43\"],[\"level\",\"error\"]]}},"
	    "\"actor\":{\"type\":\"user\",\"id\":5,\"name\":\"Jo Doe\"}}";
	static const struct {
		const char	*who;
		int		 want;
		const char	*what;
	} rows[] = {
		{ "ANN@b.io", 1, "by an e-mail address in a text" },
		{ "n@b.io", 0, "not by the end of one" },
		{ "10.0.0.10", 1, "by an IP address" },
		{ "10.0.0.1", 0, "not by the beginning of one" },
		{ "42", 1, "by an id" }, { "43", 1, "by an id in a tag" },
		{ "77", 0, "not by another number" },
		{ "ann", 1, "by a user's name" },
		{ "error", 0, "not by another word" },
		{ "jo doe", 1, "by the name of somebody of the team" },
		{ "5", 0, "not by a number of the team's" },
		{ "user", 0, "not by what an actor is" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(redact_mentions(span_of(body), span_of(rows[i].who)) ==
		    rows[i].want, "a hook names a person %s", rows[i].what);
	naming_feedback();
	naming_places();
	naming_addresses();
	ok(redact_mentions(span_of("{\"x\":\"a@b.io"), span_of("a@B.io")) == 1,
	    "what is no JSON names a person by its bytes");
}

int
main(void)
{
	if (signature_start() != 0)
		return 1;
	addresses();
	places();
	kept_places();
	feedback();
	feedback_elsewhere();
	named();
	named_where();
	many_names();
	broken();
	deep();
	naming();
	return tap_done();
}
