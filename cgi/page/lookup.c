#include "page/lookup.h"

#include "base/clock.h"
#include "page/html.h"

/* The most characters that a cell shows. */
#define TEXT_POINTS	300
#define CODE_POINTS	1000
#define LONG_POINTS	70000	/* a whole body */
#define JSON_POINTS	300000

static int
lookup_is_late(void *arg)
{
	return clock_ms() > ((struct lookup *)arg)->until;
}

enum fault
lookup_open(struct lookup *l, struct text *out, const char *path,
    const char *const *statements, unsigned count, char why[DB_WHY])
{
	enum fault f;

	*l = (struct lookup){ .out = out, .now = clock_wall_ms() };
	f = db_open(&l->db, path, DB_READ, statements, count, why);
	if (f == FAULT_NONE)
		db_interrupt(l->db, lookup_is_late, l);
	return f;
}

void
lookup_close(struct lookup *l)
{
	db_close(l->db);
}

void
lookup_limit(struct lookup *l, int64_t ms)
{
	l->until = clock_ms() + ms;
}

void
lookup_say_fault(struct lookup *l, enum fault f)
{
	if (f == FAULT_NONE)
		return;
	text_str(l->out, "<p class=\"fault\" role=\"alert\">");
	if (lookup_is_late(l)) {
		text_str(l->out, "There is more than can be looked through in "
		    "the time that this page allows itself. The sqlite3 "
		    "shell takes the time.");
	} else {
		text_str(l->out, "The database cannot be read: ");
		text_str(l->out, fault_name(f));
		text_str(l->out, ".");
	}
	text_str(l->out, "</p>\n");
}

/* ---- cells ---- */

static void
lookup_write_link(struct text *t, int64_t id)
{
	text_str(t, "<a href=\"?row=");
	text_int(t, id);
	text_str(t, "\">");
	text_int(t, id);
	text_str(t, "</a>");
}

/* Column `i` of the row that the statement `which` has found. */
static void
lookup_write_value(struct lookup *l, unsigned which, unsigned i, enum cell cell)
{
	struct span s = db_text(l->db, which, (int)i);
	struct text *t = l->out;

	switch (cell) {
	case CELL_ROW:
		lookup_write_link(t, db_int(l->db, which, (int)i));
		return;
	case CELL_TIME:
		html_time(t, db_int(l->db, which, (int)i));
		return;
	case CELL_AGE:
		html_age(t, l->now - db_int(l->db, which, (int)i));
		return;
	case CELL_CODE:
		text_str(t, "<code>");
		html_text(t, s, CODE_POINTS);
		text_str(t, "</code>");
		return;
	case CELL_STATE:
		text_str(t, "<span class=\"state ");
		html_text(t, s, TEXT_POINTS);
		text_str(t, "\">");
		html_text(t, s, TEXT_POINTS);
		text_str(t, "</span>");
		return;
	case CELL_JSON:
		text_str(t, "<pre tabindex=\"0\">");
		html_json(t, s, JSON_POINTS);
		text_str(t, "</pre>");
		return;
	case CELL_LONG:
		text_str(t, "<div class=\"long\" dir=\"auto\">");
		html_text(t, s, LONG_POINTS);
		text_str(t, "</div>");
		return;
	case CELL_TEXT:
	case CELL_NUMBER:
	case CELL_GROUP:
		break;
	}
	text_str(t, "<bdi>");
	html_text(t, s, TEXT_POINTS);
	text_str(t, "</bdi>");
}

static const char *
lookup_cell_class(enum cell cell)
{
	switch (cell) {
	case CELL_NUMBER:
	case CELL_ROW:
		return " class=\"number\"";
	case CELL_TIME:
	case CELL_AGE:
		return " class=\"time\"";
	case CELL_TEXT:
	case CELL_LONG:
	case CELL_CODE:
	case CELL_STATE:
	case CELL_GROUP:
	case CELL_JSON:
		break;
	}
	return "";
}

/* ---- tables ---- */

static unsigned
lookup_first_column(const struct table *table)
{
	return table->columns[0].cell == CELL_GROUP;
}

/* The table stands in a region that scrolls where it is too wide; tabindex lets
 * the keyboard scroll it. */
