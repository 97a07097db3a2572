#include "base/log_limit.h"

bool
log_limit_passes(struct log_limit *s, int64_t now, unsigned long *left_out)
{
	int64_t back = (now - s->since) / LOG_LIMIT_EVERY;

	if (s->used == 0 || back >= (int64_t)s->used) {
		s->used = 0;
		s->since = now;
	} else if (back > 0) {
		s->used -= (unsigned)back;
		s->since += back * LOG_LIMIT_EVERY;
	}
	if (s->used == LOG_LIMIT_BURST) {
		s->left_out++;
		return false;
	}
	s->used++;
	*left_out = s->left_out;
	s->left_out = 0;
	return true;
}
