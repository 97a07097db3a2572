#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>
#include <sqlite3.h>

_Noreturn void
fuzz_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
	abort();
}

static sqlite3_stmt *
open_json_valid(void)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;

	claim(sqlite3_open(":memory:", &db) == SQLITE_OK);
	claim(sqlite3_prepare_v2(db, "SELECT json_valid(?1)", -1, &stmt,
	    NULL) == SQLITE_OK);
	return stmt;
}

bool
fuzz_json_valid(struct span s)
{
	static sqlite3_stmt *stmt;
	bool valid;

	if (stmt == NULL)
		stmt = open_json_valid();
	claim(sqlite3_bind_text(stmt, 1, s.len > 0 ? s.at : "", (int)s.len,
	    SQLITE_STATIC) == SQLITE_OK);
	claim(sqlite3_step(stmt) == SQLITE_ROW);
	valid = sqlite3_column_int(stmt, 0) != 0;
	sqlite3_reset(stmt);
	return valid;
}

long
fuzz_points(struct span s)
{
	static const struct {
		unsigned char	first, last;	/* of the first byte */
		unsigned char	low, high;	/* of the second */
		size_t		bytes;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const unsigned char *p = (const unsigned char *)s.at;
	const size_t n = sizeof(forms) / sizeof(forms[0]);
	long points = 0;
	size_t f;

	for (size_t i = 0; i < s.len; i += forms[f].bytes, points++) {
		for (f = 0; f < n; f++)
			if (p[i] >= forms[f].first && p[i] <= forms[f].last)
				break;
		if (f == n || forms[f].bytes > s.len - i)
			return -1;
		if (forms[f].bytes > 1 && (p[i + 1] < forms[f].low ||
		    p[i + 1] > forms[f].high))
			return -1;
		for (size_t k = 2; k < forms[f].bytes; k++)
			if ((p[i + k] & 0xc0) != 0x80)
				return -1;
	}
	return points;
}

void
fuzz_sign(char hex[65], struct span key, struct span body)
{
	crypto_auth_hmacsha256_state state;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];

	claim(sodium_init() >= 0);
	crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.at,
	    key.len);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)body.at,
	    body.len);
	crypto_auth_hmacsha256_final(&state, mac);
	sodium_bin2hex(hex, 65, mac, sizeof(mac));
}
