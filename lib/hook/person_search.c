#include "hook/person_search.h"

#include <arpa/inet.h>

#include "base/ascii.h"
#include "base/text.h"

#define DISTINCT_BYTES	16	/* so long a word is no one else's */
#define DECODE_TIMES	2	/* a URL within a URL */

/* ---- addresses ---- */

/* Reads an IP address; IPv4 as IPv6 has it (::ffff:1.2.3.4), so that both are
 * the same. `s` may write colons as %3A. */
static bool
parse_ip(struct span s, struct in6_addr *ip)
{
	static const char mapped[] = "::ffff:";
	char copy[sizeof(mapped) + INET6_ADDRSTRLEN];
	size_t n = 0;

	if (memchr(s.at, ':', s.len) == NULL &&
	    memchr(s.at, '%', s.len) == NULL)
		n = sizeof(mapped) - 1;
	memcpy(copy, mapped, n);
	for (size_t i = 0; i < s.len; i++) {
		bool escape = s.at[i] == '%' && i + 2 < s.len;

		if (n == sizeof(copy) - 1)
			return false;
		copy[n++] = escape ? ':' : s.at[i];
		i += escape ? 2 : 0;
	}
	copy[n] = '\0';
	return inet_pton(AF_INET6, copy, ip) == 1;
}

/* Whether it is meant as an e-mail address, of any script. */
static bool
is_address(struct span who)
{
	const char *at = who.len == 0 ? NULL : memchr(who.at, '@', who.len);

	for (size_t i = 0; i < who.len; i++)
		if (span_is_white(who.at[i]))
			return false;
	return at != NULL && at != who.at && memchr(at, '.',
	    who.len - (size_t)(at - who.at)) != NULL;
}

struct person_search
person_search_of(struct span who)
{
	struct person_search p = { .who = span_trimmed(who) };
	struct span found;
	size_t from = 0;

	p.kind = pii_find(p.who, &from, &found);
	if (is_address(p.who))
		p.kind = PII_EMAIL;
	else if (p.kind != PII_NONE && (found.len != p.who.len ||
	    (p.kind == PII_IP && !parse_ip(p.who, &p.ip))))
		p.kind = PII_NONE;
	return p;
}

/* What was found may have hex digits and a colon before the address, as in
 * `code:2001:db8::1`. */
static bool
holds_ip(struct span text, const struct in6_addr *who)
{
	struct in6_addr ip;
	struct span found;
	size_t from = 0;
	enum pii kind;

	while ((kind = pii_find(text, &from, &found)) != PII_NONE)
		for (size_t i = 0; i < found.len && kind == PII_IP; i++)
			if ((i == 0 || found.at[i - 1] == ':') &&
			    parse_ip(span_behind(found, i), &ip) &&
			    memcmp(&ip, who, sizeof(ip)) == 0)
				return true;
	return false;
}

static bool
is_alnum(char c)
{
	return ascii_is_letter(c) || ascii_is_digit(c);
}

/* Whether what ends before `i` is an escape, as `\n`, `\x3c` or `\u003c`. */
static bool
is_escape_before(struct span t, size_t i)
{
	return (i > 1 && t.at[i - 2] == '\\') ||
	    (i > 3 && t.at[i - 4] == '\\' && t.at[i - 3] == 'x') ||
	    (i > 5 && t.at[i - 6] == '\\' && t.at[i - 5] == 'u');
}

/* Whether the mailbox at `i` may begin there: `n@b.io` is no part of
 * `ann@b.io`, nor of `jo.n@b.io`; but `_n@b.io_` is meant to be slanted. */
static bool
may_begin(struct span t, size_t i)
{
	size_t k = i;

	while (k > 0 && strchr("._+-~", t.at[k - 1]) != NULL &&
	    t.at[k - 1] != '\0')
		k--;
	return k == 0 || !is_alnum(t.at[k - 1]) ||
	    (k == i && is_escape_before(t, i));
}

/* Whether the domain before `i` may end there. A dot and a small letter would
 * go on with it; behind a dot and a great one begins a sentence. */
static bool
may_end(struct span t, size_t i)
{
	if (i == t.len)
		return true;
	if (t.at[i] == '-')
		return i + 1 == t.len || !is_alnum(t.at[i + 1]);
	if (t.at[i] != '.' || i + 1 == t.len)
		return !is_alnum(t.at[i]);
	return !ascii_is_digit(t.at[i + 1]) &&
	    (t.at[i + 1] < 'a' || t.at[i + 1] > 'z');
}

