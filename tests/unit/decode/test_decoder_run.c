/* The decoder over every input format. Avro bodies are written by hand from the specification; fingerprints by fastavro
 * 1.13 (fastavro.schema.fingerprint, CRC-64-AVRO of the parsing canonical form). */
#include "decode/avro.h"
#include "decode/decoder.h"
#include "decode/registry.h"
#include "support/fake_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* wrap below: counts allocations, so that the steady path can be shown to make none */
// wrap: malloc calloc realloc
static _Thread_local long allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}
void *__wrap_realloc(void *old, size_t size)
{
    allocations++;
    return __real_realloc(old, size);
}

#define BYTES(...) lp_span_of((const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__}))

#define FINGERPRINT_1 0x66, 0x5b, 0x6e, 0x7f, 0xb0, 0x47, 0x69, 0x03
#define FINGERPRINT_2 0x55, 0xac, 0xe8, 0xff, 0x4f, 0x41, 0x40, 0x6e

static double numbers[8];
static struct lp_span texts[4];
static unsigned char scratch[64];
static struct lp_record record = {
    .numbers = numbers, .texts = texts, .scratch = scratch, .scratch_bytes = sizeof scratch};
static struct lp_error err;
static struct lp_span none;

/* {a: long, s: string} */
static const char schema_1[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"},"
                               "{\"name\":\"s\",\"type\":\"string\"}]}";
/* {s: string, x: double, a: int} */
static const char schema_2[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"s\",\"type\":\"string\"},"
                               "{\"name\":\"x\",\"type\":\"double\"},{\"name\":\"a\",\"type\":\"int\"}]}";
/* without s */
static const char schema_3[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"}]}";

static struct lp_want wants[] = {{.path = "s", .type = LP_WANT_TEXT, .width = 1, .slot = 99},
                                 {.path = "a", .type = LP_WANT_NUMBER, .width = 1, .slot = 99}};

static struct lp_avro_schema *parse(const char *text)
{
    struct lp_avro_schema *schema = NULL;
    if (lp_avro_schema_parse(lp_span_text(text), &schema, &err) != LP_OK) fail_msg("%s", err.text);
    return schema;
}

static struct lp_decoder *new_decoder(struct lp_decoder_options options)
{
    if (options.record_max_bytes == 0) options.record_max_bytes = 1000;
    if (options.plans_max == 0) options.plans_max = 8;
    struct lp_decoder *decoder = NULL;
    if (lp_decoder_new(&options, wants, 2, &decoder, &err) != LP_OK) fail_msg("%s", err.text);
    return decoder;
}

static void expect_record(struct lp_decoder *decoder, struct lp_span value, struct lp_span header, double a,
                          const char *s)
{
    if (lp_decoder_run(decoder, value, header, &record, &err) != LP_OK) fail_msg("%s", err.text);
    assert_true(numbers[0] == a);
    assert_true(lp_span_is(texts[0], s));
}

static void expect_bad(struct lp_decoder *decoder, struct lp_span value, enum lp_code code, const char *hint)
{
    assert_int_equal(lp_decoder_run(decoder, value, none, &record, &err), code);
    assert_int_equal(err.code, code);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    if (strstr(err.text, hint) == NULL) fail_msg("\"%s\" is not in \"%s\"", hint, err.text);
}

static void json_records_fill_assigned_slots(void **state)
{
    (void)state;
    struct lp_decoder *decoder = new_decoder((struct lp_decoder_options){.format = LP_INPUT_JSON});
    assert_int_equal(wants[0].slot, 0);
    assert_int_equal(wants[1].slot, 0);
    assert_int_equal(lp_decoder_number_count(decoder), 1);
    assert_int_equal(lp_decoder_text_count(decoder), 1);
    expect_record(decoder, lp_span_text("{\"a\":5,\"s\":\"x\\n\"}"), none, 5, "x\n");
    assert_int_equal(lp_decoder_schema_id(decoder), 0);
    expect_bad(decoder, lp_span_text("{\"a\":\"5\"}"), LP_E_INVALID, "number");
    assert_string_equal(err.field, "a");
    lp_decoder_free(decoder);
}

static void records_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    struct lp_decoder *decoder =
        new_decoder((struct lp_decoder_options){.format = LP_INPUT_JSON, .record_max_bytes = 16});
    expect_record(decoder, lp_span_text("{\"a\":1,\"s\":\"xy\"}"), none, 1, "xy");
    expect_bad(decoder, lp_span_text("{\"a\":1,\"s\":\"xyz\"}"), LP_E_LIMIT, "input.record.max_bytes");
    lp_decoder_free(decoder);
}

static void bare_avro_uses_the_first_schema(void **state)
{
    (void)state;
    struct lp_avro_schema *schema = parse(schema_1);
    const struct lp_avro_schema *writers[] = {schema};
    struct lp_decoder *decoder =
        new_decoder((struct lp_decoder_options){.format = LP_INPUT_AVRO, .writers = writers, .writer_count = 1});
    expect_record(decoder, BYTES(0x0a, 0x04, 'h', 'i'), none, 5, "hi");
    expect_bad(decoder, BYTES(0x0a, 0x04, 'h'), LP_E_INVALID, "");
    assert_string_equal(err.field, "s");
    expect_bad(decoder, lp_span_of("", 0), LP_E_INVALID, "");
    lp_decoder_free(decoder);
    lp_avro_schema_free(schema);
}

static void a_writer_that_lacks_a_wanted_field_is_refused_at_start(void **state)
{
    (void)state;
    struct lp_avro_schema *schema = parse(schema_3);
    const struct lp_avro_schema *writers[] = {schema};
    struct lp_decoder_options options = {
        .format = LP_INPUT_AVRO, .writers = writers, .writer_count = 1, .record_max_bytes = 10, .plans_max = 1};
    struct lp_decoder *decoder = NULL;
    assert_int_equal(lp_decoder_new(&options, wants, 2, &decoder, &err), LP_E_NOT_FOUND);
    assert_int_equal(err.action, LP_FATAL);
    assert_string_equal(err.field, "s");
    assert_null(decoder);
    lp_avro_schema_free(schema);
}

static void single_object_finds_the_schema_by_fingerprint(void **state)
{
    (void)state;
    struct lp_avro_schema *first = parse(schema_1), *second = parse(schema_2);
    const struct lp_avro_schema *writers[] = {first, second};
    struct lp_decoder *decoder = new_decoder((struct lp_decoder_options){
        .format = LP_INPUT_SINGLE_OBJECT, .writers = writers, .writer_count = 2, .plans_max = 1});
    for (int turn = 0; turn < 3; turn++) {
        expect_record(decoder, BYTES(0xc3, 0x01, FINGERPRINT_1, 0x0a, 0x04, 'h', 'i'), none, 5, "hi");
        expect_record(decoder, BYTES(0xc3, 0x01, FINGERPRINT_2, 0x02, 'x', 0, 0, 0, 0, 0, 0, 0, 0, 0x03), none, -2,
                      "x");
    }
    expect_bad(decoder, BYTES(0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0), LP_E_NOT_FOUND, "0807060504030201");
    expect_bad(decoder, BYTES(0xc3, 0x01, FINGERPRINT_1, 0x0a), LP_E_INVALID, "schema ");
    lp_decoder_free(decoder);
    lp_avro_schema_free(first);
    lp_avro_schema_free(second);
}

static void odd_options_are_refused(void **state)
{
    (void)state;
    const struct lp_decoder_options bad[] = {
        {.format = LP_INPUT_JSON, .record_max_bytes = 0, .plans_max = 1},
        {.format = LP_INPUT_JSON, .record_max_bytes = 1, .plans_max = 0},
        {.format = LP_INPUT_CONFLUENT, .schema_id_bytes = 4, .record_max_bytes = 1, .plans_max = 1},
        {.format = LP_INPUT_AVRO, .record_max_bytes = 1, .plans_max = 1},
        {.format = LP_INPUT_SINGLE_OBJECT, .record_max_bytes = 1, .plans_max = 1},
    };
    struct lp_decoder *decoder = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(lp_decoder_new(&bad[i], wants, 2, &decoder, &err), LP_E_INVALID);
        assert_int_equal(err.action, LP_FATAL);
    }
    assert_null(decoder);
    lp_decoder_free(NULL);
}

/* A registry with the three schemas, 404 for 9, 503 for 8. */
struct fixture {
    struct fake_http *server;
    struct lp_registry *registry;
    char bodies[3][512];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL) return -1;
    *state = f;
    f->server = fake_http_new();
    const char *const schemas[] = {schema_1, schema_2, schema_3};
    const char *const paths[] = {"/schemas/ids/1", "/schemas/ids/2", "/schemas/ids/3"};
    for (int i = 0; i < 3; i++) {
        size_t used = (size_t)snprintf(f->bodies[i], sizeof f->bodies[i], "{\"schema\":\"");
        for (const char *c = schemas[i]; *c != '\0'; c++)
            used += (size_t)snprintf(f->bodies[i] + used, sizeof f->bodies[i] - used, *c == '"' ? "\\%c" : "%c", *c);
        snprintf(f->bodies[i] + used, sizeof f->bodies[i] - used, "\"}");
        fake_http_route(f->server, "GET", paths[i], 200, f->bodies[i], 0, -1);
    }
    fake_http_route(f->server, "GET", "/schemas/ids/9", 404, "{\"error_code\":40403,\"message\":\"Schema not found\"}",
                    0, -1);
    fake_http_route(f->server, "GET", "/schemas/ids/8", 503, "", 0, -1);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", f->server->port);
    struct lp_registry_options options = {
        .url = url, .timeout_ms = 3000, .retry_ms = 20, .negative_ttl_ms = 60000, .cache_max = 100};
    return lp_registry_new(&options, &f->registry, &err) == LP_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    lp_registry_free(f->registry);
    fake_http_free(f->server);
    free(f);
    return 0;
}

