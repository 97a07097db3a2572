#include <stdlib.h>

#include "base/json.h"
#include "hook/signature.h"
#include "../support/tap.h"

/* HMAC-SHA256 of the body below by "secret-one" and "secret-two", computed
 * with another program (openssl dgst -sha256 -hmac). */
static const char body_text[] = "{\"action\":\"created\"}";
#define ONE "800c00e8c812b3a69437d4d5e23b748b792b27876c23141b69f995b685359446"
#define FOUR "secret-a secret-b secret-c secret-d "
#define WORDS FOUR FOUR FOUR FOUR
#define TEN "0123456789"
#define HEX "0123456789abcdefABCDEF0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN
#define TWO "98cb8564598c6aba689e8e6d1904fb492e6b0ab3f8475a0d6079f125ad967bb6"
#define EMPTY "7bb95bbc7e5d951c7e9af9d0f0b917cfe9c35a1b70977e39a11a7e842ece85f7"

static struct secrets	*both;

static enum signature
check(const char *header, const char *body, size_t *which)
{
	return signature_check(both, span_of(header), span_of(body), which);
}

static void
checks(void)
{
	size_t which;
	char upper[SIGNATURE_HEX + 1] = ONE, other[SIGNATURE_HEX + 1] = ONE;

	for (int i = 0; upper[i] != '\0'; i++)
		if (upper[i] >= 'a' && upper[i] <= 'f')
			upper[i] ^= 0x20;
	other[63] = other[63] == '0' ? '1' : '0';
	ok(check(ONE, body_text, &which) == SIGNATURE_VALID && which == 0,
	    "the first secret's signature is valid");
	ok(check(TWO, body_text, &which) == SIGNATURE_VALID && which == 1,
	    "the second secret's signature is valid, and says which");
	ok(check(upper, body_text, &which) == SIGNATURE_VALID,
	    "upper case hex is as good");
	ok(check(EMPTY, "", &which) == SIGNATURE_VALID,
	    "an empty body can be signed");
	ok(check(other, body_text, &which) == SIGNATURE_INVALID,
	    "one digit makes it invalid");
	ok(check(ONE, "{\"action\":\"Created\"}", &which) ==
	    SIGNATURE_INVALID, "one byte of the body makes it invalid");
	ok(check(ONE, "{\"action\":\"created\"}\n", &which) ==
	    SIGNATURE_INVALID, "a newline makes it invalid");
	ok(signature_check(NULL, span_of(ONE), span_of(body_text), &which) ==
	    SIGNATURE_INVALID, "without a secret nothing is valid");
}

