#include "hook/resource.h"

#include "base/ascii.h"
#include "hook/observe_list.h"

#define HEADER_NAME_MAX	64	/* bytes of a resource's name */

#define RESOURCE_ADDRESS(name)	&resource_##name,
static const struct resource *const all[] = {
	RESOURCE_LIST(RESOURCE_ADDRESS)
};

static bool
has_shape(struct json data, const struct resource *r)
{
	for (int i = 0; i < 2 && r->members[i] != NULL; i++) {
		struct json v = json_get(data, r->members[i]);

		if (r->object ? v.kind == JSON_OBJECT :
		    json_scalar(v).at != NULL)
			return true;
	}
	return false;
}

const struct resource *
resource_at(unsigned i)
{
	return all[i];
}

unsigned
resource_index(const struct resource *r)
{
	unsigned i;

	for (i = 0; all[i] != r; i++)
		;
	return i;
}

const struct resource *
resource_named(struct span name)
{
	for (unsigned i = 0; all[i] != &resource_other; i++)
		if (span_is(name, all[i]->name))
			return all[i];
	return &resource_other;
}

/* The first row whose shape the body has: `data.event` beside `data.issue` is
 * an issue hook, not an event alert. */
static const struct resource *
resource_guess(struct json data)
{
	for (unsigned i = 0; i < RESOURCES; i++)
		if (all[i]->guessed && has_shape(data, all[i]))
			return all[i];
	return &resource_other;
}

struct span
resource_header(const struct hook *hook)
{
	struct span name = hook->resource;

	if (name.len > HEADER_NAME_MAX)
		return span_of("");
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_name(name.at[i]))
			return span_of("");
	return name.at == NULL ? span_of("") : name;
}

const struct resource *
resource_of(const struct hook *hook, struct json root, struct span *name,
    bool *mismatch)
{
	struct json data = json_get(root, "data");
	struct span action = json_string(json_get(root, "action"));
	struct span header = resource_header(hook);
	const struct resource *said = resource_named(header);
	const struct resource *is = resource_guess(data);

	*name = header;
	*mismatch = false;
	if (has_shape(data, said) || is == &resource_other)
		return said;
	/* A resource that Sentry has added since may hold an issue or an
	 * event. It is taken for one only if its action is one of theirs. */
	if (said == &resource_other && header.len > 0 &&
	    !observe_list_word(span_of(is->actions), action))
		return said;
	*name = span_of(is->name);
	*mismatch = header.len > 0;
	return is;
}
