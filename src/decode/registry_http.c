#include "decode/registry_client.h"

#include <stdio.h>

/* Returning less than was offered makes curl stop with CURLE_WRITE_ERROR: an answer past the limit. */
static size_t take_answer(char *data, size_t size, size_t count, void *context)
{
    struct lp_registry_call *call = context;
    lp_buffer_append(&call->answer, data, size * count);
    return call->answer.failed ? 0 : size * count;
}

static CURLcode set_credentials(const struct lp_registry *registry, CURL *easy)
{
    if (registry->token != NULL) {
        CURLcode code = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, registry->token);
    }
    if (registry->user == NULL) return CURLE_OK;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_USERNAME, registry->user);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_PASSWORD, registry->password);
    return code;
}

/* What the peer may make us do: HTTP only, no redirects (they could carry credentials to another host), no .netrc. */
static CURLcode set_limits(const struct lp_registry *registry, CURL *easy)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, registry->timeout_ms);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, registry->timeout_ms);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A name server that hangs must not hold up the end of the process. */
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    return code;
}

static CURLcode set_tls(const struct lp_registry *registry, CURL *easy)
{
    const struct {
        CURLoption option;
        const char *text;
    } options[] = {{CURLOPT_CAINFO, registry->ca_path},
                   {CURLOPT_SSLCERT, registry->certificate_path},
                   {CURLOPT_SSLKEY, registry->key_path},
                   {CURLOPT_KEYPASSWD, registry->key_password}};
    CURLcode code = CURLE_OK;
    /* Builds of libcurl trust a folder of the system's, beside the file, unless told not to. */
    if (registry->ca_path != NULL) code = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    for (size_t i = 0; code == CURLE_OK && i < sizeof options / sizeof *options; i++)
        if (options[i].text != NULL) code = curl_easy_setopt(easy, options[i].option, options[i].text);
    return code;
}

static CURLcode set_request(const struct lp_registry *registry, struct lp_registry_call *call, CURL *easy)
{
    char url[2 * LP_REGISTRY_TEXT_MAX + 16384]; /* base and path, the subject in it escaped threefold */
    int length = snprintf(url, sizeof url, "%s%s", registry->urls[call->url], lp_registry_call_path(call));
    if (length < 0 || (size_t)length >= sizeof url) return CURLE_URL_MALFORMAT;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, url);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, registry->headers);
    if (code == CURLE_OK && call->body != NULL) code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    return code;
}

enum lp_code lp_registry_start(struct lp_registry *registry, struct lp_registry_call *call, struct lp_error *err)
{
    lp_buffer_clear(&call->answer);
    call->curl_error[0] = '\0';
    CURL *easy = curl_easy_init();
    if (easy == NULL) return lp_fail(err, LP_E_MEMORY, LP_RETRY, "registry: no memory for a request");
    CURLcode code = set_limits(registry, easy);
    if (code == CURLE_OK) code = set_tls(registry, easy);
    if (code == CURLE_OK) code = set_credentials(registry, easy);
    if (code == CURLE_OK) code = set_request(registry, call, easy);
    if (code != CURLE_OK || curl_multi_add_handle(registry->multi, easy) != CURLM_OK) {
        curl_easy_cleanup(easy);
        return lp_fail(err, LP_E_IO, LP_RETRY, "registry: a request to %s cannot be made: %s",
                       registry->urls[call->url], curl_easy_strerror(code));
    }
    call->easy = easy;
    registry->transfers++;
    atomic_fetch_add_explicit(&registry->requests, 1, memory_order_relaxed);
    return LP_OK;
}

void lp_registry_cancel(struct lp_registry *registry, struct lp_registry_call *call)
{
    if (call->easy == NULL) return;
    curl_multi_remove_handle(registry->multi, call->easy);
    curl_easy_cleanup(call->easy);
    call->easy = NULL;
    registry->transfers--;
}
