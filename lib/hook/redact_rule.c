#include "hook/redact_rule.h"

#include "hook/pii.h"

/* Of a context. Feedback of users comes as a context, too: it becomes null, but
 * their names are learned from it. */
static enum redact_rule
rule_of_context(struct span name)
{
	static const char *const from_sdk[] = {
		"app", "browser", "client_os", "cloud_resource", "culture",
		"gpu", "memory_info", "monitor", "os", "otel", "profile",
		"replay", "runtime", "threadpool_info", "trace", "unity",
		NULL
	};
	static const char *const contact[] = { "feedback", "userfeedback",
	    "userreport", NULL };
	char folded[PII_FOLDED];

	if (span_is(name, "device"))
		return REDACT_UNNAMED;
	if (pii_listed(pii_fold(folded, name), contact))
		return REDACT_CONTACT;
	return pii_listed(name, from_sdk) ? REDACT_TEXT : REDACT_DATA;
}

/* Whether this member, at this depth, is one of the four in which Sentry says
 * who of the team did something. */
static bool
is_teams(struct span name, unsigned depth)
{
	return (depth == 1 && span_is(name, "actor")) ||
	    (depth == 2 && span_is(name, "assignee")) ||
	    (depth == 3 && (span_is(name, "assignedTo") ||
	    span_is(name, "statusDetails")));
}

/* Whether the text of this member is a word that Sentry, a program or the team
 * has chosen. Hooks are told apart by such words: a user who is called "error"
 * must not change them. */
static bool
is_programs_word(struct span name, unsigned depth)
{
	static const char *const words[] = { "action", "environment",
	    "function", "id", "level", "logger", "module", "platform",
	    "project", "projects", "slug", "source", "status", "type", "uuid",
	    "event_id", "eventId", "group_id", "issue_id", "issueCategory",
	    "issueType", "project_slug", "projectSlug", "shortId",
	    "substatus", "triggered_rule", NULL };

	/* An event's own `url` holds its project's slug. */
	return (depth == 3 && span_is(name, "url")) ||
	    pii_listed(name, words);
}

/* A tag's name without the mark that Sentry puts before those of its own. */
static struct span
without_mark(struct span name)
{
	static const char mark[] = "sentry:";
	size_t len = sizeof(mark) - 1;

	return name.len > len && memcmp(name.at, mark, len) == 0 ?
	    span_behind(name, len) : name;
}

/* Whether this member, at this depth, is a release, or one of Sentry's links
 * into itself. Tags may have such names as well. */
static bool
is_kept(struct span name, unsigned depth)
{
	static const char *const links[] = { "issue_url", "permalink",
	    "project_url", "web_url", NULL };

	return span_is(without_mark(name), "release") ||
	    ((depth == 2 || depth == 3) && pii_listed(name, links));
}

/* By the member's own name, where the object around it has no rule of its own
 * for it. */
static enum redact_rule
rule_of_name(struct span name, unsigned depth)
{
	static const char *const versions[] = { "appversion", "dist",
	    "version", NULL };
	static const char *const persons[] = { "evidencedata", "feedback",
	    "metadata", "userfeedback", "userreport", NULL };
	char buf[PII_FOLDED];
	struct span folded = pii_fold(buf, without_mark(name));

	if (is_teams(name, depth) || is_kept(name, depth))
		return REDACT_KEEP;
	if (span_is(folded, "user"))
		return REDACT_USER;
	if (span_is(folded, "userid"))
		return REDACT_ID;
	if (pii_listed(folded, versions))
		return REDACT_VERSION;
	if (span_is(name, "request"))
		return REDACT_REQUEST;
	if (span_is(name, "contexts"))
		return REDACT_CONTEXTS;
	if (pii_listed(folded, persons))
		return REDACT_PERSON;
	if (span_is(folded, "evidencedisplay"))
		return REDACT_EVIDENCE;
	if (pii_member(folded))
		return pii_name(folded) ? REDACT_NAME : REDACT_DROP;
	if (pii_data(folded))
		return REDACT_DATA;
	return is_programs_word(name, depth) ? REDACT_PROGRAM : REDACT_TEXT;
}

static bool
folds_to(struct span name, const char *folded)
{
	char buf[PII_FOLDED];

	return span_is(pii_fold(buf, name), folded);
}

/* Whether a member of this name, in an object about a person, holds the whole
 * name of the person. */
static bool
is_whole_name(struct span name)
{
	char folded[PII_FOLDED];

	return folds_to(name, "name") || pii_name(pii_fold(folded, name));
}

/* Within what an application knew: all becomes null, but a person is looked for
 * where a name says that one is named. */
static enum redact_rule
rule_in_data(struct span name, unsigned depth)
{
	enum redact_rule rule = rule_of_name(name, depth);

	return rule == REDACT_USER || rule == REDACT_ID ||
	    rule == REDACT_NAME || rule == REDACT_DROP ? REDACT_DROP :
	    REDACT_DATA;
}

