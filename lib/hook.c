#include "hook.h"

#include "signature.h"

#define HEADER_NAME_MAX	64	/* bytes of a resource's name */
#define KEY_PART_MAX	128	/* bytes; longer parts are hashed */
#define IDEMPOTENCY_HEX	32

struct shape {
	const char	*name;
	const char	*member[2];	/* of `data`; any of them makes it */
	bool		 object;	/* the member is an object */
	const char	*actions;	/* what Sentry sends for it */
};

static const struct shape shapes[] = {
	[RESOURCE_ISSUE] = { "issue", { "issue" }, true,
	    "created resolved assigned ignored archived unresolved" },
	[RESOURCE_ERROR] = { "error", { "error" }, true, "created" },
	[RESOURCE_EVENT_ALERT] = { "event_alert", { "event" }, true,
	    "triggered" },
	[RESOURCE_METRIC_ALERT] = { "metric_alert", { "metric_alert" }, true,
	    "critical warning resolved open" },
	[RESOURCE_COMMENT] = { "comment", { "comment_id" }, false,
	    "created updated deleted" },
	[RESOURCE_INSTALLATION] = { "installation", { "installation" }, true,
	    "created deleted" },
	[RESOURCE_ACTIVITY_ALERT] = { "activity_alert",
	    { "activity", "alert" }, true, "triggered" },
	[RESOURCE_SEER] = { "seer", { "run_id", "group_id" }, false, "" },
	[RESOURCE_PREPROD_ARTIFACT] = { "preprod_artifact", { "buildId" },
	    false, "" },
};

static bool
has_shape(struct json data, enum resource r)
{
	for (int i = 0; i < 2; i++) {
		const char *member = shapes[r].member[i];
		struct json v = { JSON_MISSING, NULL };

		if (member != NULL)
			v = json_get(data, member);
		if (shapes[r].object ? v.kind == JSON_OBJECT :
		    json_scalar(v).at != NULL)
			return true;
	}
	return false;
}

enum resource
hook_resource_named(struct span name)
{
	int r;

	for (r = 0; r < RESOURCE_OTHER; r++)
		if (span_is(name, shapes[r].name))
			break;
	return (enum resource)r;
}

const char *
hook_resource_name(enum resource r)
{
	return r == RESOURCE_OTHER ? "other" : shapes[r].name;
}

/* `data.event` beside `data.issue` is the plan's issue, not an alert. */
static enum resource
by_body(struct json data)
{
	int r;

	for (r = RESOURCE_ISSUE; r <= RESOURCE_INSTALLATION; r++)
		if (has_shape(data, (enum resource)r))
			return (enum resource)r;
	return RESOURCE_OTHER;
}

static bool
name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

struct span
hook_resource_header(const struct hook *hook)
{
	struct span name = hook->resource;

	if (name.len > HEADER_NAME_MAX)
		return span_of("");
	for (size_t i = 0; i < name.len; i++)
		if (!name_byte(name.at[i]))
			return span_of("");
	return name.at == NULL ? span_of("") : name;
}

/* The next entry of a list, off its front; empty at the end. */
static struct span
entry(struct span *list)
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

static bool
listed(const char *words, struct span word)
{
	struct span list = span_of(words), e;

	while ((e = entry(&list)).len > 0)
		if (e.len == word.len && memcmp(e.at, word.at, e.len) == 0)
			return true;
	return false;
}

enum resource
hook_resource(const struct hook *hook, struct json root, struct span *name,
    bool *mismatch)
{
	struct json data = json_get(root, "data");
	struct span header = hook_resource_header(hook);
	enum resource said = hook_resource_named(header);
	enum resource is = by_body(data);

	*name = header;
	*mismatch = false;
	if (said != RESOURCE_OTHER && has_shape(data, said))
		return said;
	if (is == RESOURCE_OTHER)
		return said;
	/* A resource that Sentry invented since may well have an issue or an
	 * event in it. It is taken for one only if its action says so. */
	if (said == RESOURCE_OTHER && header.len > 0 &&
	    !listed(shapes[is].actions, json_string(json_get(root, "action"))))
		return said;
	*name = span_of(shapes[is].name);
	*mismatch = header.len > 0;
	return is;
}

static bool
matches(struct span e, struct span resource, struct span action)
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
hook_observed(struct span list, struct span resource, struct span action)
{
	struct span e;

	while ((e = entry(&list)).len > 0)
		if (matches(e, resource, action))
			return true;
	return false;
}

