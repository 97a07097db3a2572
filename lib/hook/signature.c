#include "hook/signature.h"

#include <sodium.h>

#include "base/json.h"

typedef unsigned char mac_bytes[crypto_auth_hmacsha256_BYTES];

int
signature_start(void)
{
	return sodium_init() < 0 ? -1 : 0;
}

void
signature_fingerprint(char hex[SIGNATURE_FINGERPRINT_HEX + 1],
    struct span bytes)
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, (const unsigned char *)bytes.at, bytes.len);
	sodium_bin2hex(hex, SIGNATURE_FINGERPRINT_HEX + 1, hash,
	    SIGNATURE_FINGERPRINT_HEX / 2);
}

static void
signature_hmac(mac_bytes mac, struct span key, struct span body)
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
decode_signature(mac_bytes mac, struct span header)
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
	return decode_signature(mac, header) ? SIGNATURE_VALID :
	    SIGNATURE_LENGTH;
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
	decode_signature(want, header);
	/* Every secret, whether or not an earlier one matched: the time does
	 * not tell which. */
	for (size_t i = 0; i < secrets_count(set); i++) {
		signature_hmac(mac, secrets_key(set, i), body);
		if (sodium_memcmp(mac, want, sizeof(mac)) == 0) {
			result = SIGNATURE_VALID;
			*which = i;
		}
	}
	sodium_memzero(mac, sizeof(mac));
	return result;
}

/* ---- guessing what went wrong ---- */

/* How a key differs that somebody may take for the secret by mistake. */
struct bend {
	const char	*before, *behind;	/* white space */
	char		 from, to;		/* letters whose case changes */
	bool		 hex;			/* decoded */
};

#define BEND_MAX	2	/* bytes of white space */

static size_t
bend_key(char out[SECRET_MAX + BEND_MAX], const struct bend *b,
    struct span key)
{
	size_t n = strlen(b->before), decoded;

	if (b->hex) {
		sodium_hex2bin((unsigned char *)out, SECRET_MAX, key.at,
		    key.len, NULL, &decoded, NULL);
		return decoded;
	}
	memcpy(out, b->before, n);
	for (size_t i = 0; i < key.len; i++, n++)
		out[n] = key.at[i] >= b->from && key.at[i] <= b->to ?
		    (char)(key.at[i] ^ 0x20) : key.at[i];
	memcpy(out + n, b->behind, strlen(b->behind));
	return n + strlen(b->behind);
}

static const struct bend unbent = { "", "", '\1', '\0', false };

/* Whether a secret, bent so, signs `body` with `want`. */
static bool
any_secret_signs(const struct secrets *set, const struct bend *b,
    const mac_bytes want, struct span body)
{
	char key[SECRET_MAX + BEND_MAX];
	mac_bytes mac;
	bool found = false;

	for (size_t i = 0; i < secrets_count(set) && !found; i++) {
		size_t len = bend_key(key, b, secrets_key(set, i));

		signature_hmac(mac, (struct span){ key, len }, body);
		found = sodium_memcmp(mac, want, sizeof(mac)) == 0;
	}
	sodium_memzero(key, sizeof(key));
	return found;
}

static const char *
guess_secret(const struct secrets *set, const mac_bytes want,
    struct span body)
{
	static const struct {
		struct bend	 bend;
		const char	*says;
	} bends[] = {
		{ { "", "", '\1', '\0', true }, "the secret decoded from hex "
		    "was used as the key; Sentry uses its text as it is "
		    "printed" },
		{ { "", "", 'a', 'z', false }, "the secret in upper case was "
		    "used as the key; copy it as Sentry shows it" },
		{ { "", "", 'A', 'Z', false }, "the secret in lower case was "
		    "used as the key; copy it as Sentry shows it" },
		{ { "", "\n", '\1', '\0', false }, "the secret with white "
		    "space behind it (a newline) was used as the key" },
		{ { "", "\r\n", '\1', '\0', false }, "the secret with white "
		    "space behind it (a carriage return and newline) was used "
		    "as the key" },
		{ { "", " ", '\1', '\0', false }, "the secret with white "
		    "space behind it (a space) was used as the key" },
		{ { " ", "", '\1', '\0', false }, "the secret with white "
		    "space before it (a space) was used as the key" },
	};

	for (size_t i = 0; i < sizeof(bends) / sizeof(bends[0]); i++)
		if (any_secret_signs(set, &bends[i].bend, want, body))
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
	if (less.len < body.len && any_secret_signs(set, &unbent, want, less))
		says = "the body without its final newline was signed: "
		    "something added one, or the file has one too many";
	text_span(&more, body);
	text_str(&more, "\n");
	if (says == NULL &&
	    any_secret_signs(set, &unbent, want, text_view(&more)))
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
		found = any_secret_signs(set, &unbent, want, text_view(&again));
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

	if (!decode_signature(want, header))
		return NULL;
	if ((says = guess_newline(set, want, body)) == NULL &&
	    (says = guess_secret(set, want, body)) == NULL && root != NULL)
		says = guess_json(set, want, root);
	return says;
}
