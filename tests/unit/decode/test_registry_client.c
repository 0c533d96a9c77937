/* Schemas by id: fetched once, kept, retried, refused. */
#include "registry_support.h"

static void schema_is_fetched_once_and_kept(void **state)
{
    (void)state;
    int route = fake_http_route(server, "GET", "/schemas/ids/7", 200, SCHEMA_LONG, 0, -1);
    start(usual_options());
    assert_int_equal(fake_http_count(server, -1), 0);
    const struct lp_avro_schema *schema = NULL, *again = NULL;
    assert_int_equal(lp_registry_get(registry, 7, &schema, &err), LP_E_PENDING);
    assert_int_equal(err.action, LP_RETRY);
    wait_ok(7, &schema);
    for (int i = 0; i < 100; i++) assert_int_equal(lp_registry_get(registry, 7, &again, &err), LP_OK);
    assert_ptr_equal(schema, again);
    assert_int_equal(fake_http_count(server, route), 1);
    assert_int_equal(counts().requests, 1);
    char request[2048];
    fake_http_last(server, request, sizeof request);
    assert_non_null(strstr(request, "Accept: application/vnd.schemaregistry.v1+json"));
    assert_null(strstr(request, "Authorization"));
}

static void *ask(void *context)
{
    const struct lp_avro_schema **schema = context;
    struct lp_error error;
    if (lp_registry_wait(registry, 5, WAIT_MS, schema, &error) != LP_OK) *schema = NULL;
    return NULL;
}

static void many_askers_cause_one_request(void **state)
{
    (void)state;
    enum { ASKERS = 8 };
    fake_http_route(server, "GET", "/schemas/ids/5", 200, SCHEMA_LONG, 100, -1);
    start(usual_options());
    pthread_t threads[ASKERS];
    const struct lp_avro_schema *schemas[ASKERS];
    for (int i = 0; i < ASKERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, ask, &schemas[i]), 0);
    for (int i = 0; i < ASKERS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < ASKERS; i++) assert_true(schemas[i] != NULL && schemas[i] == schemas[0]);
    assert_int_equal(fake_http_count(server, -1), 1);
}

static void different_ids_are_fetched_side_by_side(void **state)
{
    (void)state;
    char paths[6][32];
    start(usual_options());
    for (int i = 0; i < 6; i++) {
        snprintf(paths[i], sizeof paths[i], "/schemas/ids/%d", i);
        fake_http_route(server, "GET", paths[i], 200, SCHEMA_LONG, 300, -1);
    }
    const struct lp_avro_schema *schema;
    for (uint64_t i = 0; i < 6; i++) assert_int_equal(lp_registry_get(registry, i, &schema, &err), LP_E_PENDING);
    for (uint64_t i = 0; i < 6; i++) wait_ok(i, &schema);
    assert_true(server->active_max >= 3);
}

static void not_found_is_remembered_for_its_time(void **state)
{
    (void)state;
    int missing = fake_http_route(server, "GET", "/schemas/ids/9", 404, NOT_FOUND, 0, 1);
    int there = fake_http_route(server, "GET", "/schemas/ids/9", 200, SCHEMA_LONG, 0, -1);
    struct lp_registry_options options = usual_options();
    options.negative_ttl_ms = 1000;
    start(options);
    const struct lp_avro_schema *schema;
    uint64_t start_ns = lp_clock_ns();
    assert_int_equal(lp_registry_wait(registry, 9, WAIT_MS, &schema, &err), LP_E_NOT_FOUND);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    expect_text(url);
    expect_text("/schemas/ids/9");
    expect_text("404");
    expect_text("40403");
    expect_text("Schema not found");
    assert_int_equal(lp_registry_get(registry, 9, &schema, &err), LP_E_NOT_FOUND);
    assert_int_equal(fake_http_count(server, -1), 1);
    assert_int_equal(counts().not_found, 1);
    while (lp_registry_get(registry, 9, &schema, &err) == LP_E_NOT_FOUND) usleep(5000);
    assert_true(lp_clock_ns() - start_ns >= 1000000000u);
    wait_ok(9, &schema);
    assert_int_equal(fake_http_count(server, missing), 1);
    assert_int_equal(fake_http_count(server, there), 1);
}

