/* What an answer means for a row, and how long it waits: without a clock or
 * a random number. */
#include "sink/retry.h"

#include "../support/tap.h"

static void
fates(void)
{
	static const struct {
		long		status;
		enum fate	fate;
	} rows[] = {
		{ 200, FATE_DELIVERED }, { 204, FATE_DELIVERED },
		{ 299, FATE_DELIVERED }, { 0, FATE_LATER },
		{ 429, FATE_LATER }, { 408, FATE_LATER },
		{ 500, FATE_LATER }, { 502, FATE_LATER },
		{ 503, FATE_LATER }, { 504, FATE_LATER },
		{ 599, FATE_LATER }, { 400, FATE_REFUSED },
		{ 413, FATE_REFUSED }, { 422, FATE_REFUSED },
		{ 401, FATE_MISCONFIGURED }, { 403, FATE_MISCONFIGURED },
		{ 404, FATE_MISCONFIGURED }, { 302, FATE_MISCONFIGURED },
		{ 405, FATE_MISCONFIGURED }, { 100, FATE_MISCONFIGURED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(retry_fate(rows[i].status) == rows[i].fate,
		    "status %ld has its fate", rows[i].status);
}

static void
waits(void)
{
	static const struct {
		unsigned	tries;
		int64_t		most;	/* ms */
	} rows[] = {
		{ 1, 1000 }, { 2, 2000 }, { 3, 4000 }, { 5, 16000 },
		{ 12, 2048000 }, { 13, 3600000 }, { 20, 3600000 },
		{ 4000000000u, 3600000 }, { 0, 3600000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ok(retry_wait(rows[i].tries, 0, 0) == 0 &&
		    retry_wait(rows[i].tries, UINT32_MAX, 0) == rows[i].most,
		    "after %u tries it waits from 0 to %lld ms",
		    rows[i].tries, (long long)rows[i].most);
		ok(retry_wait(rows[i].tries, 1u << 31, 0) ==
		    (rows[i].most + 1) / 2, "and half of it in the middle");
	}
	ok(retry_wait(1, UINT32_MAX, 5000) == 5000,
	    "the sink's wish counts if it is later");
	ok(retry_wait(5, UINT32_MAX, 5000) == 16000,
	    "and does not if it is earlier");
	ok(retry_wait(1, 0, INT64_MAX) == 3600000,
	    "it is cut to an hour");
	ok(retry_wait(1, 0, -5) == 0, "a wish for the past is none");
}

int
main(void)
{
	fates();
	waits();
	return tap_done();
}
