#include "worker/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

#define BODY_MAX	(128ul << 20)	/* bytes */

static int
read_all(struct text *t, const char *file)
{
	int fd = file == NULL ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	bool bad;

	if (fd < 0) {
		fprintf(stderr, "sentry-webhooks: %s: %s\n", file,
		    strerror(errno));
		return -1;
	}
	bad = !file_read_text(fd, t, BODY_MAX) || t->broken ||
	    t->len > BODY_MAX;
	if (bad)
		fputs("sentry-webhooks: the body cannot be read whole\n",
		    stderr);
	if (file != NULL)
		close(fd);
	return bad ? -1 : 0;
}

static const char *
guess(const struct keyring_loan *keys, struct span signature, struct span body)
{
	struct json root;
	bool json = json_open(&root, body) == 0;
	const char *says = NULL;

	for (int i = 0; i < 2 && says == NULL; i++)
		if (secrets_count(keys->set[i]) > 0)
			says = signature_guess(keys->set[i], signature, body,
			    json ? &root : NULL);
	json_close(&root);
	return says;
}

static int
judge(const struct keyring_loan *keys, struct span signature, struct span body)
{
	const char *name, *says;

	if (keyring_loan_count(keys) == 0) {
		fputs("sentry-webhooks: no secret is configured: set "
		    "SENTRY_CLIENT_SECRET or --secret-file\n", stderr);
		return 1;
	}
	switch (keyring_loan_check(keys, signature, body, &name)) {
	case SIGNATURE_VALID:
		printf("valid: signed with the secret `%s'\n", name);
		return 0;
	case SIGNATURE_MISSING:
	case SIGNATURE_LENGTH:
		puts("invalid: a signature is exactly 64 hex digits");
		return 1;
	case SIGNATURE_INVALID:
		break;
	}
	says = guess(keys, signature, body);
	printf("invalid: %s\n", says != NULL ? says : "no configured secret "
	    "signed this body, nor a common variant of it: is it the client "
	    "secret of the integration that sent it?");
	return 1;
}

int
verify(struct keyring *keyring, const char *signature, const char *file)
{
	struct text body = { 0 };
	struct keyring_loan keys;
	int status = 1;

	keyring_borrow(keyring, &keys);
	if (read_all(&body, file) == 0)
		status = judge(&keys, span_of(signature), (struct span){
		    body.at == NULL ? "" : body.at, body.len });
	keyring_release(&keys);
	text_release(&body);
	return status;
}
