/* Redaction: a hook's body without the data that identifies an end user.
 *
 * These rules hold anywhere in the body:
 *  1. An object `user` keeps only its `id`, a tag `user` only an `id:...`.
 *     (A tag may begin with `sentry:`, and be a list [key, value] or an object
 *     { key, value }.)
 *  2. An object `request` keeps only `method`, and `url` up to its query.
 *  3. `contexts` keeps only those that Sentry's own SDKs fill (`feedback` is
 *     none of them), and `device` loses its name.
 *  4. An object about the author of feedback loses its `name`. Such are
 *     `metadata`, `evidenceData`, `feedback`, `userReport`, and any object
 *     that has a member `contact_email`.
 *  5. A member becomes null if its name says that it holds an address or a name
 *     (pii_member()), or the application's data (pii_data()). So does the
 *     value of a pair that has such a name: a list [name, value], as in tags,
 *     or an object { name, value } or { key, value }, in any order. Within an
 *     occurrence's `evidenceDisplay` the names `name`, `user`, `customer`,
 *     `reporter`, `author` and `sender` count as well, and such a pair keeps
 *     nothing but that name and whether it is important.
 *  6. In all texts that are left, and in the names of members, an e-mail
 *     address becomes [email], an IP address [ip]. But four numbers in a
 *     `version`, `app_version` or `dist` are no IP address.
 *  7. A name that the body itself says is a person's becomes [name] in all
 *     texts that are left. Such names are a user's `name`, what rule 4 drops,
 *     and of what rule 5 drops a `full_name` or `contact_name` and evidence
 *     called `name`. A `username` and the parts of a name are none: they are
 *     often words like "admin" or "will". person_names.h says how a name is
 *     found in a text. A name of a single word is left in the names of
 *     members, and where a program or Sentry has chosen the word (`type`,
 *     `level`, `slug`, ids, ...: redact_rule.c): a user who is called "error"
 *     changes no hook's kind or project.
 *
 * The team's own names stay: the hook's `actor`, `data.assignee`, an issue's
 * `assignedTo` and `statusDetails`. So do `release` and the links into Sentry
 * (`permalink`, `web_url`, `issue_url`, `project_url`) of `data` and of the
 * objects in it. Rule 7 does not change this: nobody can tell whether a member
 * of the team and a user with the same name are one person, and a hook without
 * its actor is worth little. Feedback that a member of the team gives is
 * redacted as any other. An occurrence's `assignee` is "user:12", and needs no
 * rule. Any other name within a free text, an exception's message say, cannot
 * be told from other words.
 *
 * Everything else is kept to the byte: order, numbers, white space. */
#ifndef REDACT_H
#define REDACT_H

#include "base/json.h"

/* Appends `body`, redacted. A body that was redacted does not change when it is
 * redacted again. json_open() is the judge of what is JSON, not this; but a
 * byte is appended only where a rule allows it. The body is walked through once
 * if there is nothing to learn from it, up to three times if its end says what
 * its beginning holds. Returns 0; 1 when it cannot be JSON, and what was
 * appended is of no use; -1 without memory. */
int	redact(struct text *, struct span body)
	    __attribute__((warn_unused_result));

/* What is kept instead of a body that is not JSON: its length and hash. */
void	redact_unreadable(struct text *, struct span body);
bool	redact_is_unreadable(struct span kept);

/* Whether `body` names the person `who`. An e-mail or IP address is looked for
 * in every text. Anything else is looked for where a user's id or name stands,
 * or the name of somebody of the team: person_search.h says how. A body that is
 * not JSON is searched byte by byte. 1, 0, or -1 without memory. */
int	redact_mentions(struct span body, struct span who)
	    __attribute__((warn_unused_result));

#endif
