/* A hook's body without what tells who an end user is.
 *
 * The rules, for the whole body:
 *  1. of an object `user` only `id` stays, and of a tag `user` only `id:...`;
 *  2. of an object `request` only `method`, and `url` up to its query;
 *  3. of `contexts` only those that Sentry's own SDKs fill, and of `device`
 *     not its name; of `metadata` not `name` (who gave feedback);
 *  4. every member whose name says that it holds an address, a name or the
 *     application's data (personal_member()), and every such pair of a list
 *     ([name, value], as in tags), wherever it stands: they become null;
 *  5. in all texts that are left, and in the names of members, an e-mail
 *     address becomes [email], an IP address [ip].
 * Left as it is: who of the team did it (the hook's `actor`, `data.assignee`,
 * an issue's `assignedTo` and `statusDetails`), `release`, and the links into
 * Sentry (`permalink`, `web_url`, `issue_url`, `project_url`). A name within
 * a free text, an exception's message say, cannot be told from other words.
 *
 * Everything else is kept to the byte: order, numbers, white space. */
#ifndef REDACT_H
#define REDACT_H

#include "json.h"

/* Appends `body`, redacted. What has been redacted does not change when it is
 * redacted again. Whether it is JSON others judge (json_open()), but nothing
 * gets past here that the rules were not seen to allow. Returns 0; 1 when it
 * cannot be JSON: what was appended is of no use; -1 without memory. */
int	redact(struct text *, struct span body)
	    __attribute__((warn_unused_result));

/* What is kept instead of a body that is not JSON: its length and hash. */
void	redact_unreadable(struct text *, struct span body);

/* Whether `body` names the person `who`. An e-mail or IP address is looked for
 * in every text; anything else has to be, whole, an id or a name of a user, a
 * text that redact() would drop, or the name of somebody of the team. In what
 * is no JSON it is looked for as bytes. 1, 0, or -1 without memory. */
int	redact_names(struct span body, struct span who)
	    __attribute__((warn_unused_result));

#endif