static void
forms(void)
{
	static const struct {
		const char	*header;
		enum signature	 want;
	} rows[] = {
		{ ONE, SIGNATURE_VALID },
		{ NULL, SIGNATURE_MISSING }, { "", SIGNATURE_MISSING },
		{ "0", SIGNATURE_LENGTH }, { ONE "0", SIGNATURE_LENGTH },
		{ "sha256=" ONE, SIGNATURE_LENGTH },
		{ "g123456789012345678901234567890123456789012345678901234567"
		    "890123", SIGNATURE_LENGTH },
		{ " 123456789012345678901234567890123456789012345678901234567"
		    "890123", SIGNATURE_LENGTH },
		{ "01:3456789012345678901234567890123456789012345678901234567"
		    "890123", SIGNATURE_LENGTH },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(signature_form(span_of(rows[i].header)) == rows[i].want,
		    "header %zu has the form that it has", i);
}

static void
reads(void)
{
	static const struct {
		const char		*text;
		enum secrets_form	 form;
		size_t			 count;
		unsigned		 bad_line;
		const char		*first, *says;
	} rows[] = {
		{ "", SECRETS_LIST, 0, 0, NULL, "an empty list" },
		{ " ,\t, \n", SECRETS_LIST, 0, 0, NULL, "only separators" },
		{ "abcdefgh", SECRETS_LIST, 1, 0, "environment-1",
		    "one secret" },
		{ "abcdefgh, bcdefghi\tcdefghij\ndefghijk", SECRETS_LIST, 4,
		    0, "environment-1", "a list by commas and white space" },
		{ "", SECRETS_FILE, 0, 0, NULL, "an empty file" },
		{ "# only this\n\n", SECRETS_FILE, 0, 0, NULL, "comments" },
		{ "abcdefgh", SECRETS_FILE, 1, 0, "secret-1",
		    "no final newline" },
		{ "new abcdefgh # rotated\r\nold bcdefghi\r\n", SECRETS_FILE, 2,
		    0, "new", "names, comments and CRLF" },
		{ "\n  abcdefgh  \n", SECRETS_FILE, 1, 0, "secret-1",
		    "blanks" },
		{ "abcdefgh\na b c\nbcdefghi\n", SECRETS_FILE, 2, 2, "secret-1",
		    "three words in a line" },
		{ "abcdefgh\nbcdefgh\x01\n", SECRETS_FILE, 1, 2, "secret-1",
		    "a control character" },
		{ "new abcdefgh#rotated today\n#old bcdefghi\n", SECRETS_FILE,
		    1, 0, "new", "a comment close behind a secret" },
		{ "\xef\xbb\xbfnew abcdefgh\n", SECRETS_FILE, 1, 0, "new",
		    "a byte order mark" },
		{ "abcdefgh\nold bcdefgh\n", SECRETS_FILE, 1, 2, "secret-1",
		    "one of 7 bytes, which is a slip" },
		{ LONG " abcdefgh\n", SECRETS_FILE, 0, 1, NULL,
		    "a name of 70 bytes" },
		{ HEX " production\nnew abcdefgh\n", SECRETS_FILE, 1, 1, "new",
		    "a secret before its name" },
		{ "new abcdefgh\n" HEX HEX " x0123456" HEX "\n", SECRETS_FILE,
		    1, 2, "new", "a secret before a longer name" },
		{ HEX " " HEX HEX "\n", SECRETS_FILE, 1, 0, "secret-1",
		    "a name that may be a secret" },
		{ "0123456789abcdef abcdefgh\n", SECRETS_FILE, 1, 0,
		    "0123456789abcdef", "a name of 16 hex digits" },
		{ WORDS WORDS WORDS WORDS "abcdefgh", SECRETS_LIST, 64, 65,
		    "environment-1", "65 secrets" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secrets *s = secrets_read(span_of(rows[i].text),
		    rows[i].form);

		ok(secrets_count(s) == rows[i].count &&
		    secrets_bad_line(s) == rows[i].bad_line &&
		    (rows[i].first == NULL ||
		    strcmp(secrets_name(s, 0), rows[i].first) == 0),
		    "%s: %zu read", rows[i].says, rows[i].count);
		secrets_free(s);
	}
}

static void
guesses(void)
{
	struct json root;

	if (json_open(&root, span_of("{ \"action\": \"created\" }")) != 0)
		abort();
	ok(signature_guess(both, span_of(ONE), span_of("{ \"action\": "
	    "\"created\" }"), &root) != NULL, "re-serialised JSON is seen");
	ok(signature_guess(both, span_of(ONE), span_of("{\"action\":"
	    "\"created\"}\r\n"), NULL) != NULL, "a newline too many is seen");
	ok(signature_guess(both, span_of(ONE), span_of("something else"),
	    NULL) == NULL, "there is no guess where nothing fits");
	ok(signature_guess(both, span_of("zz"), span_of("x"), NULL) == NULL,
	    "there is no guess about what is no signature");
	json_close(&root);
}

int
main(void)
{
	char hex[SIGNATURE_FINGERPRINT_HEX + 1];

	if (signature_start() != 0)
		return 1;
	both = secrets_read(span_of("one secret-one\ntwo secret-two\n"),
	    SECRETS_FILE);
	checks();
	forms();
	reads();
	guesses();
	signature_fingerprint(hex, span_of("abc"));
	ok(strcmp(hex, "ba7816bf8f01cfea414140de5dae2223") == 0,
	    "a fingerprint begins as SHA-256 does");
	secrets_free(both);
	return tap_done();
}
