#include "base/log_limit.h"

bool
seldom_passes(struct seldom *s, int64_t now, unsigned long *left_out)
{
	int64_t back = (now - s->since) / SELDOM_EVERY;

	if (s->said == 0 || back >= (int64_t)s->said) {
		s->said = 0;
		s->since = now;
	} else if (back > 0) {
		s->said -= (unsigned)back;
		s->since += back * SELDOM_EVERY;
	}
	if (s->said == SELDOM_BURST) {
		s->left_out++;
		return false;
	}
	s->said++;
	*left_out = s->left_out;
	s->left_out = 0;
	return true;
}
