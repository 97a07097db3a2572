#include "base/json_member.h"

#include <math.h>
#include <stdlib.h>

#include "base/ascii.h"

void
json_member(struct text *t, const char *n)
{
	char last = t->len > 0 ? t->at[t->len - 1] : '{';

	if (last != '{' && last != '[')
		text_str(t, ",");
	text_json(t, span_of(n));
	text_str(t, ":");
}

void
json_member_string(struct text *t, const char *n, struct span s)
{
	if (s.at == NULL)
		return;
	json_member(t, n);
	text_json(t, s);
}

void
json_member_or_null(struct text *t, const char *n, struct span s)
{
	json_member(t, n);
	if (s.at == NULL)
		text_str(t, "null");
	else
		text_json(t, s);
}

void
json_member_value(struct text *t, const char *n, struct json v)
{
	if (v.kind == JSON_MISSING)
		return;
	json_member(t, n);
	json_write(t, v, JSON_COMPACT_UTF8);
}

void
json_member_id(struct text *t, const char *n, struct json v)
{
	if (json_scalar(v).at != NULL)
		json_member_string(t, n, json_scalar(v));
	else if (v.kind == JSON_NULL)
		json_member_value(t, n, v);
}

void
json_member_value_or_null(struct text *t, const char *n, struct json v)
{
	if (v.kind == JSON_MISSING)
		json_member_or_null(t, n, SPAN_NONE);
	else
		json_member_value(t, n, v);
}

void
json_member_extra(struct text *t, const char *n, struct json v)
{
	if (!json_nullish(v))
		json_member_value(t, n, v);
}

/* Skips JavaScript's white space, as parseInt() does (ECMAScript's WhiteSpace
 * and LineTerminator). */
static struct span
skip_space(struct span s)
{
	static const char *const spaces[] = { " ", "\t", "\n", "\v", "\f", "\r",
	    "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
	    "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009",
	    "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
	    "\ufeff" };
	size_t i = 0, n;

	while (i < sizeof(spaces) / sizeof(spaces[0]))
		if ((n = strlen(spaces[i])) <= s.len &&
		    memcmp(s.at, spaces[i], n) == 0) {
			s = span_behind(s, n);
			i = 0;
		} else {
			i++;
		}
	return s;
}

void
json_member_integer(struct text *t, const char *n, struct json v)
{
	struct span s = json_scalar(v);
	struct text digits = { 0 };
	size_t i, sign;
	double number = HUGE_VAL;

	s = skip_space(s);
	sign = s.len > 0 && (s.at[0] == '-' || s.at[0] == '+');
	for (i = sign; i < s.len && ascii_is_digit(s.at[i]); i++)
		;
	if (i > sign) {
		text_add(&digits, s.at, i);
		text_add(&digits, "", 1);
		if (!digits.broken)
			number = strtod(digits.at, NULL);
	}
	json_member(t, n);
	if (isinf(number))
		text_str(t, "null");
	else
		text_number(t, number);
	t->broken |= digits.broken;
	text_release(&digits);
}
