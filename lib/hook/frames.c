#include "hook/frames.h"

#include "hook/body_line.h"

#define TOP_FRAMES	3

static struct json
event_exceptions(const struct facts *f)
{
	return json_get(json_get(f->event, "exception"), "values");
}

static struct json
frames_of(struct json holder)
{
	return json_get(json_get(holder, "stacktrace"), "frames");
}

struct json
frames_main_exception(const struct facts *f)
{
	struct span id = json_get_scalar(f->event, "main_exception_id");
	struct json values = event_exceptions(f);

	for (size_t i = 0; i < json_count(values) && id.at != NULL; i++) {
		struct json v = json_at(values, i);
		struct span own = json_get_scalar(json_get(v, "mechanism"),
		    "exception_id");

		if (own.at != NULL && span_same(own, id))
			return v;
	}
	return JSON_NONE;
}

static struct json
last_with_frames(struct json values)
{
	for (size_t i = json_count(values); i > 0; i--)
		if (json_count(frames_of(json_at(values, i - 1))) > 0)
			return json_at(values, i - 1);
	return JSON_NONE;
}

struct json
frames_raised(const struct facts *f)
{
	struct json values = event_exceptions(f), v;

	if (f->prints_null)
		return json_at(values, 0);
	v = frames_main_exception(f);
	if (v.kind == JSON_MISSING)
		v = last_with_frames(values);
	if (v.kind == JSON_MISSING)
		v = json_at(values, json_count(values) - 1);
	return v;
}

static struct json
event_threads(const struct facts *f)
{
	return json_get(json_get(f->event, "threads"), "values");
}

/* The frames of the first thread that has frames, and whose member `name` is
 * true, or equals `id` if there is one. */
static struct json
thread_frames(const struct facts *f, const char *name, struct span id)
{
	for (size_t i = 0; i < json_count(event_threads(f)); i++) {
		struct json t = json_at(event_threads(f), i);
		struct json v = json_get(t, name);

		if (json_count(frames_of(t)) > 0 && (id.at == NULL ?
		    json_truthy(v) : span_same(json_scalar(v), id)))
			return frames_of(t);
	}
	return JSON_NONE;
}

/* The frames of the thread that raised the exception; else of the thread that
 * crashed, is current, or is the main one; else of the only thread; else of the
 * event itself. */
static struct json
frames_elsewhere(const struct facts *f)
{
	static const char *const kinds[] = { "crashed", "current", "main" };
	struct span id = json_get_scalar(frames_raised(f), "thread_id");
	struct json frames = JSON_NONE;

	if (id.at != NULL)
		frames = thread_frames(f, "id", id);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) &&
	    json_count(frames) == 0; i++)
		frames = thread_frames(f, kinds[i], SPAN_NONE);
	if (json_count(frames) == 0 && json_count(event_threads(f)) == 1)
		frames = frames_of(json_at(event_threads(f), 0));
	return json_count(frames) > 0 ? frames : frames_of(f->event);
}

static struct json
frames_find(const struct facts *f)
{
	struct json frames = frames_of(frames_raised(f));

	return f->prints_null || json_count(frames) > 0 ? frames :
	    frames_elsewhere(f);
}

static bool
any_has_stack(struct json values)
{
	for (size_t i = 0; i < json_count(values); i++)
		if (json_truthy(json_get(json_at(values, i), "stacktrace")))
			return true;
	return false;
}

bool
frames_exist(const struct facts *f)
{
	return any_has_stack(event_exceptions(f)) || (!f->prints_null &&
	    (any_has_stack(event_threads(f)) ||
	    json_truthy(json_get(f->event, "stacktrace"))));
}

static struct span
file_of(const struct facts *f, struct json frame)
{
	static const char *const names[] = { "filename", "abs_path",
	    "module" };
	struct span file;

	if (f->prints_null) {
		file = facts_member_text(f, frame, "filename");
		return file.at != NULL ? file : span_of("?");
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((file = json_get_scalar(frame, names[i])).len > 0)
			return file;
	return span_of("?");
}

static void
add_frame(struct text *t, const struct facts *f, struct json frame)
{
	struct span function = json_get_scalar(frame, "function");
	struct span lineno = facts_member_text(f, frame, "lineno");

	if (!f->prints_null)
		function = span_filled(function);
	body_line_add(t, "- `", function.at == NULL ?
	    span_of("(anonymous)") : function, "` at `");
	text_span(t, file_of(f, frame));
	if (lineno.at != NULL) {
		text_str(t, ":");
		text_span(t, lineno);
	}
	text_str(t, "`");
}

static bool
is_in_app(struct json frame)
{
	struct json v = json_get(frame, "in_app");

	return json_truthy(json_nullish(v) ? json_get(frame, "inApp") : v);
}

/* An issue hook has the heading if there are any frames, other hooks only if a
 * frame is in-app. */
void
frames_add(struct text *t, const struct facts *f)
{
	static const char heading[] = "\n**Stack Trace** (top frames):";
	struct json frames = frames_find(f);
	size_t i, shown = 0;

	if (f->prints_null && json_count(frames) > 0)
		body_line_add(t, heading, span_of(""), "");
	for (i = json_count(frames); i > 0 && shown < TOP_FRAMES; i--) {
		if (!is_in_app(json_at(frames, i - 1)))
			continue;
		if (!f->prints_null && shown == 0)
			body_line_add(t, heading, span_of(""), "");
		add_frame(t, f, json_at(frames, i - 1));
		shown++;
	}
}