bool
hook_observe_valid(struct span list)
{
	struct span e;

	while ((e = entry(&list)).len > 0) {
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

struct span
hook_installation(struct json root)
{
	return json_string(json_get(json_get(root, "installation"), "uuid"));
}

/* A part of the key: as it is where it is short and plain, else its hash. */
static void
part(struct text *key, struct span s)
{
	bool plain = s.len <= KEY_PART_MAX;
	char hex[FINGERPRINT_HEX + 1];

	for (size_t i = 0; i < s.len && plain; i++)
		plain = s.at[i] > 0x20 && s.at[i] < 0x7f;
	if (plain) {
		text_span(key, s);
		return;
	}
	fingerprint(hex, s);
	text_str(key, "sha256-");
	text_str(key, hex);
}

static void
tagged(struct text *key, const char *tag, struct span s)
{
	text_str(key, tag);
	part(key, s);
}

static bool
event_key(struct text *key, struct json root, enum resource r)
{
	struct json data = json_get(root, "data");
	struct json event = json_get(data,
	    r == RESOURCE_ERROR ? "error" : "event");
	struct span id = json_scalar(json_get(event, "event_id"));
	struct span rule = json_string(json_get(data, "triggered_rule"));
	struct span alert = json_scalar(json_get(json_get(data,
	    "issue_alert"), "id"));

	if (id.len == 0)
		return false;
	tagged(key, "event:", id);
	if (r == RESOURCE_EVENT_ALERT && rule.len > 0)
		tagged(key, ":rule:", rule);
	if (r == RESOURCE_EVENT_ALERT && alert.len > 0)
		tagged(key, ":alert:", alert);
	return true;
}

static bool
metric_key(struct text *key, struct json root, struct span action,
    struct span newest)
{
	struct span id = json_scalar(json_get(json_get(json_get(root, "data"),
	    "metric_alert"), "id"));

	if (id.len == 0 || action.len == 0)
		return false;
	part(key, action);
	tagged(key, ":", id);
	tagged(key, ":", newest);
	return true;
}

static bool
comment_key(struct text *key, struct json root, struct span action)
{
	struct json data = json_get(root, "data");
	struct span id = json_scalar(json_get(data, "comment_id"));
	struct span at = json_scalar(json_get(data, "timestamp"));

	if (id.len == 0 || at.len == 0 || action.len == 0)
		return false;
	part(key, action);
	tagged(key, ":", id);
	tagged(key, ":", at);
	return true;
}

/* What in the body itself tells one delivery from all others. An issue's
 * later actions have nothing of the kind: resolve, regress, resolve may be
 * three equal bodies, and are three hooks. */
static bool
natural_key(struct text *key, struct json root, enum resource r,
    struct span newest)
{
	struct json data = json_get(root, "data");
	struct span action = json_string(json_get(root, "action")), id;

	switch (r) {
	case RESOURCE_ERROR:
	case RESOURCE_EVENT_ALERT:
		return event_key(key, root, r);
	case RESOURCE_ISSUE:
		id = json_scalar(json_get(json_get(data, "issue"), "id"));
		if (!span_is(action, "created") || id.len == 0)
			return false;
		tagged(key, "created:", id);
		return true;
	case RESOURCE_COMMENT:
		return comment_key(key, root, action);
	case RESOURCE_METRIC_ALERT:
		return metric_key(key, root, action, newest);
	case RESOURCE_INSTALLATION:
		id = json_scalar(json_get(json_get(data, "installation"),
		    "uuid"));
		if (id.len == 0)
			id = hook_installation(root);
		if (id.len == 0 || action.len == 0)
			return false;
		part(key, action);
		tagged(key, ":", id);
		return true;
	case RESOURCE_ACTIVITY_ALERT:
	case RESOURCE_SEER:
	case RESOURCE_PREPROD_ARTIFACT:
	case RESOURCE_OTHER:
		break;
	}
	return false;
}

/* 32 hex digits, added in lower case. */
static bool
idempotency_key(struct text *key, struct span s)
{
	char hex[IDEMPOTENCY_HEX];

	if (s.len != IDEMPOTENCY_HEX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		hex[i] = c;
	}
	text_str(key, "idempotency-key:");
	text_add(key, hex, sizeof(hex));
	return true;
}

void
hook_dedupe_key(struct text *key, const struct hook *hook, struct json root,
    enum resource r, struct span name, struct span newest)
{
	if (hook->dedupe_key.at != NULL) {
		text_span(key, hook->dedupe_key);
		return;
	}
	part(key, hook_installation(root));
	text_str(key, ":");
	text_span(key, name);
	text_str(key, ":");
	if (idempotency_key(key, hook->idempotency_key) ||
	    natural_key(key, root, r, newest))
		return;
	if (hook->request_id.len > 0) {
		tagged(key, "request-id:", hook->request_id);
		return;
	}
	tagged(key, "signature:", hook->signature);
	tagged(key, ":", hook->timestamp);
}
