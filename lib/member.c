#include "member.h"

void
member(struct text *t, const char *n)
{
	char last = t->len > 0 ? t->at[t->len - 1] : '{';

	if (last != '{' && last != '[')
		text_str(t, ",");
	text_json(t, span_of(n));
	text_str(t, ":");
}

void
member_string(struct text *t, const char *n, struct span s)
{
	if (s.at == NULL)
		return;
	member(t, n);
	text_json(t, s);
}

void
member_or_null(struct text *t, const char *n, struct span s)
{
	member(t, n);
	if (s.at == NULL)
		text_str(t, "null");
	else
		text_json(t, s);
}

void
member_value(struct text *t, const char *n, struct json v)
{
	if (v.kind == JSON_MISSING)
		return;
	member(t, n);
	json_write(t, v, JSON_COMPACT_UTF8);
}

void
member_id(struct text *t, const char *n, struct json v)
{
	if (json_scalar(v).at != NULL)
		member_string(t, n, json_scalar(v));
	else if (v.kind == JSON_NULL)
		member_value(t, n, v);
}

void
member_value_or_null(struct text *t, const char *n, struct json v)
{
	if (v.kind == JSON_MISSING)
		member_or_null(t, n, (struct span){ NULL, 0 });
	else
		member_value(t, n, v);
}

void
member_extra(struct text *t, const char *n, struct json v)
{
	if (!json_nullish(v))
		member_value(t, n, v);
}

void
member_integer(struct text *t, const char *n, struct json v)
{
	struct span s = json_scalar(v);
	bool minus = false;
	int64_t number = 0;
	size_t i = 0, digits;

	member(t, n);
	while (i < s.len && strchr(" \t\n\r\v\f", s.at[i]) != NULL &&
	    s.at[i] != '\0')
		i++;
	if (i < s.len && (s.at[i] == '-' || s.at[i] == '+'))
		minus = s.at[i++] == '-';
	for (digits = 0; i < s.len && s.at[i] >= '0' && s.at[i] <= '9'; i++)
		if (number > 0 || s.at[i] != '0' || digits == 0) {
			if (++digits > 18)
				break;
			number = number * 10 + (s.at[i] - '0');
		}
	if (digits == 0 || digits > 18)
		text_str(t, "null");
	else
		text_int(t, minus ? -number : number);
}
