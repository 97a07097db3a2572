/* All hooks that are none of the other resources: new ones of Sentry's, and
 * such without a name. */
#include "hook/metadata.h"
#include "hook/resource.h"
#include "hook/title.h"

const struct resource resource_other = {
	.name = "other",
	.source = "issue",
	.actions = "",
	.find = facts_of_issue,
	.number = facts_issue_number,
	.title = title_add_found,
	.body = title_found,
	.metadata = metadata_ids,
};
