#include "store/reprocess_compare.h"

#include <stdio.h>

#include "base/json.h"

#define METADATA	"metadata."	/* before the names of its members */

void
reprocess_count_member(struct reprocess_count *c, const char *name)
{
	unsigned i;

	for (i = 0; i < c->members; i++)
		if (strcmp(c->member[i].name, name) == 0)
			break;
	if (i == REPROCESS_MEMBERS)
		return;
	if (i == c->members)
		snprintf(c->member[c->members++].name, REPROCESS_MEMBER, "%s",
		    name);
	c->member[i].count++;
}

static bool
same_json(struct json a, struct json b)
{
	struct text one = { 0 }, other = { 0 };
	bool same;

	if (a.kind != b.kind)
		return false;
	if (a.kind == JSON_MISSING)
		return true;
	json_write(&one, a, JSON_COMPACT_UTF8);
	json_write(&other, b, JSON_COMPACT_UTF8);
	same = span_same(text_view(&one), text_view(&other));
	text_release(&one);
	text_release(&other);
	return same;
}

static void
count_two(struct reprocess_count *c, const char *before, const char *name)
{
	char full[REPROCESS_MEMBER];

	snprintf(full, sizeof(full), "%s%s", before, name);
	reprocess_count_member(c, full);
}

/* The members of `of` that `with` has not, or has otherwise; with `missing`
 * those alone that it has not. */
static void
compare_members(struct reprocess_count *c, const char *before,
    struct json of, struct json with, bool missing)
{
	const void *at = NULL;
	struct span name;
	struct json value;
	char key[REPROCESS_MEMBER - sizeof(METADATA) + 1];

	while (json_next(of, &at, &name, &value)) {
		struct json other;

		snprintf(key, sizeof(key), "%.*s", (int)name.len, name.at);
		other = json_get(with, key);
		if (before[0] == '\0' && strcmp(key, "metadata") == 0)
			compare_members(c, METADATA, value, other, missing);
		else if (missing ? other.kind == JSON_MISSING :
		    !same_json(value, other))
			count_two(c, before, key);
	}
}

enum fault
reprocess_compare_events(struct reprocess_count *c, struct span old,
    struct span new)
{
	struct json a, b;
	int rc = json_open(&a, old);

	if (rc > 0)	/* somebody has written what is no object */
		reprocess_count_member(c, "source_event");
	if (rc != 0)
		return rc > 0 ? FAULT_NONE : FAULT_MEMORY;
	if (json_open(&b, new) != 0) {
		json_close(&a);
		return FAULT_MEMORY;
	}
	compare_members(c, "", b, a, false);
	compare_members(c, "", a, b, true);
	json_close(&a);
	json_close(&b);
	return FAULT_NONE;
}
