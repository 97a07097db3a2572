#include "hook/signature.h"

#include <stdio.h>

#include <sodium.h>

#include "base/json.h"

#define SECRETS_MAX	64	/* more than a rotation ever needs */
#define MARK		"\xef\xbb\xbf"	/* U+FEFF */
#define SECRET_MIN	8	/* bytes; a shorter one is a slip */
#define SECRET_MAX	512	/* bytes; Sentry's have 64 */

struct secret {
	char	name[SECRET_NAME_MAX + 1];
	char	key[SECRET_MAX];
	size_t	len;
};

struct secrets {
	size_t		count;
	unsigned	bad_line;
	bool		locked;		/* never written to swap */
	struct secret	secret[SECRETS_MAX];
};

typedef unsigned char mac_bytes[crypto_auth_hmacsha256_BYTES];

int
signature_start(void)
{
	return sodium_init() < 0 ? -1 : 0;
}

/* The next run of bytes that are in none of `stops`, off the front of *s. */
static struct span
word(struct span *s, const char *stops)
{
	struct span w;

	while (s->len > 0 && s->at[0] != '\0' &&
	    strchr(stops, s->at[0]) != NULL)
		s->at++, s->len--;
	w = (struct span){ s->at, 0 };
	while (s->len > 0 && (s->at[0] == '\0' ||
	    strchr(stops, s->at[0]) == NULL))
		s->at++, s->len--, w.len++;
	return w;
}

/* A control character in it means that this is not the file it should be. */
static bool
printable(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f)
			return false;
	return true;
}

static bool
add(struct secrets *set, struct span name, struct span key)
{
	struct secret *s;

	if (key.len == 0)	/* an empty line */
		return true;
	if (set->count == SECRETS_MAX || key.len < SECRET_MIN ||
	    key.len > SECRET_MAX ||
	    name.len > SECRET_NAME_MAX || !printable(key) || !printable(name))
		return false;
	s = &set->secret[set->count++];
	memcpy(s->key, key.at, key.len);
	s->len = key.len;
	if (name.len > 0)
		memcpy(s->name, name.at, name.len);
	else
		snprintf(s->name, sizeof(s->name), "secret-%zu", set->count);
	return true;
}

static bool
read_line(struct secrets *set, struct span line)
{
	const char *comment = memchr(line.at, '#', line.len);
	struct span first, second;

	if (comment != NULL)
		line.len = (size_t)(comment - line.at);
	first = word(&line, " \t\r");
	second = word(&line, " \t\r");
	if (second.len == 0)
		return add(set, second, first);
	return word(&line, " \t\r").len == 0 && add(set, first, second);
}

/* The first line of *rest, without its newline, which is taken off too. */
static struct span
cut_line(struct span *rest)
{
	const char *end = memchr(rest->at, '\n', rest->len);
	size_t len = end == NULL ? rest->len : (size_t)(end - rest->at);
	struct span line = { rest->at, len };

	len += end != NULL;
	rest->at += len;
	rest->len -= len;
	return line;
}

struct secrets *
secrets_read(struct span bytes, enum secrets_form form)
{
	struct secrets *set = sodium_malloc(sizeof(*set));
	unsigned line;
	bool good;

	if (set == NULL)
		return NULL;
	sodium_memzero(set, sizeof(*set));
	/* What some editors put before UTF-8 is no part of a secret. */
	if (form == SECRETS_FILE && bytes.len >= sizeof(MARK) - 1 &&
	    memcmp(bytes.at, MARK, sizeof(MARK) - 1) == 0) {
		bytes.at += sizeof(MARK) - 1;
		bytes.len -= sizeof(MARK) - 1;
	}
	/* sodium_malloc() has tried to, and did not say whether it could. */
	set->locked = sodium_mlock(set, sizeof(*set)) == 0;
	for (line = 1; bytes.len > 0; line++) {
		if (form == SECRETS_FILE)
			good = read_line(set, cut_line(&bytes));
		else
			good = add(set, (struct span){ NULL, 0 },
			    word(&bytes, " \t\r\n,"));
		if (!good && set->bad_line == 0)
			set->bad_line = line;
	}
	sodium_mprotect_readonly(set);
	return set;
}

size_t
secrets_count(const struct secrets *set)
{
	return set == NULL ? 0 : set->count;
}

unsigned
secrets_bad_line(const struct secrets *set)
{
	return set->bad_line;
}

static bool
is_quoted(const struct secret *s)
{
	return (s->key[0] == '"' || s->key[0] == '\'') &&
	    s->key[s->len - 1] == s->key[0];
}

