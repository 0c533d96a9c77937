/* Subjects: registration, the latest version, references. */
#include "registry_support.h"

static void schema_is_registered_and_looked_up(void **state)
{
    (void)state;
    fake_http_route(server, "POST", "/subjects/clicks-value/versions", 200, "{\"id\":41}", 0, -1);
    fake_http_route(server, "POST", "/subjects/clicks-value", 200,
                    "{\"subject\":\"clicks-value\",\"id\":41,\"version\":1,\"schema\":\"\\\"long\\\"\"}", 0, -1);
    fake_http_route(server, "POST", "/subjects/a%2Fb%20c", 404,
                    "{\"error_code\":40401,\"message\":\"Subject 'a/b c' not found\"}", 0, -1);
    start(usual_options());
    uint64_t id = 0;
    struct lp_span schema = lp_span_text("{\"type\":\"long\"}");
    assert_int_equal(lp_registry_register(registry, "clicks-value", schema, WAIT_MS, &id, &err), LP_OK);
    assert_int_equal(id, 41);
    char request[2048];
    fake_http_last(server, request, sizeof request);
    assert_non_null(strstr(request, "Content-Type: application/vnd.schemaregistry.v1+json\r\n"));
    assert_non_null(strstr(request, "\r\n\r\n{\"schema\":\"{\\\"type\\\":\\\"long\\\"}\"}"));
    id = 0;
    assert_int_equal(lp_registry_lookup(registry, "clicks-value", schema, WAIT_MS, &id, &err), LP_OK);
    assert_int_equal(id, 41);
    assert_int_equal(lp_registry_lookup(registry, "a/b c", schema, WAIT_MS, &id, &err), LP_E_NOT_FOUND);
    expect_text("40401");
    assert_int_equal(id, 41); /* not written on failure */
}

static void refusals_of_a_registration_end_it(void **state)
{
    (void)state;
    const char *path = "/subjects/s/versions";
    fake_http_route(server, "POST", path, 503, "", 0, 1);
    fake_http_route(server, "POST", path, 409, "{\"error_code\":409,\"message\":\"incompatible\"}", 0, 1);
    fake_http_route(server, "POST", path, 422, "{\"error_code\":42201,\"message\":\"invalid\"}", 0, 1);
    fake_http_route(server, "POST", path, 403, "", 0, 1);
    start(usual_options());
    uint64_t id = 0;
    struct lp_span schema = lp_span_text("\"long\"");
    const enum lp_code expected[] = {LP_E_MISMATCH, LP_E_INVALID, LP_E_REFUSED};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lp_registry_register(registry, "s", schema, WAIT_MS, &id, &err), expected[i]);
        assert_int_equal(err.action, LP_FATAL);
    }
    assert_int_equal(counts().requests, 4);
}

static void registration_gives_up_in_time(void **state)
{
    (void)state;
    fake_http_route(server, "POST", "/subjects/s/versions", 200, "{\"id\":1}", 60000, -1);
    fake_http_route(server, "POST", "/subjects/t/versions", 500, "", 0, -1);
    start(usual_options());
    uint64_t id = 0, start_ns = lp_clock_ns();
    struct lp_span schema = lp_span_text("\"long\"");
    assert_int_equal(lp_registry_register(registry, "s", schema, 200, &id, &err), LP_E_TIMEOUT);
    assert_int_equal(err.action, LP_RETRY);
    assert_true(lp_clock_ns() - start_ns < 2000000000u);
    assert_int_equal(lp_registry_register(registry, "t", schema, 1500, &id, &err), LP_E_TIMEOUT);
    expect_text("status 500");
}

static void latest_gives_schema_and_id(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/subjects/clicks-value/versions/latest", 200,
                    "{\"subject\":\"clicks-value\",\"id\":12,\"version\":3,\"schema\":\"\\\"long\\\"\"}", 0, -1);
    start(usual_options());
    const struct lp_avro_schema *schema = NULL, *again = NULL;
    uint64_t id = 0;
    assert_int_equal(lp_registry_latest(registry, "clicks-value", WAIT_MS, &schema, &id, &err), LP_OK);
    assert_int_equal(id, 12);
    assert_int_equal(lp_registry_get(registry, 12, &again, &err), LP_OK);
    assert_ptr_equal(schema, again);
}

/* Main: shop.Order uses shop.Money (another subject), which uses Currency (a third, without a namespace). The whole is
 * compared by fingerprint with the schema written out by hand. */