enum redact_rule
redact_rule_of_member(enum redact_rule around, struct span name, unsigned depth)
{
	enum redact_rule rule;

	switch (around) {
	case REDACT_KEEP:
	case REDACT_CALLED:
		return span_is(name, "name") || span_is(name, "username") ?
		    REDACT_CALLED : REDACT_KEEP;
	case REDACT_DROP:
	case REDACT_NAME:
		return around;
	case REDACT_DATA:
		return rule_in_data(name, depth);
	case REDACT_CONTACT:
		return is_whole_name(name) ? REDACT_NAME : around;
	case REDACT_USER:
		return span_is(name, "id") ? REDACT_ID :
		    is_whole_name(name) ? REDACT_NAME :
		    rule_of_name(name, depth) == REDACT_DATA ? REDACT_DATA :
		    REDACT_DROP;
	case REDACT_REQUEST:
		return span_is(name, "method") ? REDACT_TEXT :
		    span_is(name, "url") ? REDACT_URL :
		    rule_in_data(name, depth);
	case REDACT_CONTEXTS:
		return rule_of_context(name);
	case REDACT_UNNAMED:
	case REDACT_PERSON:
		if (folds_to(name, "name"))
			return around == REDACT_PERSON ? REDACT_NAME :
			    REDACT_DROP;
		break;
	case REDACT_EVIDENCE:
		rule = rule_of_name(name, depth);
		return rule == REDACT_TEXT || rule == REDACT_PROGRAM ||
		    rule == REDACT_VERSION || rule == REDACT_ID ? around : rule;
	case REDACT_PROGRAM:	/* a project, say */
		if (span_is(name, "name"))
			return around;
		break;
	case REDACT_TEXT:
	case REDACT_VERSION:
	case REDACT_ID:
	case REDACT_URL:
		break;
	}
	return rule_of_name(name, depth);
}

enum redact_rule
redact_rule_of_pair(enum redact_rule around, struct span name, unsigned depth)
{
	unsigned says = around == REDACT_EVIDENCE ?
	    redact_rule_label(around, name) : 0;

	if (says & REDACT_ENTRY_NAME)
		return REDACT_NAME;
	/* Of a user the id stays, in a pair as elsewhere. */
	if ((says & REDACT_ENTRY) && !folds_to(name, "user"))
		return REDACT_DROP;
	return redact_rule_of_member(around, name, depth);
}

bool
redact_rule_enters(enum redact_rule rule)
{
	return rule == REDACT_TEXT || rule == REDACT_PROGRAM ||
	    rule == REDACT_VERSION || rule == REDACT_ID ||
	    rule == REDACT_UNNAMED || rule == REDACT_PERSON ||
	    rule == REDACT_EVIDENCE;
}

bool
redact_rule_drops(enum redact_rule rule)
{
	return rule == REDACT_DROP || rule == REDACT_DATA ||
	    rule == REDACT_NAME || rule == REDACT_CONTACT;
}

/* ---- What an object says of itself ---- */

enum redact_part
redact_rule_part(struct span name)
{
	char buf[PII_FOLDED];
	struct span folded = pii_fold(buf, name);

	if (span_is(folded, "name"))
		return REDACT_PART_NAME;
	if (span_is(folded, "value"))
		return REDACT_PART_VALUE;
	if (span_is(folded, "key") || span_is(folded, "label"))
		return REDACT_PART_KEY;
	return span_is(folded, "contactemail") ? REDACT_PART_CONTACT :
	    REDACT_PART_OTHER;
}

/* In a list of evidence there are more names for a person. */
unsigned
redact_rule_label(enum redact_rule around, struct span label)
{
	static const char *const persons[] = { "author", "customer",
	    "reporter", "sender", "user", NULL };
	bool evidence = around == REDACT_EVIDENCE;
	char buf[PII_FOLDED];
	struct span folded = pii_fold(buf, without_mark(label));

	if (pii_name(folded) || (evidence && span_is(folded, "name")))
		return REDACT_ENTRY | REDACT_ENTRY_NAME;
	if (pii_member(folded) || pii_data(folded) ||
	    (evidence && pii_listed(folded, persons)))
		return REDACT_ENTRY;
	return span_is(folded, "user") ? REDACT_ENTRY_USER : 0;
}

unsigned
redact_rule_marks(enum redact_rule around, unsigned seen)
{
	/* An object with a `name` and no `value` is no entry, but the evidence
	 * itself: its `name` is the person's. */
	if (around == REDACT_EVIDENCE && (seen & REDACT_HAS_NAME) != 0 &&
	    (seen & REDACT_HAS_VALUE) == 0)
		seen |= REDACT_OF_PERSON;
	return seen & (REDACT_ENTRY | REDACT_ENTRY_NAME | REDACT_OF_PERSON |
	    REDACT_ENTRY_USER);
}

enum redact_rule
redact_rule_of_marked(unsigned marks, enum redact_rule around,
    enum redact_rule rule, struct span name)
{
	enum redact_part part;

	if (marks == 0)
		return rule;
	part = redact_rule_part(name);
	if (part == REDACT_PART_NAME && (marks & REDACT_OF_PERSON) != 0)
		return REDACT_NAME;
	if (part == REDACT_PART_VALUE && (marks & REDACT_ENTRY) == 0 &&
	    (marks & REDACT_ENTRY_USER) != 0)
		return REDACT_USER;
	if ((marks & REDACT_ENTRY) == 0 || part == REDACT_PART_NAME ||
	    part == REDACT_PART_KEY || span_is(name, "important"))
		return rule;
	/* In evidence the member that holds an entry's value may have any
	 * name. Elsewhere an object with a `name` may be anything: only its
	 * `value` goes. */
	if (part != REDACT_PART_VALUE && around != REDACT_EVIDENCE)
		return rule;
	return (marks & REDACT_ENTRY_NAME) != 0 ? REDACT_NAME : REDACT_DROP;
}
