// wrap: curl_easy_setopt
/* Whose certificates count: libcurl's builds trust a folder of the system's beside the file that is named. */
#include "registry_support.h"

#include <curl/curl.h>
#include <stdatomic.h>

/* What is asked of libcurl: which folder it trusts cannot be seen from outside without touching the system's. */
static atomic_bool default_folder_is_off;

CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    va_list more;
    va_start(more, option);
    void *value = va_arg(more, void *); /* a long goes the same way */
    va_end(more);
    if (option == CURLOPT_CAPATH) atomic_store(&default_folder_is_off, value == NULL);
    return __real_curl_easy_setopt(easy, option, value);
}

static void certificates_that_are_named_are_the_only_ones(void **state)
{
    (void)state;
    const struct lp_avro_schema *schema;
    struct lp_registry_options options = usual_options();
    fake_http_route(server, "GET", "/schemas/ids/3", 200, SCHEMA_LONG, 0, -1);
    start(options);
    wait_ok(3, &schema);
    assert_false(atomic_load(&default_folder_is_off));
    lp_registry_free(registry);
    options.ca_path = "/dev/null";
    start(options);
    wait_ok(3, &schema);
    assert_true(atomic_load(&default_folder_is_off));
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_SERVER(certificates_that_are_named_are_the_only_ones)};
    return cmocka_run_group_tests_name("registry_trust", tests, NULL, NULL);
}
