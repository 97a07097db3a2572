#include "base/prometheus.h"

/* A list of texts that NULL ends. */
#define PARTS(...)	((const char *const []){ __VA_ARGS__, NULL })

static void
write_parts(struct text *t, const char *const *parts)
{
	for (; *parts != NULL; parts++)
		text_str(t, *parts);
}

void
prometheus_head(struct text *t, const char *name, const char *type,
    const char *help)
{
	write_parts(t, PARTS("# HELP ", name, " ", help, "\n# TYPE ", name,
	    " ", type, "\n"));
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
end_sample(struct text *t, double value)
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
		write_parts(t, PARTS(i == 0 ? "{" : ",", labels[i].key,
		    "=\""));
		write_label_value(t, labels[i].value);
		text_str(t, "\"");
	}
	text_str(t, count == 0 ? "" : "}");
	end_sample(t, value);
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
		write_parts(t, PARTS(name, "_bucket{le=\""));
		if (i < count)
			text_number(t, limits[i]);
		else
			text_str(t, "+Inf");
		text_str(t, "\"}");
		end_sample(t, (double)all);
	}
	write_parts(t, PARTS(name, "_sum"));
	end_sample(t, sum);
	write_parts(t, PARTS(name, "_count"));
	end_sample(t, (double)all);
}
