/* The database, as backfilling sees it: what came, what is filed, how far. */
#ifndef LEDGER_H
#define LEDGER_H

#include "backfill/change.h"
#include "backfill/match.h"
#include "store/store.h"

struct ledger;

#define LEDGER_WHY	DB_WHY
#define LEDGER_CURSOR	208	/* bytes; api_headers.h's are shorter */

/* A run of sentry-backfill: a row of the table `backfill`. */
struct ledger_run {
	int64_t	id;
	int64_t	since, until;		/* ms since 1970 */
	int64_t	list;			/* how far: which list, and its page */
	char	cursor[LEDGER_CURSOR];
	int64_t	rows;			/* filed so far */
};

/* How what is filed is observed and kept: the worker's own settings. */
struct ledger_rules {
	const char	*observe;	/* observe_list.h */
	bool		 redact;
	struct span	 installation;	/* whose hooks these are */
};

/* A release that an issue's newest event names. */
struct ledger_release {
	struct span	release, environment;	/* { NULL, 0 }: none */
	int64_t		at;			/* ms since 1970 */
};

enum fault	ledger_open(struct ledger **, const char *path,
		    const struct ledger_rules *, char why[LEDGER_WHY])
		    __attribute__((warn_unused_result));
void		ledger_close(struct ledger *);
/* SQLite's words for the last fault. */
const char	*ledger_why(const struct ledger *);

/* Whose hooks these are: what the rules say, else the installation of the
 * newest hooks, if there is one; *several: there is more than one. */
enum fault	ledger_find_installation(struct ledger *, bool *several)
		    __attribute__((warn_unused_result));
struct span	ledger_installation(const struct ledger *);
/* When the oldest hook came that is still there; 0 for none. */
enum fault	ledger_oldest(struct ledger *, int64_t *ms)
		    __attribute__((warn_unused_result));
/* When the newest hook came that was sent before; 0 for none. */
enum fault	ledger_last_before(struct ledger *, int64_t before,
		    int64_t *ms) __attribute__((warn_unused_result));

/* Sets missing[i] for the changes within the window that are observed and did
 * not come as a hook, and returns how many in *count. */
enum fault	ledger_compare(struct ledger *, const struct ledger_run *,
		    struct span issue, const struct change_list *,
		    bool missing[], unsigned *count)
		    __attribute__((warn_unused_result));
enum fault	ledger_knows_release(struct ledger *, struct span issue,
		    bool *known) __attribute__((warn_unused_result));

#define LEDGER_BODY_MAX	8388608	/* bytes, as the worker's --max-body */

/* Compares once more and files what is missing, with the issue's release, if
 * there is one to learn: in one transaction, or, where the bodies are large, in
 * some. Sets filed[i] for each change that is filed; *large says how many
 * bodies were longer than LEDGER_BODY_MAX, and are not. */
enum fault	ledger_file(struct ledger *, struct ledger_run *,
		    struct json issue, const struct change_list *,
		    const struct ledger_release *, bool filed[],
		    unsigned *large) __attribute__((warn_unused_result));

/* The newest run of this selection that was cut since `at`: *found. */
enum fault	ledger_find_run(struct ledger *, const char *selection,
		    int64_t at, struct ledger_run *, bool *found)
		    __attribute__((warn_unused_result));
enum fault	ledger_begin_run(struct ledger *, const char *selection,
		    struct ledger_run *) __attribute__((warn_unused_result));
enum fault	ledger_save_run(struct ledger *, const struct ledger_run *,
		    bool done);
/* Whether a run that is done had this time in its window, and was else of the
 * same selection. */
enum fault	ledger_covered(struct ledger *, const char *selection,
		    int64_t ms, bool *covered)
		    __attribute__((warn_unused_result));

#endif
