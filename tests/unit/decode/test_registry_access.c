/* How a registry is reached: addresses, credentials, time-outs, options. */
#include "registry_support.h"

static void several_urls_are_tried_in_turn(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/base/schemas/ids/3", 200, SCHEMA_LONG, 0, -1);
    char list[1024];
    /* Port 1 refuses; the second answers 500. */
    fake_http_route(server, "GET", "/bad/schemas/ids/3", 500, "", 0, -1);
    snprintf(list, sizeof list, "http://127.0.0.1:1, %s/bad/ ,%s/base/", url, url);
    struct lp_registry_options options = usual_options();
    options.url = list;
    options.retry_ms = 30000;
    start(options);
    const struct lp_avro_schema *schema;
    wait_ok(3, &schema);
    assert_int_equal(counts().requests, 3);
    assert_int_equal(counts().failures, 2);
}

static void basic_auth_is_sent_and_never_told(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/schemas/ids/3", 401, "{\"error_code\":401,\"message\":\"no\"}", 0, -1);
    struct lp_registry_options options = usual_options();
    options.user = "alice";
    options.password = "s3cret:word";
    options.retry_ms = 30000;
    start(options);
    const struct lp_avro_schema *schema;
    assert_int_equal(lp_registry_wait(registry, 3, 1500, &schema, &err), LP_E_TIMEOUT);
    expect_text("401");
    expect_text("registry.password");
    assert_null(strstr(err.text, "s3cret"));
    char request[2048];
    fake_http_last(server, request, sizeof request);
    /* base64 of alice:s3cret:word, by coreutils */
    assert_non_null(strstr(request, "Authorization: Basic YWxpY2U6czNjcmV0OndvcmQ=\r\n"));
}

static void credentials_in_the_url_are_used_and_never_told(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/schemas/ids/3", 500, "", 0, -1);
    char with_user[256];
    snprintf(with_user, sizeof with_user, "http://alice:s3cret%%3Aword@127.0.0.1:%d/", server->port);
    struct lp_registry_options options = usual_options();
    options.url = with_user;
    options.retry_ms = 30000;
    start(options);
    const struct lp_avro_schema *schema;
    assert_int_equal(lp_registry_wait(registry, 3, 1500, &schema, &err), LP_E_TIMEOUT);
    assert_null(strstr(err.text, "s3cret"));
    assert_null(strstr(err.text, "alice"));
    char request[2048];
    fake_http_last(server, request, sizeof request);
    assert_non_null(strstr(request, "Authorization: Basic YWxpY2U6czNjcmV0OndvcmQ=\r\n"));
}

static void bearer_token_is_sent(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/schemas/ids/3", 200, SCHEMA_LONG, 0, -1);
    struct lp_registry_options options = usual_options();
    options.token = "tok.en-1";
    start(options);
    const struct lp_avro_schema *schema;
    wait_ok(3, &schema);
    char request[2048];
    fake_http_last(server, request, sizeof request);
    assert_non_null(strstr(request, "Authorization: Bearer tok.en-1\r\n"));
}

static void slow_answers_time_out_and_are_retried(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/schemas/ids/3", 200, SCHEMA_LONG, 60000, 1);
    fake_http_route(server, "GET", "/schemas/ids/3", 200, SCHEMA_LONG, 0, -1);
    struct lp_registry_options options = usual_options();
    options.timeout_ms = 1000;
    start(options);
    const struct lp_avro_schema *schema;
    uint64_t start_ns = lp_clock_ns();
    wait_ok(3, &schema);
    assert_true(lp_clock_ns() - start_ns >= 1000000000u);
    assert_int_equal(counts().failures, 1);
}

static void free_is_prompt_while_a_request_hangs(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/schemas/ids/3", 200, SCHEMA_LONG, 60000, -1);
    struct lp_registry_options options = usual_options();
    options.timeout_ms = 60000;
    start(options);
    const struct lp_avro_schema *schema;
    assert_int_equal(lp_registry_get(registry, 3, &schema, &err), LP_E_PENDING);
    while (fake_http_count(server, -1) == 0) usleep(2000);
    uint64_t start_ns = lp_clock_ns();
    lp_registry_free(registry);
    registry = NULL;
    assert_true(lp_clock_ns() - start_ns < 1000000000u);
}

static void bad_options_are_refused_without_secrets(void **state)
{
    (void)state;
    const char *const urls[] = {
        "", " , ", "ftp://u:s3cret@h", "file:///etc/passwd", "http://u:s3cret@h:99999", "http://h?x=s3cret", "http://"};
    struct lp_registry_options options = usual_options();
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        options.url = urls[i];
        assert_int_equal(lp_registry_new(&options, &registry, &err), LP_E_INVALID);
        assert_int_equal(err.action, LP_FATAL);
        assert_string_equal(err.field, "registry.url");
        assert_null(strstr(err.text, "s3cret"));
    }
    options = usual_options();
    options.token = "a\r\nX-Injected: 1";
    assert_int_equal(lp_registry_new(&options, &registry, &err), LP_E_INVALID);
    options = usual_options();
    options.ca_path = "/nonexistent/ca.pem";
    assert_int_equal(lp_registry_new(&options, &registry, &err), LP_E_NOT_FOUND);
    options = usual_options();
    options.cache_max = 0;
    assert_int_equal(lp_registry_new(&options, &registry, &err), LP_E_INVALID);
    assert_null(registry);
    lp_registry_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(several_urls_are_tried_in_turn),
        WITH_SERVER(basic_auth_is_sent_and_never_told),
        WITH_SERVER(credentials_in_the_url_are_used_and_never_told),
        WITH_SERVER(bearer_token_is_sent),
        WITH_SERVER(slow_answers_time_out_and_are_retried),
        WITH_SERVER(free_is_prompt_while_a_request_hangs),
        WITH_SERVER(bad_options_are_refused_without_secrets),
    };
    return cmocka_run_group_tests_name("registry_access", tests, NULL, NULL);
}
