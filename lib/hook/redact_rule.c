#include "hook/redact_rule.h"

#include "hook/pii.h"

/* What users give feedback by comes as a context, too, and becomes null; but
 * who they are is learned from it. */
static enum care
care_of_context(struct span name)
{
	static const char *const from_sdk[] = {
		"app", "browser", "client_os", "cloud_resource", "culture",
		"gpu", "memory_info", "monitor", "os", "otel", "profile",
		"replay", "runtime", "threadpool_info", "trace", "unity",
		NULL
	};
	static const char *const contact[] = { "feedback", "userfeedback",
	    "userreport", NULL };
	char folded[PERSONAL_FOLDED];

	if (span_is(name, "device"))
		return CARE_UNNAMED;
	if (personal_listed(personal_fold(folded, name), contact))
		return CARE_CONTACT;
	return personal_listed(name, from_sdk) ? CARE_TEXT : CARE_DROP;
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

/* Words that Sentry, a program or the team has chosen, and by which hooks are
 * told apart: who calls himself "error" does not change them. */
static bool
program(struct span name, unsigned depth)
{
	static const char *const words[] = { "action", "environment",
	    "function", "id", "level", "logger", "module", "platform",
	    "project", "projects", "slug", "source", "status", "type", "uuid",
	    "event_id", "eventId", "group_id", "issue_id", "issueCategory",
	    "issueType", "project_slug", "projectSlug", "shortId",
	    "substatus", NULL };

	/* An event's own `url` holds its project's slug. */
	return (depth == 3 && span_is(name, "url")) ||
	    personal_listed(name, words);
}

/* Where nothing is said about the object around it. */
static enum care
care_of_name(struct span name, unsigned depth)
{
	static const char *const kept[] = { "issue_url", "permalink",
	    "project_url", "release", "web_url", NULL };
	static const char *const persons[] = { "evidencedata", "feedback",
	    "metadata", "userfeedback", "userreport", NULL };
	char buf[PERSONAL_FOLDED];
	struct span folded = personal_fold(buf, name);

	if (team(name, depth) || personal_listed(name, kept))
		return CARE_KEEP;
	if (span_is(folded, "user"))
		return CARE_USER;
	if (span_is(name, "request"))
		return CARE_REQUEST;
	if (span_is(name, "contexts"))
		return CARE_CONTEXTS;
	if (personal_listed(folded, persons))
		return CARE_PERSON;
	if (span_is(folded, "evidencedisplay"))
		return CARE_EVIDENCE;
	if (personal_member(folded))
		return personal_name(folded) ? CARE_NAME : CARE_DROP;
	return program(name, depth) ? CARE_PROGRAM : CARE_TEXT;
}

static bool
is(struct span name, const char *folded)
{
	char buf[PERSONAL_FOLDED];

	return span_is(personal_fold(buf, name), folded);
}

/* A name in an object that is a person's. */
static bool
is_whole_name(struct span name)
{
	char folded[PERSONAL_FOLDED];

	return is(name, "name") || personal_name(personal_fold(folded, name));
}

enum care
care_of_member(enum care around, struct span name, unsigned depth)
{
	enum care c;

	switch (around) {
	case CARE_KEEP:
	case CARE_CALLED:
		return span_is(name, "name") || span_is(name, "username") ?
		    CARE_CALLED : CARE_KEEP;
	case CARE_DROP:
	case CARE_NAME:
		return around;
	case CARE_CONTACT:
		return is_whole_name(name) ? CARE_NAME :
		    around;
	case CARE_USER:
		return span_is(name, "id") ? CARE_ID :
		    is_whole_name(name) ? CARE_NAME :
		    CARE_DROP;
	case CARE_REQUEST:
		return span_is(name, "method") ? CARE_TEXT :
		    span_is(name, "url") ? CARE_URL : CARE_DROP;
	case CARE_CONTEXTS:
		return care_of_context(name);
	case CARE_UNNAMED:
	case CARE_PERSON:
		if (is(name, "name"))
			return around == CARE_PERSON ? CARE_NAME : CARE_DROP;
		break;
	case CARE_EVIDENCE:
		c = care_of_name(name, depth);
		return c == CARE_TEXT || c == CARE_PROGRAM ? around : c;
	case CARE_PROGRAM:	/* a project, say */
		if (span_is(name, "name"))
			return around;
		break;
	case CARE_TEXT:
	case CARE_ID:
	case CARE_URL:
		break;
	}
	return care_of_name(name, depth);
}

enum care
care_of_pair(enum care around, struct span name, unsigned depth)
{
	unsigned says = around == CARE_EVIDENCE ? care_label(around, name) : 0;

	if (says & CARE_ENTRY_NAME)
		return CARE_NAME;
	/* Of a user the id stays, in a pair as elsewhere. */
	if ((says & CARE_ENTRY) && !is(name, "user"))
		return CARE_DROP;
	return care_of_member(around, name, depth);
}

bool
care_looks(enum care c)
{
	return c == CARE_TEXT || c == CARE_PROGRAM || c == CARE_ID ||
	    c == CARE_UNNAMED || c == CARE_PERSON || c == CARE_EVIDENCE;
}

bool
care_drops(enum care c)
{
	return c == CARE_DROP || c == CARE_NAME || c == CARE_CONTACT;
}

/* ---- What an object says of itself ---- */

enum part
care_part(struct span name)
{
	char buf[PERSONAL_FOLDED];
	struct span folded = personal_fold(buf, name);

	if (span_is(folded, "name"))
		return PART_NAME;
	if (span_is(folded, "value"))
		return PART_VALUE;
	if (span_is(folded, "key") || span_is(folded, "label"))
		return PART_KEY;
	return span_is(folded, "contactemail") ? PART_CONTACT : PART_OTHER;
}

/* In a list of evidence a person is also called otherwise. */
unsigned
care_label(enum care around, struct span label)
{
	static const char *const persons[] = { "author", "customer",
	    "reporter", "sender", "user", NULL };
	bool evidence = around == CARE_EVIDENCE;
	char buf[PERSONAL_FOLDED];
	struct span folded = personal_fold(buf, label);

	if (personal_name(folded) || (evidence && span_is(folded, "name")))
		return CARE_ENTRY | CARE_ENTRY_NAME;
	return personal_member(folded) || (evidence &&
	    personal_listed(folded, persons)) ? CARE_ENTRY : 0;
}

unsigned
care_marks(enum care around, unsigned seen)
{
	/* What stands there is no entry, but the evidence itself. */
	if (around == CARE_EVIDENCE && (seen & CARE_HAS_NAME) != 0 &&
	    (seen & CARE_HAS_VALUE) == 0)
		seen |= CARE_OF_PERSON;
	return seen & (CARE_ENTRY | CARE_ENTRY_NAME | CARE_OF_PERSON);
}

enum care
care_of_marked(unsigned marks, enum care around, enum care answer,
    struct span name)
{
	enum part part;

	if (marks == 0)
		return answer;
	part = care_part(name);
	if (part == PART_NAME && (marks & CARE_OF_PERSON) != 0)
		return CARE_NAME;
	if ((marks & CARE_ENTRY) == 0 || part == PART_NAME ||
	    part == PART_KEY || span_is(name, "important"))
		return answer;
	/* In evidence an entry's value may have any name; elsewhere such
	 * objects may be anything. */
	if (part != PART_VALUE && around != CARE_EVIDENCE)
		return answer;
	return (marks & CARE_ENTRY_NAME) != 0 ? CARE_NAME : CARE_DROP;
}
