#include "hook/observe_list.h"

#include "base/ascii.h"

bool
observe_list_word(struct span list, struct span word)
{
	struct span e;

	while ((e = span_take_word(&list, ',')).len > 0)
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
	e = span_behind(e, resource.len + 1);
	return span_is(e, "*") || (e.len > 0 && span_same(e, action));
}

bool
observe_list_has(struct span list, struct span resource, struct span action)
{
	struct span e;

	while ((e = span_take_word(&list, ',')).len > 0)
		if (entry_matches(e, resource, action))
			return true;
	return false;
}

bool
observe_list_valid(struct span list)
{
	struct span e;

	while ((e = span_take_word(&list, ',')).len > 0) {
		const char *dot = memchr(e.at, '.', e.len);
		size_t i, head = dot == NULL ? 0 : (size_t)(dot - e.at);

		if (span_is(e, "*"))
			continue;
		if (head == 0 || head + 1 == e.len)
			return false;
		for (i = 0; i < e.len; i++)
			if (!ascii_is_name(e.at[i]) &&
			    !(e.at[i] == '*' && i == head + 1 &&
			    i + 1 == e.len))
				return false;
	}
	return true;
}
