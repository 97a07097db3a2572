#include "hook/pii.h"

#include <arpa/inet.h>

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (unsigned char)c >= 0x80;
}

static bool
one_of(const char *set, char c)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* ---- e-mail ---- */

/* The @ at `i`, which URLs write %40: its length, 0 for none. */
static size_t
at_sign(struct span t, size_t i)
{
	if (t.at[i] == '@')
		return 1;
	return i + 3 <= t.len && memcmp(t.at + i, "%40", 3) == 0 ? 3 : 0;
}

/* Where the mailbox that ends before `i` begins, not before `from`. A quote
 * belongs to it within a name (o'brien), not around it. */
static size_t
mailbox(struct span t, size_t from, size_t i)
{
	while (i > from) {
		char c = t.at[i - 1];

		if (!letter(c) && !digit(c) && !one_of("._%+-~", c) &&
		    (c != '\'' || i - 1 == from || !letter(t.at[i - 2])))
			break;
		i--;
	}
	return i;
}

/* Where the domain that begins at `i` ends: labels with a dot between them,
 * the last one of two characters or more and no number. 0: there is none. */
static size_t
domain(struct span t, size_t i)
{
	size_t from = i, dot;

	while (i < t.len && (letter(t.at[i]) || digit(t.at[i]) ||
	    one_of(".-", t.at[i])))
		i++;
	while (i > from && one_of(".-", t.at[i - 1]))
		i--;
	for (dot = i; dot > from && t.at[dot - 1] != '.'; dot--)
		;
	return dot < from + 2 || i < dot + 2 || !letter(t.at[dot]) ? 0 : i;
}

static bool
email(struct span t, size_t from, size_t i, struct span *what)
{
	size_t n = at_sign(t, i), begin, end;

	/* The domain first: a mailbox may be long, and looked for in vain. */
	if (n == 0 || (end = domain(t, i + n)) == 0 ||
	    (begin = mailbox(t, from, i)) == i)
		return false;
	*what = (struct span){ t.at + begin, end - begin };
	return true;
}

/* ---- IP ---- */

static bool
ipv4(struct span t, size_t i, struct span *what)
{
	size_t k = i;

	if (!digit(t.at[i]) || (i > 0 && digit(t.at[i - 1])) ||
	    (i > 1 && t.at[i - 1] == '.' && digit(t.at[i - 2])))
		return false;
	for (int part = 0; part < 4; part++) {
		unsigned n = 0, digits = 0;

		if (part > 0 && (k == t.len || t.at[k++] != '.'))
			return false;
		while (k < t.len && digit(t.at[k]) && digits++ < 4)
			n = n * 10 + (unsigned)(t.at[k++] - '0');
		if (digits == 0 || digits > 3 || n > 255)
			return false;
	}
	if (k + 1 < t.len && t.at[k] == '.' && digit(t.at[k + 1]))
		return false;
	*what = (struct span){ t.at + i, k - i };
	return true;
}

static bool
hex(char c)
{
	return digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

/* A run of what IPv6 is made of that is an address. One without any digit is
 * taken for the name of something in a program: Abc::Def. */
static bool
ipv6(struct span t, size_t i, struct span *what)
{
	char copy[INET6_ADDRSTRLEN];
	size_t n = 0, colons = 0, digits = 0;
	struct in6_addr address;

	if ((!hex(t.at[i]) && t.at[i] != ':') ||
	    (i > 0 && hex(t.at[i - 1])))
		return false;
	while (i + n < t.len && (hex(t.at[i + n]) ||
	    one_of(":.", t.at[i + n]))) {
		if (n == sizeof(copy) - 1)
			return false;
		colons += t.at[i + n] == ':';
		digits += digit(t.at[i + n]);
		copy[n] = t.at[i + n];
		n++;
	}
	/* The end of a sentence, or of a clause. */
	while (n > 2 && (copy[n - 1] == '.' ||
	    (copy[n - 1] == ':' && copy[n - 2] != ':')))
		n--;
	copy[n] = '\0';
	if (colons < 2 || digits == 0 ||
	    inet_pton(AF_INET6, copy, &address) != 1)
		return false;
	*what = (struct span){ t.at + i, n };
	return true;
}

enum pii
pii_find(struct span t, size_t *from, struct span *what)
{
	enum pii found = PII_NONE;
	size_t i;

	for (i = *from; i < t.len && found == PII_NONE; i++)
		if (email(t, *from, i, what))
			found = PII_EMAIL;
		else if (ipv6(t, i, what) || ipv4(t, i, what))
			found = PII_IP;
	*from = found == PII_NONE ? t.len :
	    (size_t)(what->at - t.at) + what->len;
	return found;
}

/* ---- names ---- */

struct span
pii_fold(char folded[PII_FOLDED], struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];

		if (c == '_' || c == '-' || c == '.' || c == ' ')
			continue;
		if (n == PII_FOLDED)
			return (struct span){ folded, 0 };
		folded[n++] = lower(c);
	}
	return (struct span){ folded, n };
}

bool
pii_listed(struct span name, const char *const *list)
{
	/* Nearly every name differs in its first byte. */
	for (; name.len > 0 && *list != NULL; list++)
		if (**list == name.at[0] && span_is(name, *list))
			return true;
	return false;
}

bool
pii_name(struct span folded)
{
	static const char *const names[] = {
		"contactname", "customername", "fullname", "reportername",
		"userfullname", NULL
	};

	return pii_listed(folded, names);
}

bool
pii_member(struct span folded)
{
	static const char *const names[] = {
		/* addresses */
		"email", "emailaddress", "useremail", "contactemail",
		"customeremail", "reporteremail", "ip", "ipaddress", "userip",
		"useripaddress", "clientip", "remoteip", "remoteaddr",
		"clientaddress", "httpclientip", "xforwardedfor", "forwarded",
		"xrealip", "xclientip", "trueclientip", "cfconnectingip",
		/* parts of a name, and what somebody calls himself */
		"username", "userusername", "firstname", "lastname", "surname",
		/* what the application knew of its user when it failed */
		"authorization", "breadcrumbs", "cookie", "cookies", "extra",
		"geo", "usergeo", "headers", "httpquery", "querystring",
		"setcookie", "urlquery", "userdata", "vars", NULL
	};

	return pii_listed(folded, names) || pii_name(folded);
}

bool
pii_same(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.at[i]) != lower(b.at[i]))
			return false;
	return true;
}