static struct lp_decoder *new_confluent(struct fixture *f, uint32_t plans_max)
{
    return new_decoder((struct lp_decoder_options){
        .format = LP_INPUT_CONFLUENT, .schema_id_bytes = 4, .registry = f->registry, .plans_max = plans_max});
}

/* The same record again and again until it is not pending. */
static enum lp_code offer(struct lp_decoder *decoder, struct lp_span value)
{
    enum lp_code code = LP_E_PENDING;
    for (int i = 0; i < 1000 && code == LP_E_PENDING; i++) {
        code = lp_decoder_run(decoder, value, none, &record, &err);
        if (code == LP_E_PENDING) usleep(5000);
    }
    return code;
}

static void confluent_fetches_each_schema_once_and_follows_changes(void **state)
{
    struct fixture *f = *state;
    struct lp_decoder *decoder = new_confluent(f, 8);
    const struct lp_span one = BYTES(0, 0, 0, 0, 1, 0x0a, 0x04, 'h', 'i');
    const struct lp_span two = BYTES(0, 0, 0, 0, 2, 0x02, 'x', 0, 0, 0, 0, 0, 0, 0, 0, 0x03);
    assert_int_equal(lp_decoder_run(decoder, one, none, &record, &err), LP_E_PENDING);
    assert_int_equal(err.action, LP_RETRY);
    assert_int_equal(lp_decoder_schema_id(decoder), 1);
    assert_int_equal(offer(decoder, one), LP_OK);
    assert_int_equal(offer(decoder, two), LP_OK);
    long before = allocations;
    for (int i = 0; i < 100; i++) {
        expect_record(decoder, one, none, 5, "hi");
        expect_record(decoder, two, none, -2, "x");
        expect_record(decoder, two, none, -2, "x");
        assert_int_equal(lp_decoder_schema_id(decoder), 2);
    }
    assert_int_equal(allocations, before);
    assert_int_equal(fake_http_count(f->server, -1), 2);
    /* id in a header: the value is the body alone */
    expect_record(decoder, BYTES(0x0a, 0x04, 'h', 'i'), BYTES(0, 0, 0, 0, 1), 5, "hi");
    lp_decoder_free(decoder);
}