static void server_errors_are_retried_with_growing_pauses(void **state)
{
    (void)state;
    int bad =
        fake_http_route(server, "GET", "/schemas/ids/3", 500, "{\"error_code\":50001,\"message\":\"store\"}", 0, 4);
    fake_http_route(server, "GET", "/schemas/ids/3", 200, SCHEMA_LONG, 0, -1);
    start(usual_options());
    const struct lp_avro_schema *schema;
    uint64_t start_ns = lp_clock_ns();
    wait_ok(3, &schema);
    uint64_t took_ms = (lp_clock_ns() - start_ns) / 1000000;
    assert_true(took_ms >= 20 + 40 + 80 + 160);
    assert_int_equal(fake_http_count(server, bad), 4);
    assert_int_equal(counts().failures, 4);
    assert_int_equal(counts().requests, 5);
}

static void pending_tells_the_last_failure(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/schemas/ids/3", 503, "down for\nmaintenance", 0, -1);
    struct lp_registry_options options = usual_options();
    options.retry_ms = 10000;
    start(options);
    const struct lp_avro_schema *schema;
    assert_int_equal(lp_registry_wait(registry, 3, 1500, &schema, &err), LP_E_TIMEOUT);
    assert_int_equal(err.action, LP_RETRY);
    expect_text("status 503");
    assert_int_equal(lp_registry_get(registry, 3, &schema, &err), LP_E_PENDING);
    expect_text("status 503");
    assert_int_equal(fake_http_count(server, -1), 1);
}

/* None of these is the registry's word on the id: the record waits. */
static void only_the_registrys_own_404_is_final(void **state)
{
    (void)state;
    const struct {
        int status;
        const char *body;
    } cases[] = {{404, "<html>404 Not Found</html>"},
                 {404, "{\"error_code\":404,\"message\":\"HTTP 404 Not Found\"}"},
                 {401, "{\"error_code\":401,\"message\":\"Unauthorized\"}"},
                 {403, ""},
                 {429, ""},
                 {400, "{}"},
                 {301, ""},
                 {200, "<html>log in</html>"},
                 {200, "{\"id\":3}"},
                 {200, "[]"},
                 {200, ""},
                 {200, "{\"schema\":7}"}};
    enum { CASES = sizeof cases / sizeof cases[0] };
    for (int i = 0; i < CASES; i++)
        fake_http_route(server, "GET", "/schemas/ids/3", cases[i].status, cases[i].body, 0, 1);
    fake_http_route(server, "GET", "/schemas/ids/3", 200, SCHEMA_LONG, 0, -1);
    struct lp_registry_options options = usual_options();
    char list[CASES * sizeof url] = ""; /* one URL for each, so that no pause comes between */
    for (size_t n = 0, used = 0; n <= CASES; n++) used += (size_t)snprintf(list + used, sizeof list - used, "%s,", url);
    options.url = list;
    start(options);
    const struct lp_avro_schema *schema;
    wait_ok(3, &schema);
    assert_int_equal(counts().failures, CASES);
    assert_int_equal(fake_http_count(server, -1), CASES + 1);
}

static void bad_schemas_are_bad_records(void **state)
{
    (void)state;
    fake_http_route(server, "GET", "/schemas/ids/1", 200, "{\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax\"}", 0, -1);
    fake_http_route(server, "GET", "/schemas/ids/2", 200, "{\"schema\":\"{\\\"type\\\":\\\"recor\\\"}\"}", 0, -1);
    static char large[4 << 20]; /* static: the server may still be sending it at the end */
    memset(large, ' ', sizeof large - 1);
    fake_http_route(server, "GET", "/schemas/ids/3", 200, large, 0, -1);
    fake_http_route(server, "GET", "/schemas/ids/4", 200, "{\"schemaType\":\"AVRO\",\"schema\":\"\\\"int\\\"\"}", 0,
                    -1);
    start(usual_options());
    const struct lp_avro_schema *schema;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(lp_registry_wait(registry, id, WAIT_MS, &schema, &err), id == 3 ? LP_E_LIMIT : LP_E_INVALID);
        assert_int_equal(err.action, LP_SKIP_RECORD);
        expect_text(url);
    }
    wait_ok(4, &schema);
}

