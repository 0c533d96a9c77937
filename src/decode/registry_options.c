/* The client's options: copied, checked, and the secrets taken out of the URLs. */
#include "decode/registry_client.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_clean(const char *text)
{
    if (strnlen(text, LP_REGISTRY_TEXT_MAX + 1) > LP_REGISTRY_TEXT_MAX) return false;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return false;
    return true;
}

/* Copies an optional text; false when it cannot be a header's or memory ran out. */
static bool keep(const char *text, char **ret_text)
{
    if (text == NULL) return true;
    if (!is_clean(text)) return false;
    *ret_text = strdup(text);
    return *ret_text != NULL;
}

static bool take_part(CURLU *url, CURLUPart part, char **to)
{
    char *text = NULL;
    bool ok = true;
    if (*to == NULL && curl_url_get(url, part, &text, CURLU_URLDECODE) == CURLUE_OK) ok = keep(text, to);
    curl_free(text);
    return ok && curl_url_set(url, part, NULL, 0) == CURLUE_OK;
}

/* http(s), no query; userinfo moves to user and password, so that no text can show it. */
static bool normalize_url(struct lp_registry *registry, CURLU *url, char **ret_url)
{
    char *scheme = NULL, *query = NULL, *whole = NULL;
    bool ok = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
              curl_url_get(url, CURLUPART_QUERY, &query, 0) != CURLUE_OK &&
              curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
              take_part(url, CURLUPART_USER, &registry->user) &&
              take_part(url, CURLUPART_PASSWORD, &registry->password) &&
              curl_url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK && keep(whole, ret_url);
    curl_free(scheme);
    curl_free(query);
    curl_free(whole);
    if (!ok) return false;
    for (size_t size = strlen(*ret_url); size > 0 && (*ret_url)[size - 1] == '/'; size--) (*ret_url)[size - 1] = '\0';
    return true;
}

static enum lp_code take_url(struct lp_registry *registry, const char *text, size_t size, struct lp_error *err)
{
    if (registry->url_count == LP_REGISTRY_URLS_MAX)
        return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, "registry.url", "registry.url: more than %d URLs: name fewer",
                             LP_REGISTRY_URLS_MAX);
    char *copy = strndup(text, size);
    CURLU *url = curl_url();
    bool ok = copy != NULL && url != NULL && size <= LP_REGISTRY_TEXT_MAX &&
              curl_url_set(url, CURLUPART_URL, copy, 0) == CURLUE_OK &&
              normalize_url(registry, url, &registry->urls[registry->url_count]);
    curl_url_cleanup(url);
    free(copy);
    if (!ok) /* without the text: it may hold a password */
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "registry.url",
                             "registry.url: number %u is not http(s)://host:port[/path]: correct it",
                             registry->url_count + 1);
    registry->url_count++;
    return LP_OK;
}

static enum lp_code take_urls(struct lp_registry *registry, const char *list, struct lp_error *err)
{
    for (const char *p = list != NULL ? list : ""; *p != '\0';) {
        p += strspn(p, ", \t");
        size_t size = strcspn(p, ", \t");
        if (size > 0) LP_TRY(take_url(registry, p, size, err));
        p += size;
    }
    if (registry->url_count > 0) return LP_OK;
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "registry.url", "registry.url: no URL: set http(s)://host:port");
}

static enum lp_code check_file(const char *key, const char *path, struct lp_error *err)
{
    if (path == NULL || access(path, R_OK) == 0) return LP_OK;
    return lp_fail_field(err, LP_E_NOT_FOUND, LP_FATAL, key, "%s: %.300s: %s: correct it", key, path, strerror(errno));
}

enum lp_code lp_registry_take_options(struct lp_registry *registry, const struct lp_registry_options *o,
                                      struct lp_error *err)
{
    const char *const texts[] = {o->user,    o->password,         o->token,   o->key_password,
                                 o->ca_path, o->certificate_path, o->key_path};
    char **const kept[] = {&registry->user,    &registry->password,         &registry->token,   &registry->key_password,
                           &registry->ca_path, &registry->certificate_path, &registry->key_path};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i] != NULL && !is_clean(texts[i]))
            return lp_fail(err, LP_E_INVALID, LP_FATAL,
                           "registry: a user, password, token or path with control characters or longer than %d "
                           "bytes: correct it",
                           LP_REGISTRY_TEXT_MAX);
        if (!keep(texts[i], kept[i])) return lp_fail_memory(err, strlen(texts[i]));
    }
    LP_TRY(take_urls(registry, o->url, err));
    if (registry->user != NULL && registry->password == NULL) registry->password = strdup("");
    if (registry->user != NULL && registry->password == NULL) return lp_fail_memory(err, 1);
    LP_TRY(check_file("registry.ca.path", registry->ca_path, err));
    LP_TRY(check_file("registry.certificate.path", registry->certificate_path, err));
    LP_TRY(check_file("registry.key.path", registry->key_path, err));
    if (o->timeout_ms < 1 || o->retry_ms < 1 || o->negative_ttl_ms < 0 || o->cache_max < 1)
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "registry: timeout %ld ms, retry %ld ms, negative ttl %ld ms, cache %u: all must be above 0",
                       o->timeout_ms, o->retry_ms, o->negative_ttl_ms, o->cache_max);
    registry->timeout_ms = o->timeout_ms;
    registry->retry_ms = o->retry_ms < LP_REGISTRY_BACKOFF_MAX_MS ? o->retry_ms : LP_REGISTRY_BACKOFF_MAX_MS;
    registry->negative_ttl_ms =
        o->negative_ttl_ms > LP_REGISTRY_NEGATIVE_MIN_MS ? o->negative_ttl_ms : LP_REGISTRY_NEGATIVE_MIN_MS;
    registry->cache_max = o->cache_max;
    return LP_OK;
}
