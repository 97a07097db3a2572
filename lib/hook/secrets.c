#include "hook/secrets.h"

#include <stdio.h>

#include <sodium.h>

#include "base/ascii.h"

/* What some editors put before UTF-8 (U+FEFF). It is no part of a secret. */
#define BYTE_ORDER_MARK	"\xef\xbb\xbf"

#define SECRET_DIGITS	32	/* so many hex digits may be a secret */

struct secret {
	char	name[SECRET_NAME_MAX + 1];
	char	key[SECRET_MAX];
	size_t	len;		/* bytes of the key */
};

struct secrets {
	enum secrets_form form;
	size_t		count;
	unsigned	bad_line;
	bool		locked;		/* never written to swap */
	struct secret	secret[SECRETS_MAX];
};

/* A control character in a secret means that the file is not the secrets
 * file. */
static bool
is_printable(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f)
			return false;
	return true;
}

bool
secrets_is_hex(struct span s)
{
	size_t n = 0;

	while (n < s.len && ascii_hex_value(s.at[n]) >= 0)
		n++;
	return n == s.len && n >= SECRET_DIGITS;
}

/* A name that may be a secret is not used: names are in logs and metrics. */
static bool
secrets_add(struct secrets *set, struct span name, struct span key)
{
	struct secret *s;

	if (key.len == 0)	/* an empty line */
		return true;
	if (set->count == SECRETS_MAX || key.len < SECRET_MIN ||
	    key.len > SECRET_MAX || name.len > SECRET_NAME_MAX ||
	    !is_printable(key) || !is_printable(name))
		return false;
	s = &set->secret[set->count++];
	memcpy(s->key, key.at, key.len);
	s->len = key.len;
	if (name.len > 0 && !secrets_is_hex(name))
		memcpy(s->name, name.at, name.len);
	else
		snprintf(s->name, sizeof(s->name), "%s-%zu", set->form ==
		    SECRETS_LIST ? "environment" : "secret", set->count);
	return true;
}

/* A line of a file: `secret` or `name secret`, and a comment behind it. Of
 * `secret name` the name would become the key, which can be guessed. */
static bool
secrets_add_line(struct secrets *set, struct span line)
{
	const char *comment = memchr(line.at, '#', line.len);
	struct span first, second;

	if (comment != NULL)
		line.len = (size_t)(comment - line.at);
	first = span_take_word(&line, ' ');
	second = span_take_word(&line, ' ');
	if (second.len == 0)
		return secrets_add(set, second, first);
	return span_take_word(&line, ' ').len == 0 &&
	    (!secrets_is_hex(first) || secrets_is_hex(second)) &&
	    secrets_add(set, first, second);
}

struct secrets *
secrets_read(struct span bytes, enum secrets_form form)
{
	const size_t mark = sizeof(BYTE_ORDER_MARK) - 1;
	struct secrets *set = sodium_malloc(sizeof(*set));
	unsigned line;
	bool good;

	if (set == NULL)
		return NULL;
	sodium_memzero(set, sizeof(*set));
	set->form = form;
	if (form == SECRETS_FILE && bytes.len >= mark &&
	    memcmp(bytes.at, BYTE_ORDER_MARK, mark) == 0)
		bytes = span_behind(bytes, mark);
	/* sodium_malloc() has tried to, and did not say whether it could. */
	set->locked = sodium_mlock(set, sizeof(*set)) == 0;
	for (line = 1; bytes.len > 0; line++) {
		if (form == SECRETS_FILE)
			good = secrets_add_line(set, span_take_line(&bytes));
		else
			good = secrets_add(set, SPAN_NONE,
			    span_take_word(&bytes, ','));
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

const char *
secrets_name(const struct secrets *set, size_t i)
{
	return set->secret[i].name;
}

struct span
secrets_key(const struct secrets *set, size_t i)
{
	return (struct span){ set->secret[i].key, set->secret[i].len };
}

bool
secrets_same_key(const struct secrets *a, size_t i, const struct secrets *b,
    size_t j)
{
	struct span k = secrets_key(a, i), other = secrets_key(b, j);

	return k.len == other.len && sodium_memcmp(k.at, other.at,
	    k.len) == 0;
}

bool
secrets_locked(const struct secrets *set)
{
	return set == NULL || set->locked;
}

void
secrets_free(struct secrets *set)
{
	sodium_free(set);	/* wipes */
}

/* ---- slips of the person who wrote them ---- */

static bool
is_quoted(struct span key)
{
	return (key.at[0] == '"' || key.at[0] == '\'') &&
	    key.at[key.len - 1] == key.at[0];
}

/* A name as shells have them, `=', and what is long enough for a secret. */
static bool
is_assignment(struct span key)
{
	size_t n = 0;

	while (n < key.len && (key.at[n] == '_' ||
	    ascii_is_letter(key.at[n]) ||
	    (n > 0 && ascii_is_digit(key.at[n]))))
		n++;
	return n > 0 && n < key.len && key.at[n] == '=' &&
	    key.len - n > SECRET_MIN;
}

static bool
secrets_any_hex(const struct secrets *set)
{
	for (size_t i = 0; i < secrets_count(set); i++)
		if (secrets_is_hex(secrets_key(set, i)))
			return true;
	return false;
}

enum secrets_slip
secrets_slip(const struct secrets *set, const char **name)
{
	static const char placeholder[] = "YOUR-";

	for (size_t i = 0; i < secrets_count(set); i++) {
		struct span key = secrets_key(set, i);

		*name = secrets_name(set, i);
		if (is_quoted(key))
			return SLIP_QUOTES;
		if (is_assignment(key))
			return SLIP_ASSIGNMENT;
		if (memcmp(key.at, placeholder, sizeof(placeholder) - 1) == 0)
			return SLIP_PLACEHOLDER;
		if (set->form == SECRETS_LIST && !secrets_is_hex(key) &&
		    secrets_any_hex(set))
			return SLIP_NAME;
	}
	return SLIP_NONE;
}