static void plans_beyond_the_limit_are_made_again(void **state)
{
    struct fixture *f = *state;
    struct lp_decoder *decoder = new_confluent(f, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(offer(decoder, BYTES(0, 0, 0, 0, 1, 0x0a, 0x04, 'h', 'i')), LP_OK);
        assert_true(numbers[0] == 5);
        assert_int_equal(offer(decoder, BYTES(0, 0, 0, 0, 2, 0x02, 'x', 0, 0, 0, 0, 0, 0, 0, 0, 0x03)), LP_OK);
        assert_true(numbers[0] == -2);
    }
    assert_int_equal(fake_http_count(f->server, -1), 2);
    lp_decoder_free(decoder);
}

static void a_schema_that_cannot_serve_makes_bad_records_only_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct lp_decoder *decoder = new_confluent(f, 8);
    const struct lp_span three = BYTES(0, 0, 0, 0, 3, 0x0a);
    assert_int_equal(offer(decoder, three), LP_E_NOT_FOUND);
    long before = allocations;
    for (int i = 0; i < 10; i++) {
        expect_bad(decoder, three, LP_E_NOT_FOUND, "schema id 3");
        assert_string_equal(err.field, "s");
    }
    assert_int_equal(allocations, before); /* the reason is remembered */
    assert_int_equal(offer(decoder, BYTES(0, 0, 0, 0, 1, 0x0a, 0x04, 'h', 'i')), LP_OK);
    expect_bad(decoder, three, LP_E_NOT_FOUND, "schema id 3");
    expect_bad(decoder, BYTES(0, 0, 0, 0, 1, 0x0a, 0x04, 'h'), LP_E_INVALID, "schema id 1");
    assert_string_equal(err.field, "s");
    lp_decoder_free(decoder);
}

