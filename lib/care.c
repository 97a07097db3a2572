#include "care.h"

#include "personal.h"

static bool
listed(struct span name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (span_is(name, *list))
			return true;
	return false;
}

static enum care
care_of_context(struct span name)
{
	static const char *const from_sdk[] = {
		"app", "browser", "client_os", "cloud_resource", "culture",
		"gpu", "memory_info", "monitor", "os", "otel", "profile",
		"replay", "runtime", "threadpool_info", "trace", "unity",
		NULL
	};

	if (span_is(name, "device"))
		return CARE_NAMED;
	return listed(name, from_sdk) ? CARE_TEXT : CARE_DROP;
}

/* The team's own doings stand in four places, counted from the root. */
static bool
team(struct span name, unsigned depth)
{
	return (depth == 1 && span_is(name, "actor")) ||
	    (depth == 2 && span_is(name, "assignee")) ||
	    (depth == 3 && (span_is(name, "assignedTo") ||
	    span_is(name, "statusDetails")));
}

enum care
care_of_name(struct span name, unsigned depth)
{
	static const char *const kept[] = { "issue_url", "permalink",
	    "project_url", "release", "web_url", NULL };

	if (team(name, depth) || listed(name, kept))
		return CARE_KEEP;
	if (span_is(name, "user"))
		return CARE_USER;
	if (span_is(name, "request"))
		return CARE_REQUEST;
	if (span_is(name, "contexts"))
		return CARE_CONTEXTS;
	if (span_is(name, "metadata"))
		return CARE_NAMED;
	return personal_member(name) ? CARE_DROP : CARE_TEXT;
}

enum care
care_of_member(enum care around, struct span name, unsigned depth)
{
	switch (around) {
	case CARE_KEEP:
	case CARE_CALLED:
		return span_is(name, "name") || span_is(name, "username") ?
		    CARE_CALLED : CARE_KEEP;
	case CARE_DROP:
		return around;
	case CARE_USER:
		return span_is(name, "id") ? CARE_ID : CARE_DROP;
	case CARE_REQUEST:
		return span_is(name, "method") ? CARE_TEXT :
		    span_is(name, "url") ? CARE_URL : CARE_DROP;
	case CARE_CONTEXTS:
		return care_of_context(name);
	case CARE_NAMED:
		if (span_is(name, "name"))
			return CARE_DROP;
		break;
	case CARE_TEXT:
	case CARE_ID:
	case CARE_URL:
		break;
	}
	return care_of_name(name, depth);
}
