/* The registry client against a server in the process. Paths, media type and error codes: Confluent's REST reference.
 */
#include "core/clock.h"
#include "decode/avro.h"
#include "decode/registry.h"
#include "support/fake_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SCHEMA_LONG "{\"schema\":\"\\\"long\\\"\"}"
#define NOT_FOUND "{\"error_code\":40403,\"message\":\"Schema not found\"}"
#define WAIT_MS 5000

static struct fake_http *server;
static struct lp_registry *registry;
static struct lp_error err;
static char url[256];

static int setup(void **state)
{
    (void)state;
    server = fake_http_new();
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server->port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lp_registry_free(registry);
    registry = NULL;
    fake_http_free(server);
    server = NULL;
    return 0;
}

static struct lp_registry_options usual_options(void)
{
    return (struct lp_registry_options){
        .url = url, .timeout_ms = 3000, .retry_ms = 20, .negative_ttl_ms = 60000, .cache_max = 100};
}

static void start(struct lp_registry_options options)
{
    if (lp_registry_new(&options, &registry, &err) != LP_OK) fail_msg("%s", err.text);
}

static void wait_ok(uint64_t id, const struct lp_avro_schema **ret_schema)
{
    if (lp_registry_wait(registry, id, WAIT_MS, ret_schema, &err) != LP_OK) fail_msg("%s", err.text);
}

static void expect_text(const char *text)
{
    if (strstr(err.text, text) == NULL) fail_msg("\"%s\" is not in \"%s\"", text, err.text);
}

static struct lp_registry_counts counts(void)
{
    struct lp_registry_counts counts;
    lp_registry_counts(registry, &counts);
    return counts;
}

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
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
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
        WITH_SERVER(several_urls_are_tried_in_turn),
        WITH_SERVER(basic_auth_is_sent_and_never_told),
        WITH_SERVER(credentials_in_the_url_are_used_and_never_told),
        WITH_SERVER(bearer_token_is_sent),
        WITH_SERVER(slow_answers_time_out_and_are_retried),
        WITH_SERVER(free_is_prompt_while_a_request_hangs),
        WITH_SERVER(schema_is_registered_and_looked_up),
        WITH_SERVER(refusals_of_a_registration_end_it),
        WITH_SERVER(registration_gives_up_in_time),
        WITH_SERVER(latest_gives_schema_and_id),
        WITH_SERVER(references_are_written_into_the_schema),
        WITH_SERVER(endless_references_are_refused),
        WITH_SERVER(a_full_cache_refuses_and_forgets_failures_first),
        WITH_SERVER(bad_options_are_refused_without_secrets),
    };
    return cmocka_run_group_tests_name("registry_client", tests, NULL, NULL);
}
