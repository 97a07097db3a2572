#include "base/prometheus.h"

void
prometheus_head(struct text *t, const char *name, const char *type,
    const char *help)
{
	text_str(t, "# HELP ");
	text_str(t, name);
	text_str(t, " ");
	text_str(t, help);
	text_str(t, "\n# TYPE ");
	text_str(t, name);
	text_str(t, " ");
	text_str(t, type);
	text_str(t, "\n");
}

static void
write_label_value(struct text *t, const char *s)
{
	static const char digits[] = "0123456789abcdef";

	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		char hex[] = { '\\', '\\', 'x', digits[c >> 4],
		    digits[c & 15], '\0' };

		if (c == '"' || c == '\\')
			text_str(t, "\\");
		if (c < 0x20 || c > 0x7e)
			text_str(t, hex);
		else
			text_add(t, s, 1);
	}
}

static void
write_value(struct text *t, double value)
{
	text_str(t, " ");
	text_number(t, value);
	text_str(t, "\n");
}

void
prometheus_sample(struct text *t, const char *name,
    const struct prometheus_label *labels, unsigned count, double value)
{
	text_str(t, name);
	for (unsigned i = 0; i < count; i++) {
		text_str(t, i == 0 ? "{" : ",");
		text_str(t, labels[i].key);
		text_str(t, "=\"");
		write_label_value(t, labels[i].value);
		text_str(t, "\"");
	}
	text_str(t, count == 0 ? "" : "}");
	write_value(t, value);
}

void
prometheus_labelled(struct text *t, const char *name, const char *key,
    const char *label, double value)
{
	const struct prometheus_label only = { key, label };

	prometheus_sample(t, name, &only, 1, value);
}

void
prometheus_single(struct text *t, const char *name, const char *type,
    const char *help, double value)
{
	prometheus_head(t, name, type, help);
	prometheus_sample(t, name, NULL, 0, value);
}

void
prometheus_build_info(struct text *t, const char *name,
    const char *sqlite_version)
{
	const struct prometheus_label labels[] = {
		{ "version", PACKAGE_VERSION },
		{ "sqlite_version", sqlite_version },
	};

	prometheus_head(t, name, "gauge", "The program's version, and "
	    "SQLite's.");
	prometheus_sample(t, name, labels, 2, 1);
}

void
prometheus_histogram(struct text *t, const char *name, const double *limits,
    size_t count, const unsigned long *in, double sum)
{
	unsigned long all = 0;

	for (size_t i = 0; i <= count; i++) {
		all += in[i];
		text_str(t, name);
		text_str(t, "_bucket{le=\"");
		if (i < count)
			text_number(t, limits[i]);
		else
			text_str(t, "+Inf");
		text_str(t, "\"}");
		write_value(t, (double)all);
	}
	text_str(t, name);
	text_str(t, "_sum");
	write_value(t, sum);
	text_str(t, name);
	text_str(t, "_count");
	write_value(t, (double)all);
}
