#include "hook/pii.h"

#include <arpa/inet.h>

#include "base/ascii.h"

#define IPV6_COLONS	8	/* the most: seven, or one more beside :: */

/* A letter: a byte beyond ASCII is taken for a part of one. */
static bool
is_letter(char c)
{
	return ascii_is_letter(c) || (unsigned char)c >= 0x80;
}

/* Whether a character of a script without spaces between words begins at `i`,
 * or a punctuation mark: Thai, Lao, U+2000 to U+9FFF, U+F000 and above. An
 * address in other letters ends there. */
static bool
is_wide_at(struct span t, size_t i)
{
	unsigned char lead = (unsigned char)t.at[i];
	unsigned char next = i + 1 < t.len ? (unsigned char)t.at[i + 1] : 0;

	return (lead >= 0xe2 && lead <= 0xe9) || lead >= 0xef ||
	    (lead == 0xe0 && next >= 0xb8 && next <= 0xbb);
}

/* The same of the character that ends before `i`. */
static bool
is_wide_before(struct span t, size_t from, size_t i)
{
	size_t begin = i - 1;

	while (begin > from && i - begin < 4 &&
	    ((unsigned char)t.at[begin] & 0xc0) == 0x80)
		begin--;
	return is_wide_at(t, begin);
}

static bool
is_one_of(const char *set, char c)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* ---- e-mail ---- */

/* The length of the @ at `i`, also as URLs, HTML and JSON write it; 0 if there
 * is none. */
static size_t
at_sign_length(struct span t, size_t i)
{
	static const char *const forms[] = { "@", "%40", "%2540", "&#64;",
	    "&commat;", "\\u0040" };

	if (!is_one_of("@%&\\", t.at[i]))
		return 0;
	for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++) {
		size_t n = strlen(forms[k]);

		if (i + n <= t.len && memcmp(t.at + i, forms[k], n) == 0)
			return n;
	}
	return 0;
}

/* The index at which the mailbox begins that ends before `i`; `from` at the
 * least, `i` if there is none. A quote belongs to it within a name (o'brien),
 * not around it. */
static size_t
mailbox_begin(struct span t, size_t from, size_t i)
{
	bool wide = i > from && is_wide_before(t, from, i);

	while (i > from) {
		char c = t.at[i - 1];

		/* A wide part and a dot may be before it. */
		if (!wide && (unsigned char)c >= 0x80 &&
		    is_wide_before(t, from, i)) {
			wide = i < t.len && t.at[i] == '.';
			if (!wide)
				break;
		}
		if (!is_letter(c) && !ascii_is_digit(c) &&
		    !is_one_of("._%+-~", c) &&
		    (c != '\'' || i - 1 == from || !is_letter(t.at[i - 2])))
			break;
		i--;
	}
	return i;
}

/* The index behind the domain that begins at `i`: labels with dots between
 * them, of which the last has two characters or more and is no number. 0 if
 * there is none. */
static size_t
domain_end(struct span t, size_t i)
{
	size_t from = i, dot;
	bool wide = false;

	while (i < t.len && (is_letter(t.at[i]) || ascii_is_digit(t.at[i]) ||
	    is_one_of(".-", t.at[i]))) {
		/* Labels may be wide, the whole of each. */
		if (!wide && is_wide_at(t, i)) {
			wide = i == from || t.at[i - 1] == '.';
			if (!wide)
				break;
		}
		i++;
	}
	while (i > from && is_one_of(".-", t.at[i - 1]))
		i--;
	for (dot = i; dot > from && t.at[dot - 1] != '.'; dot--)
		;
	return dot < from + 2 || i < dot + 2 || !is_letter(t.at[dot]) ? 0 : i;
}

static bool
email_at(struct span t, size_t from, size_t i, struct span *what)
{
	size_t n = at_sign_length(t, i), begin, end;

	/* The domain first: it is cheap to see that there is none. */
	if (n == 0 || (end = domain_end(t, i + n)) == 0 ||
	    (begin = mailbox_begin(t, from, i)) == i)
		return false;
	*what = (struct span){ t.at + begin, end - begin };
	return true;
}

/* ---- IP ---- */