/* A name as a shell has them, and a secret behind its `='. */
static bool
is_assignment(const struct secret *s)
{
	size_t n = 0;

	while (n < s->len && (s->key[n] == '_' ||
	    (s->key[n] >= 'A' && s->key[n] <= 'Z') ||
	    (s->key[n] >= 'a' && s->key[n] <= 'z') ||
	    (n > 0 && s->key[n] >= '0' && s->key[n] <= '9')))
		n++;
	return n > 0 && n < s->len && s->key[n] == '=' &&
	    s->len - n > SECRET_MIN;
}

enum secrets_slip
secrets_slip(const struct secrets *set, const char **name)
{
	static const char placeholder[] = "YOUR-";
	const struct secret *s;

	for (size_t i = 0; i < secrets_count(set); i++) {
		s = &set->secret[i];
		*name = s->name;
		if (is_quoted(s))
			return SLIP_QUOTES;
		if (is_assignment(s))
			return SLIP_ASSIGNMENT;
		if (memcmp(s->key, placeholder, sizeof(placeholder) - 1) == 0)
			return SLIP_PLACEHOLDER;
	}
	return SLIP_NONE;
}

bool
secrets_locked(const struct secrets *set)
{
	return set == NULL || set->locked;
}

const char *
secrets_name(const struct secrets *set, size_t i)
{
	return set->secret[i].name;
}

void
secrets_free(struct secrets *set)
{
	sodium_free(set);	/* wipes */
}

static void
hmac(mac_bytes mac, struct span key, struct span body)
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.at,
	    key.len);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)body.at,
	    body.len);
	crypto_auth_hmacsha256_final(&state, mac);
	sodium_memzero(&state, sizeof(state));
}

static bool
decode(mac_bytes mac, struct span header)
{
	size_t len;

	return header.len == SIGNATURE_HEX && sodium_hex2bin(mac,
	    sizeof(mac_bytes), header.at, header.len, NULL, &len, NULL) == 0 &&
	    len == sizeof(mac_bytes);
}

enum signature
signature_form(struct span header)
{
	mac_bytes mac;

	if (header.len == 0)
		return SIGNATURE_MISSING;
	return decode(mac, header) ? SIGNATURE_VALID : SIGNATURE_LENGTH;
}

enum signature
signature_check(const struct secrets *set, struct span header,
    struct span body, size_t *which)
{
	enum signature result = signature_form(header);
	mac_bytes want, mac;

	*which = 0;
	if (result != SIGNATURE_VALID)
		return result;
	result = SIGNATURE_INVALID;
	decode(want, header);
	/* Every secret, whether or not an earlier one matched: the time does
	 * not tell which. */
	for (size_t i = 0; i < secrets_count(set); i++) {
		const struct secret *s = &set->secret[i];

		hmac(mac, (struct span){ s->key, s->len }, body);
		if (sodium_memcmp(mac, want, sizeof(mac)) == 0) {
			result = SIGNATURE_VALID;
			*which = i;
		}
	}
	sodium_memzero(mac, sizeof(mac));
	return result;
}

/* Whether some secret, bent by `bend`, signs `body` with `want`. */
typedef size_t bend_fn(char out[SECRET_MAX + 2], const struct secret *);

static bool
signs(const struct secrets *set, bend_fn *bend, const mac_bytes want,
    struct span body)
{
	char key[SECRET_MAX + 2];
	mac_bytes mac;
	bool found = false;

	for (size_t i = 0; i < set->count && !found; i++) {
		size_t len = bend(key, &set->secret[i]);

		hmac(mac, (struct span){ key, len }, body);
		found = sodium_memcmp(mac, want, sizeof(mac)) == 0;
	}
	sodium_memzero(key, sizeof(key));
	return found;
}

static size_t
bend_none(char *out, const struct secret *s)
{
	memcpy(out, s->key, s->len);
	return s->len;
}

static size_t
bend_hex(char *out, const struct secret *s)
{
	size_t len = 0;

	sodium_hex2bin((unsigned char *)out, SECRET_MAX, s->key, s->len, NULL,
	    &len, NULL);
	return len;
}

static size_t
bend_case(char *out, const struct secret *s, char from, char to)
{
	for (size_t i = 0; i < s->len; i++)
		out[i] = s->key[i] >= from && s->key[i] <= to ?
		    (char)(s->key[i] ^ 0x20) : s->key[i];
	return s->len;
}

