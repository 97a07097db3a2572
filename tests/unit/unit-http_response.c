/* What test-deliver's real answers do not reach. */
#include "sink/http_response.h"
#include "../support/tap.h"

static void
hides(const char *words, const char *first, const char *second,
    const char *want)
{
	char a[32], b[32], *secrets[] = { a, b };
	struct text t = { 0 };

	snprintf(a, sizeof(a), "%s", first);
	snprintf(b, sizeof(b), "%s", second);
	text_str(&t, words);
	http_response_hide(&t, secrets, 2);
	ok(span_is(text_view(&t), want), "of \"%s\" is left \"%s\"", words,
	    want);
	text_release(&t);
}

static void
stands_for(long status, const char *type, const char *body, bool inngest,
    long want)
{
	ok(http_response_status(status, span_of(type), span_of(body), inngest,
	    2) == want, "%ld with %s of %s is a %ld%s", status, body, type,
	    want, inngest ? " of Inngest's" : "");
}

static void
takes(const char *body, long want)
{
	ok(http_response_taken(span_of(body)) == want, "%s says that %ld were "
	    "taken", body, want);
}

int
main(void)
{
	hides("no key k3y/k3y here", "k3y", "none", "no key ***/*** here");
	hides("abcabcab", "abcab", "none", "********");
	hides("xabcdx", "abc", "bcd", "x****x");
	hides("so ****", "***", "so ", "*******");
	hides("nothing", "", "none", "nothing");
	stands_for(200, "text/plain", "{\"ids\":[],\"status\":200}", true, 200);
	stands_for(200, "", "{\"ids\":[\"1\",\"2\"]}", true, 200);
	stands_for(200, "", "{\"ids\":[\"1\"]}", true, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "{\"ids\":2}", true, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "{}", true, HTTP_RESPONSE_FOREIGN);
	stands_for(204, "", "", true, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "text/html", "<html>", true, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "{\"status\":20", true, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "[200]", true, HTTP_RESPONSE_FOREIGN);
	/* Its own words are no success: no row may pay, let alone be dead. */
	stands_for(200, "", "{\"status\":400}", true, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "{\"ids\":[\"1\",\"2\"],\"status\":500}", true,
	    HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "{\"status\":99999999999999999999}", true,
	    HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "{\"status\":200,\"error\":\"no\"}", true,
	    HTTP_RESPONSE_FOREIGN);
	stands_for(401, "", "{\"status\":200}", true, 401);
	stands_for(303, "", "", true, 303);
	stands_for(204, "", "", false, 204);
	stands_for(200, "text/plain", "ok", false, 200);
	stands_for(200, "", "{\"status\":\"queued\"}", false, 200);
	stands_for(200, "Text/HTML; charset=utf-8", "hello", false,
	    HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", " \r\n<!DOCTYPE HTML>", false,
	    HTTP_RESPONSE_FOREIGN);
	stands_for(200, "text/plain", "<html>", false, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "application/xhtml+xml", "<?xml version='1.0'?>",
	    false, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "\xef\xbb\xbf\n<!doctype html>", false,
	    HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "<!-- x --><html>", false, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "", "<Head></Head>", false, HTTP_RESPONSE_FOREIGN);
	stands_for(200, "application/xml", "<ok/>", false, 200);
	stands_for(500, "text/html", "<html>", false, 500);
	takes("{\"ids\":[\"1\",\"2\"],\"error\":\"no\"}", 2);
	takes("{\"ids\":[]}", 0);
	takes("{\"ids\":null}", -1);
	takes("{\"error\":\"no\"}", -1);
	takes("<html>", -1);
	return tap_done();
}