static void
lookup_write_head(struct text *t, const struct table *table)
{
	text_str(t, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
	    "aria-label=\"");
	text_str(t, table->caption);
	text_str(t, "\">\n<table>\n<caption>");
	text_str(t, table->caption);
	text_str(t, "</caption>\n<thead><tr>");
	for (unsigned i = lookup_first_column(table); i < table->count; i++) {
		text_str(t, "<th scope=\"col\"");
		text_str(t, lookup_cell_class(table->columns[i].cell));
		text_str(t, ">");
		text_str(t, table->columns[i].name);
		text_str(t, "</th>");
	}
	text_str(t, "</tr></thead>\n<tbody>\n");
}

static void
lookup_write_row(struct lookup *l, unsigned which, const struct table *table)
{
	unsigned first = lookup_first_column(table);
	struct text *t = l->out;

	text_str(t, "<tr>");
	for (unsigned i = first; i < table->count; i++) {
		enum cell cell = table->columns[i].cell;
		const char *tag = i == first ? "th" : "td";

		text_str(t, "<");
		text_str(t, tag);
		if (i == first)
			text_str(t, " scope=\"row\"");
		text_str(t, lookup_cell_class(cell));
		text_str(t, ">");
		if (db_text(l->db, which, (int)i).at != NULL)
			lookup_write_value(l, which, i, cell);
		text_str(t, "</");
		text_str(t, tag);
		text_str(t, ">");
	}
	text_str(t, "</tr>\n");
}

/* Writes a heading if the first column has another value than in the row
 * before; `group` holds that one. */
static void
lookup_write_group(struct lookup *l, unsigned which, const struct table *table,
    struct text *group)
{
	struct span s = db_text(l->db, which, 0);

	if (group->len == s.len && (s.len == 0 ||
	    memcmp(text_view(group).at, s.at, s.len) == 0))
		return;
	if (group->len > 0)
		text_str(l->out, "</tbody>\n<tbody>\n");
	group->len = 0;
	text_span(group, s);
	text_str(l->out, "<tr><th scope=\"rowgroup\" class=\"group\" "
	    "colspan=\"");
	text_int(l->out, table->count - 1);
	text_str(l->out, "\">");
	lookup_write_value(l, which, 0, CELL_GROUP);
	text_str(l->out, "</th></tr>\n");
}

static void
lookup_note_row(struct lookup *l, unsigned which, const struct table *table,
    int64_t *last)
{
	for (unsigned i = 0; i < table->count; i++)
		if (table->columns[i].cell == CELL_ROW)
			*last = db_int(l->db, which, (int)i);
}

void
lookup_table(struct lookup *l, unsigned which, const struct table *table,
    unsigned *rows, int64_t *last)
{
	struct text group = { 0 };
	enum fault f;
	bool row;

	*rows = 0;
	*last = 0;
	while ((f = db_step(l->db, which, &row)) == FAULT_NONE && row) {
		if ((*rows)++ == 0)
			lookup_write_head(l->out, table);
		if (lookup_first_column(table) == 1)
			lookup_write_group(l, which, table, &group);
		lookup_write_row(l, which, table);
		lookup_note_row(l, which, table, last);
	}
	db_finish(l->db, which);
	text_release(&group);
	if (*rows > 0) {
		text_str(l->out, "</tbody>\n</table>\n</div>\n");
	} else if (f == FAULT_NONE) {
		text_str(l->out, "<p class=\"none\">");
		text_str(l->out, table->none);
		text_str(l->out, "</p>\n");
	}
	lookup_say_fault(l, f);
}

bool
lookup_row(struct lookup *l, unsigned which, const struct column *columns,
    unsigned count)
{
	enum fault f;
	bool row;

	f = db_step(l->db, which, &row);
	if (row)
		text_str(l->out, "<dl>\n");
	for (unsigned i = 0; row && i < count; i++) {
		if (db_text(l->db, which, (int)i).at == NULL)
			continue;
		text_str(l->out, "<div><dt>");
		text_str(l->out, columns[i].name);
		text_str(l->out, "</dt><dd>");
		lookup_write_value(l, which, i, columns[i].cell);
		text_str(l->out, "</dd></div>\n");
	}
	if (row)
		text_str(l->out, "</dl>\n");
	db_finish(l->db, which);
	lookup_say_fault(l, f);
	return row || f != FAULT_NONE;
}