static size_t
bend_upper(char *out, const struct secret *s)
{
	return bend_case(out, s, 'a', 'z');
}

static size_t
bend_lower(char *out, const struct secret *s)
{
	return bend_case(out, s, 'A', 'Z');
}

static size_t
bend_newline(char *out, const struct secret *s)
{
	memcpy(out, s->key, s->len);
	out[s->len] = '\n';
	return s->len + 1;
}

static size_t
bend_crlf(char *out, const struct secret *s)
{
	memcpy(out, s->key, s->len);
	memcpy(out + s->len, "\r\n", 2);
	return s->len + 2;
}

static size_t
bend_space(char *out, const struct secret *s)
{
	memcpy(out, s->key, s->len);
	out[s->len] = ' ';
	return s->len + 1;
}

static size_t
bend_before(char *out, const struct secret *s)
{
	out[0] = ' ';
	memcpy(out + 1, s->key, s->len);
	return s->len + 1;
}

static const char *
guess_secret(const struct secrets *set, const mac_bytes want,
    struct span body)
{
	static const struct {
		bend_fn		*bend;
		const char	*says;
	} bends[] = {
		{ bend_hex, "the secret decoded from hex was used as the key; "
		    "Sentry uses its text as it is printed" },
		{ bend_upper, "the secret in upper case was used as the key; "
		    "copy it as Sentry shows it" },
		{ bend_lower, "the secret in lower case was used as the key; "
		    "copy it as Sentry shows it" },
		{ bend_newline, "the secret with white space behind it (a "
		    "newline) was used as the key" },
		{ bend_crlf, "the secret with white space behind it (a "
		    "carriage return and newline) was used as the key" },
		{ bend_space, "the secret with white space behind it (a "
		    "space) was used as the key" },
		{ bend_before, "the secret with white space before it (a "
		    "space) was used as the key" },
	};

	for (size_t i = 0; i < sizeof(bends) / sizeof(bends[0]); i++)
		if (signs(set, bends[i].bend, want, body))
			return bends[i].says;
	return NULL;
}

static const char *
guess_newline(const struct secrets *set, const mac_bytes want,
    struct span body)
{
	struct text more = { 0 };
	const char *says = NULL;
	struct span less = body;

	while (less.len > 0 && (less.at[less.len - 1] == '\n' ||
	    less.at[less.len - 1] == '\r'))
		less.len--;
	if (less.len < body.len && signs(set, bend_none, want, less))
		says = "the body without its final newline was signed: "
		    "something added one, or the file has one too many";
	text_span(&more, body);
	text_str(&more, "\n");
	if (says == NULL && signs(set, bend_none, want, text_view(&more)))
		says = "the body with a final newline was signed: "
		    "something cut it off";
	text_release(&more);
	return says;
}

static const char *
guess_json(const struct secrets *set, const mac_bytes want,
    const struct json *root)
{
	static const char *const says[JSON_STYLES] = {
		[JSON_COMPACT_ASCII] = "the same JSON in compact form with "
		    "\\u escapes was signed: these bytes were re-serialised; "
		    "verify the raw body",
		[JSON_COMPACT_UTF8] = "the same JSON in compact UTF-8 was "
		    "signed: one side re-serialised it (JSON.stringify?); "
		    "sign and verify the raw body",
		[JSON_SPACED_ASCII] = "the same JSON with spaces was signed: "
		    "one side re-serialised it (json.dumps?); sign and verify "
		    "the raw body",
	};

	for (int style = 0; style < JSON_STYLES; style++) {
		struct text again = { 0 };
		bool found;

		json_write(&again, *root, (enum json_style)style);
		found = signs(set, bend_none, want, text_view(&again));
		text_release(&again);
		if (found)
			return says[style];
	}
	return NULL;
}

const char *
signature_guess(const struct secrets *set, struct span header,
    struct span body, const struct json *root)
{
	mac_bytes want;
	const char *says;

	if (!decode(want, header))
		return NULL;
	if ((says = guess_newline(set, want, body)) == NULL &&
	    (says = guess_secret(set, want, body)) == NULL && root != NULL)
		says = guess_json(set, want, root);
	return says;
}

void
signature_fingerprint(
    char hex[SIGNATURE_FINGERPRINT_HEX + 1], struct span bytes)
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, (const unsigned char *)bytes.at, bytes.len);
	sodium_bin2hex(hex, SIGNATURE_FINGERPRINT_HEX + 1, hash,
	    SIGNATURE_FINGERPRINT_HEX / 2);
}
