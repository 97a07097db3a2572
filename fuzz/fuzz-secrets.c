/* A signature header, a newline and a secrets file. A second, plainer reading
 * of both says what is to come out. */
#include <stdio.h>

#include "fuzz.h"
#include "base/json.h"
#include "hook/signature.h"

/* The limits, said once more. */
#define SECRETS	64
#define KEY_LEAST	8
#define KEY	512

struct wanted {
	size_t		count;
	unsigned	bad_line;
	struct span	name[SECRETS], key[SECRETS];
};

/* Cuts s at bytes of `stops` into words; returns how many of the first three
 * there are. */
static size_t
split(struct span s, const char *stops, struct span word[3])
{
	size_t n = 0, from = 0;

	for (size_t i = 0; i <= s.len && n < 3; i++) {
		if (i < s.len && memchr(stops, s.at[i], strlen(stops)) == NULL)
			continue;
		if (i > from)
			word[n++] = (struct span){ s.at + from, i - from };
		from = i + 1;
	}
	return n;
}

static bool
shown(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] < ' ' || s.at[i] == '\x7f')
			return false;
	return true;
}

/* At least 32 digits, and nothing else. */
static bool
all_hex(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (memchr("0123456789abcdefABCDEF", s.at[i], 22) == NULL)
			return false;
	return s.len > 31;
}

static void
want(struct wanted *w, struct span name, struct span key, unsigned line)
{
	if (w->count < SECRETS && key.len >= KEY_LEAST && key.len <= KEY &&
	    name.len <= SECRET_NAME_MAX && shown(name) && shown(key)) {
		w->name[w->count] = name;
		w->key[w->count++] = key;
	} else if (w->bad_line == 0) {
		w->bad_line = line;
	}
}

static void
want_line(struct wanted *w, struct span s, unsigned line)
{
	static const struct span none = { NULL, 0 };
	struct span word[3];
	size_t n = 0;

	while (n < s.len && s.at[n] != '#')
		n++;
	n = split((struct span){ s.at, n }, " \t\r", word);
	if (n == 1)
		want(w, none, word[0], line);
	else if (n == 2 && (all_hex(word[1]) || !all_hex(word[0])))
		want(w, word[0], word[1], line);
	else if (n > 1 && w->bad_line == 0)
		w->bad_line = line;
}

static void
want_file(struct wanted *w, struct span s, enum secrets_form form)
{
	const char *stops = form == SECRETS_FILE ? "\n" : " \t\r\n,";
	bool mark = form == SECRETS_FILE && s.len >= 3 &&
	    memcmp(s.at, "\xef\xbb\xbf", 3) == 0;
	size_t from = mark ? 3 : 0;
	unsigned line = 1;

	*w = (struct wanted){ 0 };
	for (size_t i = from; i <= s.len; i++) {
		struct span part = { s.at + from, i - from };

		if (i < s.len && memchr(stops, s.at[i], strlen(stops)) == NULL)
			continue;
		from = i + 1;
		if (form == SECRETS_FILE)
			want_line(w, part, line++);
		else if (part.len > 0)
			want(w, (struct span){ NULL, 0 }, part, line++);
	}
}

static void
check_name(const struct secrets *set, size_t i, struct span name,
    enum secrets_form form)
{
	char number[32];

	snprintf(number, sizeof(number), form == SECRETS_FILE ?
	    "secret-%zu" : "environment-%zu", i + 1);
	claim(name.len > 0 && !all_hex(name) ?
	    span_is(name, secrets_name(set, i)) :
	    strcmp(secrets_name(set, i), number) == 0);
}

/* A secret signs, and is told from the others. Some of many are tried: each
 * check tries all. */
static void
check_signs(const struct secrets *set, const struct wanted *w,
    struct span body)
{
	size_t which;
	char hex[65];

	for (size_t i = 0; i < w->count; i += 1 + w->count / 4) {
		struct span header = { hex, 64 };

		fuzz_sign(hex, w->key[i], body);
		claim(signature_check(set, header, body, &which) ==
		    SIGNATURE_VALID);
		claim(which < w->count && w->key[which].len == w->key[i].len &&
		    memcmp(w->key[which].at, w->key[i].at, w->key[i].len) ==
		    0);
		hex[which] = hex[which] == '0' ? '1' : '0';
		claim(signature_check(set, header, body, &which) ==
		    SIGNATURE_INVALID);
	}
}

static void
check_header(struct span header)
{
	size_t digits = 0;
	enum signature s = signature_form(header);

	while (digits < header.len && memchr("0123456789abcdefABCDEF",
	    header.at[digits], 22) != NULL)
		digits++;
	if (header.len == 0)
		claim(s == SIGNATURE_MISSING);
	else if (header.len == 64 && digits == 64)
		claim(s == SIGNATURE_VALID);
	else
		claim(s == SIGNATURE_LENGTH);
}

/* A final newline too many is found out, whatever the rest is. */
static void
check_guess(const struct secrets *set, const struct wanted *w,
    struct span header, struct span body)
{
	struct text more = { 0 };
	struct json root;
	bool json = json_open(&root, body) == 0;
	char hex[65];

	(void)signature_guess(set, header, body, json ? &root : NULL);
	json_close(&root);
	text_span(&more, body);
	text_str(&more, "\n");
	if (w->count > 0) {
		fuzz_sign(hex, w->key[0], text_view(&more));
		claim(signature_guess(set, (struct span){ hex, 64 }, body,
		    NULL) != NULL);
	}
	text_release(&more);
}

static void
check(struct span header, struct span file, enum secrets_form form)
{
	struct secrets *set = secrets_read(file, form);
	struct wanted w;

	claim(set != NULL);
	want_file(&w, file, form);
	claim(secrets_count(set) == w.count);
	claim(secrets_bad_line(set) == w.bad_line);
	for (size_t i = 0; i < w.count; i++)
		check_name(set, i, w.name[i], form);
	check_signs(set, &w, file);
	check_guess(set, &w, header, file);
	secrets_free(set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span file = { (const char *)data, size }, header = file;
	const char *end = size > 0 ? memchr(file.at, '\n', size) : NULL;

	claim(signature_start() == 0);
	if (end != NULL)
		header.len = (size_t)(end - file.at);
	file.at += header.len + (end != NULL);
	file.len -= header.len + (end != NULL);
	check_header(header);
	check(header, file, SECRETS_FILE);
	check(header, file, SECRETS_LIST);
	return 0;
}