static void references_are_written_into_the_schema(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/schemas/ids/20", 200,
                    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"Order\\\",\\\"namespace\\\":"
                    "\\\"shop\\\",\\\"fields\\\":["
                    "{\\\"name\\\":\\\"price\\\",\\\"type\\\":\\\"Money\\\"},{\\\"name\\\":\\\"tips\\\",\\\"type\\\":"
                    "{\\\"type\\\":\\\"array\\\",\\\"items\\\":[\\\"null\\\",\\\"shop.Money\\\"]}}]}\","
                    "\"references\":[{\"name\":\"shop.Money\",\"subject\":\"money\",\"version\":2}]}",
                    0, -1);
    fake_http_route(server, "GET", "/subjects/money/versions/2", 200,
                    "{\"subject\":\"money\",\"id\":21,\"version\":2,\"schema\":\"{\\\"type\\\":\\\"record\\\","
                    "\\\"name\\\":\\\"shop.Money\\\","
                    "\\\"fields\\\":[{\\\"name\\\":\\\"units\\\",\\\"type\\\":\\\"long\\\"},{\\\"name\\\":\\\"in\\\","
                    "\\\"type\\\":\\\"iso.Currency\\\"}]}\","
                    "\"references\":[{\"name\":\"iso.Currency\",\"subject\":\"iso\",\"version\":1}]}",
                    0, -1);
    int iso = fake_http_route(server, "GET", "/subjects/iso/versions/1", 200,
                              "{\"subject\":\"iso\",\"id\":22,\"version\":1,\"schema\":\"{\\\"type\\\":\\\"enum\\\","
                              "\\\"name\\\":\\\"Currency\\\","
                              "\\\"namespace\\\":\\\"iso\\\",\\\"symbols\\\":[\\\"EUR\\\",\\\"USD\\\"]}\"}",
                              0, -1);
    start(usual_options());
    const struct lp_avro_schema *schema = NULL;
    wait_ok(20, &schema);
    assert_int_equal(fake_http_count(server, iso), 1);
    const char *whole =
        "{\"type\":\"record\",\"name\":\"shop.Order\",\"fields\":[{\"name\":\"price\",\"type\":{\"type\":\"record\","
        "\"name\":\"shop.Money\",\"fields\":[{\"name\":\"units\",\"type\":\"long\"},{\"name\":\"in\",\"type\":{"
        "\"type\":"
        "\"enum\",\"name\":\"iso.Currency\",\"symbols\":[\"EUR\",\"USD\"]}}]}},{\"name\":\"tips\",\"type\":{\"type\":"
        "\"array\","
        "\"items\":[\"null\",\"shop.Money\"]}}]}";
    struct lp_avro_schema *expected = NULL;
    assert_int_equal(lp_avro_schema_parse(lp_span_text(whole), &expected, &err), LP_OK);
    assert_true(lp_avro_schema_fingerprint(schema) == lp_avro_schema_fingerprint(expected));
    lp_avro_schema_free(expected);
}

static void endless_references_are_refused(void **state)
{
    (void)state;
    static char bodies[40][256], paths[40][64];
    for (int i = 0; i < 40; i++) {
        snprintf(paths[i], sizeof paths[i], i == 0 ? "/schemas/ids/1" : "/subjects/s%d/versions/1", i);
        snprintf(bodies[i], sizeof bodies[i],
                 "{\"schema\":\"\\\"long\\\"\",\"references\":[{\"name\":\"n\",\"subject\":\"s%d\",\"version\":1}]}",
                 i + 1);
        fake_http_route(server, "GET", paths[i], 200, bodies[i], 0, -1);
    }
    /* A circle ends by itself: every version is fetched once. */
    fake_http_route(server, "GET", "/schemas/ids/2", 200,
                    "{\"schema\":\"\\\"long\\\"\",\"references\":[{\"name\":\"n\",\"subject\":\"a\",\"version\":1}]}",
                    0, -1);
    int circle = fake_http_route(
        server, "GET", "/subjects/a/versions/1", 200,
        "{\"schema\":\"\\\"int\\\"\",\"references\":[{\"name\":\"n\",\"subject\":\"a\",\"version\":1}]}", 0, -1);
    start(usual_options());
    const struct lp_avro_schema *schema;
    assert_int_equal(lp_registry_wait(registry, 1, WAIT_MS, &schema, &err), LP_E_LIMIT);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    wait_ok(2, &schema);
    assert_int_equal(fake_http_count(server, circle), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(schema_is_registered_and_looked_up),     WITH_SERVER(refusals_of_a_registration_end_it),
        WITH_SERVER(registration_gives_up_in_time),          WITH_SERVER(latest_gives_schema_and_id),
        WITH_SERVER(references_are_written_into_the_schema), WITH_SERVER(endless_references_are_refused),
    };
    return cmocka_run_group_tests_name("registry_subjects", tests, NULL, NULL);
}
