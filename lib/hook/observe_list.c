#include "hook/observe_list.h"

static bool
name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

/* The next entry of a list, off its front; empty at the end. */
static struct span
next_entry(struct span *list)
{
	static const char stops[] = " \t\r\n,";
	struct span e;

	while (list->len > 0 && memchr(stops, list->at[0], sizeof(stops) - 1))
		list->at++, list->len--;
	e = (struct span){ list->at, 0 };
	while (list->len > 0 && !memchr(stops, list->at[0], sizeof(stops) - 1))
		list->at++, list->len--, e.len++;
	return e;
}

bool
observe_list_word(struct span list, struct span word)
{
	struct span e;

	while ((e = next_entry(&list)).len > 0)
		if (span_same(e, word))
			return true;
	return false;
}

static bool
entry_matches(struct span e, struct span resource, struct span action)
{
	if (span_is(e, "*"))
		return true;
	if (e.len <= resource.len ||
	    memcmp(e.at, resource.at, resource.len) != 0 ||
	    e.at[resource.len] != '.')
		return false;
	e.at += resource.len + 1;
	e.len -= resource.len + 1;
	return span_is(e, "*") || (e.len > 0 && e.len == action.len &&
	    memcmp(e.at, action.at, e.len) == 0);
}

bool
observe_list_has(struct span list, struct span resource, struct span action)
{
	struct span e;

	while ((e = next_entry(&list)).len > 0)
		if (entry_matches(e, resource, action))
			return true;
	return false;
}

bool
observe_list_valid(struct span list)
{
	struct span e;

	while ((e = next_entry(&list)).len > 0) {
		const char *dot = memchr(e.at, '.', e.len);
		size_t i, head = dot == NULL ? 0 : (size_t)(dot - e.at);

		if (span_is(e, "*"))
			continue;
		if (head == 0 || head + 1 == e.len)
			return false;
		for (i = 0; i < e.len; i++)
			if (!name_byte(e.at[i]) &&
			    !(e.at[i] == '*' && i == head + 1 &&
			    i + 1 == e.len))
				return false;
	}
	return true;
}
