#include <stdlib.h>

#include "personal.h"
#include "redact.h"
#include "signature.h"
#include "tap.h"

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
		{ "ip:2001:db8::1.", "ip:[ip].", "IPv6 behind a colon" },
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
		{ "{\"release\":\"1.2.3.4\",\"z\":[[\"release\",\"::1\"]]}",
		    "{\"release\":\"1.2.3.4\",\"z\":[[\"release\",\"::1\"]]}",
		    "a release stays" },
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

/* No prefix of a body passes, and none is read beyond its end: each has a
 * block of its own, for valgrind and the sanitizers. */
static void
broken(void)
{
	static const char body[] = "{\"a\":[[\"user\",\"id:\\u0041\"],true],"
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
		ok(redact_names(span_of(body), span_of(rows[i].who)) ==
		    rows[i].want, "a hook names a person %s", rows[i].what);
	ok(redact_names(span_of("{\"x\":\"a@b.io"), span_of("a@B.io")) == 1,
	    "what is no JSON names a person by its bytes");
}

int
main(void)
{
	if (signature_start() != 0)
		return 1;
	addresses();
	places();
	broken();
	deep();
	naming();
	return tap_done();
}
