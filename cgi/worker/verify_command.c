#include "worker/verify_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"
#include "base/json.h"

#define BODY_MAX	(128ul << 20)	/* bytes */

static int
verify_read(struct text *t, const char *file)
{
	int fd = file == NULL ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	bool bad;

	if (fd < 0) {
		args_error("%s: %s", file, strerror(errno));
		return -1;
	}
	bad = !file_read_text(fd, t, BODY_MAX) || t->broken ||
	    t->len > BODY_MAX;
	if (bad)
		args_error("the body cannot be read whole");
	if (file != NULL)
		close(fd);
	return bad ? -1 : 0;
}

static const char *
verify_guess(struct keyring *keys, struct span signature,
    struct span body)
{
	struct json root;
	bool json = json_open(&root, body) == 0;
	const char *guess = keyring_guess(keys, signature, body,
	    json ? &root : NULL);

	json_close(&root);
	return guess != NULL ? guess : "no configured secret signed this "
	    "body, nor a common variant of it: is it the client secret of the "
	    "integration that sent it?";
}

static int
verify_print(struct keyring *keys, struct span signature,
    struct span body)
{
	char name[SECRET_NAME_MAX + 1];

	if (keyring_count(keys) == 0) {
		args_error("no secret is configured: set "
		    "SENTRY_CLIENT_SECRET or --secret-file");
		return 1;
	}
	switch (keyring_check(keys, signature, body, 0, name)) {
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
	printf("invalid: %s\n", verify_guess(keys, signature, body));
	return 1;
}

int
verify_command(struct keyring *keyring, const char *signature, const char *file)
{
	struct text body = { 0 };
	int status = 1;

	if (verify_read(&body, file) == 0)
		status = verify_print(keyring, span_of(signature),
		    (struct span){ body.at == NULL ? "" : body.at, body.len });
	text_release(&body);
	return status;
}