static bool
holds_email(struct span t, struct span who)
{
	for (size_t i = 0; i + who.len <= t.len; i++)
		if (pii_same((struct span){ t.at + i, who.len }, who) &&
		    may_begin(t, i) && may_end(t, i + who.len))
			return true;
	return false;
}

/* Replaces each %XX by its byte. */
static void
decode(struct text *out, struct span t)
{
	for (size_t i = 0; i < t.len; i++) {
		int high = -1, low = -1;
		char c = t.at[i];

		if (c == '%' && i + 2 < t.len) {
			high = ascii_hex_value(t.at[i + 1]);
			low = ascii_hex_value(t.at[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			c = (char)(high << 4 | low);
			i += 2;
		}
		text_add(out, &c, 1);
	}
}

static bool
holds_address(struct person_search *p, struct span t)
{
	struct text decoded[DECODE_TIMES] = { { 0 } };
	bool found = false;

	for (int i = 0; !found; i++) {
		found = p->kind == PII_IP ? holds_ip(t, &p->ip) :
		    holds_email(t, p->who);
		if (i == DECODE_TIMES || t.len == 0 ||
		    memchr(t.at, '%', t.len) == NULL)
			break;
		decode(&decoded[i], t);
		if (decoded[i].broken) {
			p->broken = true;
			break;
		}
		t = text_view(&decoded[i]);
	}
	for (int i = 0; i < DECODE_TIMES; i++)
		text_release(&decoded[i]);
	return found;
}

/* ---- ids and names ---- */

static bool
has_words(struct span who)
{
	return memchr(who.at, ' ', who.len) != NULL;
}

/* The length of the name at `i`, of which each space may be several, there and
 * here; 0 if it is not there. */
static size_t
name_length(struct span t, size_t i, struct span who)
{
	size_t from = i;

	for (size_t k = 0; k < who.len; k++) {
		if (i == t.len || (span_is_white(who.at[k]) ?
		    !span_is_white(t.at[i]) :
		    ascii_lower(t.at[i]) != ascii_lower(who.at[k])))
			return 0;
		i++;
		if (!span_is_white(who.at[k]))
			continue;
		while (i < t.len && span_is_white(t.at[i]))
			i++;
		while (k + 1 < who.len && span_is_white(who.at[k + 1]))
			k++;
	}
	return i - from;
}

/* Whether the text holds a name of several words, as whole words. */
static bool
holds_name(struct span t, struct span who)
{
	for (size_t i = 0; i < t.len; i++) {
		size_t n = name_length(t, i, who);

		if (n > 0 && (i == 0 || !is_alnum(t.at[i - 1])) &&
		    (i + n == t.len || !is_alnum(t.at[i + n])))
			return true;
	}
	return false;
}

static bool
is_person(struct span text, struct span who)
{
	text = span_trimmed(text);
	return pii_same(text, who) || (has_words(who) && holds_name(text, who));
}

bool
person_search_in_text(struct person_search *p, struct span text,
    enum redact_rule rule)
{
	const char *colon;

	if (p->who.len == 0)
		return false;
	if (p->kind != PII_NONE)
		return holds_address(p, text);
	if (rule == REDACT_DATA ? has_words(p->who) ||
	    p->who.len >= DISTINCT_BYTES : rule == REDACT_CALLED ||
	    rule == REDACT_USER || rule == REDACT_ID || redact_rule_drops(rule))
		if (is_person(text, p->who))
			return true;
	/* A tag's value: `id:1`, `username:ada`. */
	if (rule != REDACT_USER || text.len == 0 ||
	    (colon = memchr(text.at, ':', text.len)) == NULL)
		return false;
	return is_person(span_behind(text, (size_t)(colon + 1 - text.at)),
	    p->who);
}

bool
person_search_in_scalar(const struct person_search *p, struct span s,
    enum redact_rule rule)
{
	return (rule == REDACT_USER || rule == REDACT_ID ||
	    rule == REDACT_DROP) && s.len > 0 && (s.at[0] == '-' ||
	    ascii_is_digit(s.at[0])) && pii_same(s, p->who);
}

bool
person_search_in_bytes(struct person_search *p, struct span body)
{
	if (p->kind != PII_NONE)
		return holds_address(p, body);
	for (size_t i = 0; p->who.len > 0 && i + p->who.len <= body.len; i++)
		if (pii_same((struct span){ body.at + i, p->who.len }, p->who))
			return true;
	return false;
}