static bool
ipv4_at(struct span t, size_t i, struct span *what)
{
	size_t k = i;

	if (!ascii_is_digit(t.at[i]) ||
	    (i > 0 && ascii_is_digit(t.at[i - 1])) ||
	    (i > 1 && t.at[i - 1] == '.' && ascii_is_digit(t.at[i - 2])))
		return false;
	for (int part = 0; part < 4; part++) {
		unsigned n = 0, digits = 0;

		if (part > 0 && (k == t.len || t.at[k++] != '.'))
			return false;
		while (k < t.len && ascii_is_digit(t.at[k]) && digits++ < 4)
			n = n * 10 + (unsigned)(t.at[k++] - '0');
		if (digits == 0 || digits > 3 || n > 255)
			return false;
	}
	if (k + 1 < t.len && t.at[k] == '.' && ascii_is_digit(t.at[k + 1]))
		return false;
	*what = (struct span){ t.at + i, k - i };
	return true;
}

static bool
is_hex(char c)
{
	return ascii_hex_value(c) >= 0;
}

/* The length of the colon at `i`, which URLs write %3A; 0 if there is none. */
static size_t
colon_length(struct span t, size_t i)
{
	if (t.at[i] == ':')
		return 1;
	return i + 3 <= t.len && t.at[i] == '%' && t.at[i + 1] == '3' &&
	    ascii_lower(t.at[i + 2]) == 'a' ? 3 : 0;
}

/* Whether an address may begin at `i`: not amid hex digits, unless these are an
 * escape of a URL (%5B is a bracket). */
static bool
is_ipv6_begin(struct span t, size_t i)
{
	if (!is_hex(t.at[i]) && colon_length(t, i) == 0)
		return false;
	return i == 0 || !is_hex(t.at[i - 1]) ||
	    (i > 2 && t.at[i - 3] == '%' && is_hex(t.at[i - 2]));
}

/* An IPv6 address at `i`. What has no digit is taken for the name of something
 * in a program, as Abc::Def. */
static bool
ipv6_at(struct span t, size_t i, struct span *what)
{
	char copy[INET6_ADDRSTRLEN];
	size_t n = 0, end = i, colons = 0, digits = 0, c = 0;
	struct in6_addr address;

	if (!is_ipv6_begin(t, i))
		return false;
	while (end < t.len && ((c = colon_length(t, end)) > 0 ||
	    is_hex(t.at[end]) || t.at[end] == '.')) {
		colons += c > 0;
		if (n == sizeof(copy) - 1 || colons > IPV6_COLONS)
			return false;
		digits += ascii_is_digit(t.at[end]);
		copy[n++] = c > 0 ? ':' : t.at[end];
		end += c > 0 ? c : 1;
	}
	/* A full stop or colon behind the address is the sentence's. */
	while (n > 2 && (copy[n - 1] == '.' ||
	    (copy[n - 1] == ':' && copy[n - 2] != ':'))) {
		n--;
		end -= t.at[end - 1] == '.' || t.at[end - 1] == ':' ? 1 : 3;
	}
	copy[n] = '\0';
	if (colons < 2 || digits == 0 ||
	    inet_pton(AF_INET6, copy, &address) != 1)
		return false;
	*what = (struct span){ t.at + i, end - i };
	return true;
}

enum pii
pii_find(struct span t, size_t *from, struct span *what)
{
	enum pii found = PII_NONE;
	size_t i;

	for (i = *from; i < t.len && found == PII_NONE; i++)
		if (email_at(t, *from, i, what))
			found = PII_EMAIL;
		else if (ipv6_at(t, i, what) || ipv4_at(t, i, what))
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
		folded[n++] = ascii_lower(c);
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
		NULL
	};

	return pii_listed(folded, names) || pii_name(folded);
}

bool
pii_data(struct span folded)
{
	static const char *const names[] = {
		"authorization", "breadcrumbs", "cookie", "cookies", "extra",
		"geo", "usergeo", "headers", "httpquery", "querystring",
		"setcookie", "urlquery", "userdata", "vars", NULL
	};

	return pii_listed(folded, names);
}

bool
pii_same(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.at[i]) != ascii_lower(b.at[i]))
			return false;
	return true;
}
