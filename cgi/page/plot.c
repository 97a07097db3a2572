#include "page/plot.h"

#include "page/html.h"

#define MINUTE_MS	60000
#define TABLE_MINUTES	15	/* in a row of the table */
#define PLOT_HEIGHT	100	/* of the viewBox; a minute is 4 wide */
#define BAR_MIN		2	/* so that one hook can be seen */

void
plot_start(struct plot *p, int64_t now)
{
	*p = (struct plot){ .from = now / MINUTE_MS - PLOT_MINUTES + 1 };
}

bool
plot_add(struct plot *p, int64_t ms)
{
	int64_t i = ms / MINUTE_MS - p->from;

	if (i < 0)
		return false;
	/* After the clock was set back a hook may lie in the future: it is
	 * counted in the last minute. */
	p->count[i < PLOT_MINUTES ? i : PLOT_MINUTES - 1]++;
	return true;
}

static int64_t
plot_sum(const struct plot *p, unsigned from, unsigned n)
{
	int64_t total = 0;

	for (unsigned i = from; i < from + n; i++)
		total += p->count[i];
	return total;
}

/* The minute with the most hooks. */
static unsigned
plot_highest(const struct plot *p)
{
	unsigned at = 0;

	for (unsigned i = 1; i < PLOT_MINUTES; i++)
		if (p->count[i] > p->count[at])
			at = i;
	return at;
}

static void
plot_add_minute(const struct plot *p, struct text *t, unsigned i)
{
	html_time(t, (p->from + i) * MINUTE_MS);
}

static void
plot_write_sentence(const struct plot *p, struct text *t)
{
	int64_t total = plot_sum(p, 0, PLOT_MINUTES);
	unsigned at = plot_highest(p);

	text_str(t, p->more ? "More than " : "");
	html_count(t, total);
	text_str(t, total == 1 ? " hook" : " hooks");
	text_str(t, " in the last three hours");
	if (total > 0) {
		text_str(t, "; most in one minute: ");
		html_count(t, p->count[at]);
	}
}

static void
plot_write_attribute(struct text *t, const char *name, int64_t n)
{
	text_str(t, name);
	text_str(t, "=\"");
	text_int(t, n);
	text_str(t, "\" ");
}

static void
plot_write_bars(const struct plot *p, struct text *t)
{
	unsigned most = p->count[plot_highest(p)];

	for (unsigned i = 0; i < PLOT_MINUTES; i++) {
		int64_t h = p->count[i] == 0 ? 0 :
		    (int64_t)p->count[i] * (PLOT_HEIGHT - BAR_MIN) / most +
		    BAR_MIN;

		if (h == 0)
			continue;
		text_str(t, "<rect ");
		plot_write_attribute(t, "x", 4 * (int64_t)i);
		plot_write_attribute(t, "y", PLOT_HEIGHT - h);
		plot_write_attribute(t, "height", h);
		text_str(t, "width=\"3\"/>\n");
	}
}

static void
plot_write_drawing(const struct plot *p, struct text *t)
{
	text_str(t, "<figure>\n<svg class=\"plot\" role=\"img\" "
	    "aria-labelledby=\"plot-title plot-desc\" "
	    "preserveAspectRatio=\"none\" viewBox=\"0 0 720 100\">\n"
	    "<title id=\"plot-title\">Hooks a minute</title>\n"
	    "<desc id=\"plot-desc\">");
	plot_write_sentence(p, t);
	text_str(t, ".</desc>\n<path class=\"grid\" "
	    "d=\"M0 1H720M0 50H720M0 99H720\"/>\n");
	plot_write_bars(p, t);
	text_str(t, "</svg>\n<figcaption><span>");
	plot_add_minute(p, t, 0);
	text_str(t, "</span> <span>");
	plot_add_minute(p, t, PLOT_MINUTES / 2);
	text_str(t, "</span> <span>");
	plot_add_minute(p, t, PLOT_MINUTES - 1);
	text_str(t, "</span></figcaption>\n</figure>\n");
}

static void
plot_write_table(const struct plot *p, struct text *t)
{
	text_str(t, "<details>\n<summary>The same as a table</summary>\n"
	    "<table>\n<caption>Hooks in a quarter of an hour</caption>\n"
	    "<thead><tr><th scope=\"col\">From (UTC)</th>"
	    "<th scope=\"col\" class=\"number\">Hooks</th></tr></thead>\n"
	    "<tbody>\n");
	for (unsigned i = 0; i < PLOT_MINUTES; i += TABLE_MINUTES) {
		text_str(t, "<tr><th scope=\"row\">");
		plot_add_minute(p, t, i);
		text_str(t, "</th><td class=\"number\">");
		html_count(t, plot_sum(p, i, TABLE_MINUTES));
		text_str(t, "</td></tr>\n");
	}
	text_str(t, "</tbody>\n</table>\n</details>\n");
}

void
plot_write(const struct plot *p, struct text *t)
{
	text_str(t, "<p>");
	plot_write_sentence(p, t);
	text_str(t, ".</p>\n");
	plot_write_drawing(p, t);
	plot_write_table(p, t);
}
