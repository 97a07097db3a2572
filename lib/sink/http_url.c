#include "sink/http_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <curl/curl.h>

#define SECRET_LEAST_BYTES	3	/* shorter ones hide too much else */
#define SECRET_LONG_BYTES	16	/* a part of a path that may be one */
#define INNGEST_DEV_PORT	"8288"	/* of `inngest dev` */

/* As it stands in the URL, and as a server has decoded it: either may come
 * back in an answer. */
static void
add_secret(struct http_url *u, const char *at, size_t n)
{
	char *forms[2] = { strndup(at, n), NULL };

	if (forms[0] == NULL)
		return;
	forms[1] = curl_easy_unescape(NULL, forms[0], 0, NULL);
	for (int i = 0; i < 2; i++)
		if (forms[i] != NULL && u->secrets < HTTP_URL_SECRETS &&
		    strlen(forms[i]) >= SECRET_LEAST_BYTES &&
		    (i == 0 || strcmp(forms[0], forms[1]) != 0))
			u->secret[u->secrets++] = strdup(forms[i]);
	if (u->secrets > 0 && u->secret[u->secrets - 1] == NULL)
		u->secrets--;
	free(forms[0]);
	curl_free(forms[1]);
}

static void
add_path_secrets(struct http_url *u, const char *at)
{
	size_t n;

	for (; *at != '\0'; at += n + (at[n] == '/')) {
		n = strcspn(at, "/");
		if (n >= SECRET_LONG_BYTES ||
		    at[n + strspn(at + n, "/")] == '\0')
			add_secret(u, at, n);
	}
}

static void
add_query_secrets(struct http_url *u, const char *at)
{
	size_t n, name;

	for (; *at != '\0'; at += n + (at[n] == '&')) {
		n = strcspn(at, "&");
		name = strcspn(at, "=");
		name = name < n ? name + 1 : 0;
		add_secret(u, at + name, n - name);
	}
}

static void
add_secrets(struct http_url *u, CURLU *curl)
{
	static const CURLUPart parts[] = {
		CURLUPART_PASSWORD, CURLUPART_USER, CURLUPART_PATH,
		CURLUPART_QUERY
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		char *s = NULL;

		if (curl_url_get(curl, parts[i], &s, 0) != CURLUE_OK)
			continue;
		if (parts[i] == CURLUPART_PATH)
			add_path_secrets(u, s);
		else if (parts[i] == CURLUPART_QUERY)
			add_query_secrets(u, s);
		else
			add_secret(u, s, strlen(s));
		curl_free(s);
	}
}

/* A URL that leads to an Inngest but does not end in /e/KEY: an Inngest answers
 * there with its own pages, and 200. */
static const char *
warning_of(const char *host, const char *port, const char *path)
{
	const char *key = strrchr(path, '/');
	size_t n = strlen(path);

	if (key != NULL && key[1] != '\0' && key - path >= 2 &&
	    memcmp(key - 2, "/e", 2) == 0)
		return NULL;
	if (strcasecmp(host, "inn.gs") != 0 &&
	    strcasestr(host, "inngest") == NULL &&
	    (port == NULL || strcmp(port, INNGEST_DEV_PORT) != 0) &&
	    strstr(path, "/e/") == NULL &&
	    (n < 2 || strcmp(path + n - 2, "/e") != 0))
		return NULL;
	return "this looks like an Inngest, but its URL does not end in "
	    "/e/KEY: what else it has answers other things";
}

bool
http_url_read(struct http_url *u, const char *url)
{
	CURLU *curl = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;
	bool good = curl != NULL &&
	    curl_url_set(curl, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(curl, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(curl, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(curl, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
	    (strcasecmp(scheme, "http") == 0 ||
	    strcasecmp(scheme, "https") == 0);

	if (good) {
		(void)curl_url_get(curl, CURLUPART_PORT, &port, 0);
		snprintf(u->shown, sizeof(u->shown), "%s://%s%s%s", scheme,
		    host, port == NULL ? "" : ":", port == NULL ? "" : port);
		u->inngest = strstr(path, "/e/") != NULL;
		u->warning = warning_of(host, port, path);
		add_secrets(u, curl);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(path);
	curl_url_cleanup(curl);
	return good;
}

void
http_url_release(struct http_url *u)
{
	for (unsigned i = 0; i < u->secrets; i++)
		free(u->secret[i]);
}