/* 851 KB of valid schema that names of a thousand characters blow up past the memory of one schema: the answer will not
 * get better, so that asking again would hold the partition for ever. */
static void a_schema_past_the_memory_limit_is_a_bad_record(void **state)
{
    (void)state;
    enum { ALIASES = 170000, ROOM = 2 << 20 };
    char *body = malloc(ROOM);
    assert_non_null(body);
    size_t used = (size_t)snprintf(body, ROOM,
                                   "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\","
                                   "\\\"namespace\\\":\\\"%01000d\\\",\\\"fields\\\":[],\\\"aliases\\\":[",
                                   0);
    for (char *zero = strstr(body, "000"); *zero == '0'; zero++) *zero = 'n';
    for (int i = 0; i < ALIASES; i++)
        used += (size_t)snprintf(body + used, ROOM - used, "%s\\\"a\\\"", i > 0 ? "," : "");
    snprintf(body + used, ROOM - used, "]}\",\"references\":[]}");
    int route = fake_http_route(server, "GET", "/schemas/ids/6", 200, body, 0, -1);
    start(usual_options());
    const struct lp_avro_schema *schema;
    assert_int_equal(lp_registry_wait(registry, 6, WAIT_MS, &schema, &err), LP_E_LIMIT);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    expect_text("67108864");
    usleep(100000); /* five pauses */
    assert_int_equal(lp_registry_get(registry, 6, &schema, &err), LP_E_LIMIT);
    assert_int_equal(fake_http_count(server, route), 1);
    lp_registry_free(registry);
    registry = NULL;
    fake_http_free(server);
    server = NULL;
    free(body);
}

static void a_full_cache_refuses_and_forgets_failures_first(void **state)
{
    (void)state;
    char paths[8][32];
    for (int i = 0; i < 8; i++) {
        snprintf(paths[i], sizeof paths[i], "/schemas/ids/%d", i);
        fake_http_route(server, "GET", paths[i], i < 3 ? 200 : 404, i < 3 ? SCHEMA_LONG : NOT_FOUND, 0, -1);
    }
    struct lp_registry_options options = usual_options();
    options.cache_max = 2;
    start(options);
    const struct lp_avro_schema *schema;
    wait_ok(0, &schema);
    wait_ok(1, &schema);
    assert_int_equal(lp_registry_wait(registry, 2, WAIT_MS, &schema, &err), LP_E_LIMIT);
    for (uint64_t i = 3; i < 8; i++)
        assert_int_equal(lp_registry_wait(registry, i, WAIT_MS, &schema, &err), LP_E_NOT_FOUND);
    assert_int_equal(lp_registry_get(registry, 0, &schema, &err), LP_OK);
    assert_int_equal(lp_registry_get(registry, 7, &schema, &err), LP_E_NOT_FOUND);
    assert_int_equal(lp_registry_get(registry, 3, &schema, &err), LP_E_PENDING); /* forgotten */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(schema_is_fetched_once_and_kept),
        WITH_SERVER(many_askers_cause_one_request),
        WITH_SERVER(different_ids_are_fetched_side_by_side),
        WITH_SERVER(not_found_is_remembered_for_its_time),
        WITH_SERVER(server_errors_are_retried_with_growing_pauses),
        WITH_SERVER(pending_tells_the_last_failure),
        WITH_SERVER(only_the_registrys_own_404_is_final),
        WITH_SERVER(bad_schemas_are_bad_records),
        WITH_SERVER(a_schema_past_the_memory_limit_is_a_bad_record),
        WITH_SERVER(a_full_cache_refuses_and_forgets_failures_first),
    };
    return cmocka_run_group_tests_name("registry_client", tests, NULL, NULL);
}
