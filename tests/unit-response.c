/* What test-deliver's real answers do not reach. */
#include "response.h"
#include "tap.h"

static void
hides(const char *words, const char *first, const char *second,
    const char *want)
{
	char a[32], b[32], *secrets[] = { a, b };
	struct text t = { 0 };

	snprintf(a, sizeof(a), "%s", first);
	snprintf(b, sizeof(b), "%s", second);
	text_str(&t, words);
	response_hide(&t, secrets, 2);
	ok(span_is(text_view(&t), want), "of \"%s\" is left \"%s\"", words,
	    want);
	text_release(&t);
}

static void
stands_for(long status, const char *body, bool inngest, long want)
{
	ok(response_status(status, span_of(body), inngest) == want,
	    "%ld with %s is a %ld%s", status, body, want,
	    inngest ? " of Inngest's" : "");
}

int
main(void)
{
	hides("no key k3y/k3y here", "k3y", "none", "no key ***/*** here");
	hides("abcabcab", "abcab", "none", "********");
	hides("xabcdx", "abc", "bcd", "x****x");
	hides("so ****", "***", "so ", "*******");
	hides("nothing", "", "none", "nothing");
	stands_for(204, "", true, 204);
	stands_for(200, "{\"ids\":[],\"status\":200}", true, 200);
	stands_for(200, "{\"status\":400}", true, 400);
	stands_for(200, "{\"status\":201}", false, RESPONSE_STRANGE);
	stands_for(200, "{\"status\":99999999999999999999}", false,
	    RESPONSE_STRANGE);
	stands_for(200, "{\"error\":\"no\"}", false, RESPONSE_STRANGE);
	stands_for(200, "<html>", true, RESPONSE_STRANGE);
	stands_for(200, "<html>", false, 200);
	stands_for(401, "{\"status\":200}", true, 401);
	return tap_done();
}