static void unknown_ids_are_bad_and_unreachable_ones_wait(void **state)
{
    struct fixture *f = *state;
    struct lp_decoder *decoder = new_confluent(f, 8);
    const struct lp_span nine = BYTES(0, 0, 0, 0, 9, 0);
    assert_int_equal(offer(decoder, nine), LP_E_NOT_FOUND);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(lp_decoder_run(decoder, BYTES(0, 0, 0, 0, 8, 0), none, &record, &err), LP_E_PENDING);
        assert_int_equal(err.action, LP_RETRY);
        usleep(5000);
    }
    assert_int_equal(lp_decoder_schema_id(decoder), 8);
    expect_bad(decoder, lp_span_text("{}"), LP_E_INVALID, "json");
    expect_bad(decoder, BYTES(0, 0), LP_E_INVALID, "cut short");
    lp_decoder_free(decoder);
}

static void a_reader_schema_resolves_every_writer(void **state)
{
    struct fixture *f = *state;
    struct lp_avro_schema *reader =
        parse("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"},"
              "{\"name\":\"s\",\"type\":\"string\",\"default\":\"none\"}]}");
    struct lp_decoder *decoder = new_decoder((struct lp_decoder_options){
        .format = LP_INPUT_CONFLUENT, .schema_id_bytes = 4, .registry = f->registry, .reader = reader});
    assert_int_equal(offer(decoder, BYTES(0, 0, 0, 0, 3, 0x0a)), LP_OK);
    assert_true(numbers[0] == 5);
    assert_true(lp_span_is(texts[0], "none"));
    lp_decoder_free(decoder);
    lp_avro_schema_free(reader);
}

static void schema_files_are_read_and_faults_name_them(void **state)
{
    (void)state;
    char path[] = "/tmp/lepton-test-schema-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, schema_1, strlen(schema_1)), (ssize_t)strlen(schema_1));
    struct lp_avro_schema *schema = NULL, *expected = parse(schema_1);
    assert_int_equal(lp_schema_load_file(path, &schema, &err), LP_OK);
    assert_true(lp_avro_schema_fingerprint(schema) == lp_avro_schema_fingerprint(expected));
    lp_avro_schema_free(schema);
    lp_avro_schema_free(expected);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(lp_schema_load_file(path, &schema, &err), LP_E_INVALID);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(err.action, LP_FATAL);
    assert_int_equal(ftruncate(fd, LP_AVRO_SCHEMA_MAX_BYTES + 1), 0);
    assert_int_equal(lp_schema_load_file(path, &schema, &err), LP_E_LIMIT);
    close(fd);
    unlink(path);
    assert_int_equal(lp_schema_load_file(path, &schema, &err), LP_E_NOT_FOUND);
    assert_int_equal(lp_schema_load_file("/", &schema, &err), LP_E_IO);
}

int main(void)
{
#define WITH_REGISTRY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_records_fill_assigned_slots),
        cmocka_unit_test(records_beyond_the_limit_are_refused),
        cmocka_unit_test(bare_avro_uses_the_first_schema),
        cmocka_unit_test(a_writer_that_lacks_a_wanted_field_is_refused_at_start),
        cmocka_unit_test(single_object_finds_the_schema_by_fingerprint),
        cmocka_unit_test(odd_options_are_refused),
        WITH_REGISTRY(confluent_fetches_each_schema_once_and_follows_changes),
        WITH_REGISTRY(plans_beyond_the_limit_are_made_again),
        WITH_REGISTRY(a_schema_that_cannot_serve_makes_bad_records_only_of_its_own),
        WITH_REGISTRY(unknown_ids_are_bad_and_unreachable_ones_wait),
        WITH_REGISTRY(a_reader_schema_resolves_every_writer),
        cmocka_unit_test(schema_files_are_read_and_faults_name_them),
    };
    return cmocka_run_group_tests_name("decoder", tests, NULL, NULL);
}
