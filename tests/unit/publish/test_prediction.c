/* Predictions byte by byte (Avro 1.11 specification, RFC 8259) and the schemas against schemas/prediction.avsc.
 * What fastavro reads out of them is tests/oracle's part. */
// wrap: malloc calloc realloc
#include "publish/prediction.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static unsigned long allocations;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    allocations++;
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    allocations++;
    return __real_realloc(old, bytes);
}

static const char *const all_fields[] = {"slot",   "version",  "model_sha256", "rows",        "scores",
                                         "label",  "items",    "event_time",   "scored_time", "partition",
                                         "offset", "degraded", "shadow",       "canary",      "missing_count"};
enum { ALL = sizeof all_fields / sizeof *all_fields };

static const float score = 0.75f;
static const int32_t label_1 = 1, no_label = -1;
static const struct lp_span framing = {(const unsigned char *)"\0\0\0\0\7", 5};
static struct lp_error err;
static struct lp_buffer out;
static struct lp_encoder *encoder;

static struct lp_prediction one_score(void)
{
    return (struct lp_prediction){.slot = "ctr",
                                  .version = "1.0.0",
                                  .model_sha256_prefix = 0x0123456789abcdef,
                                  .row_count = 1,
                                  .output_count = 1,
                                  .scores = &score,
                                  .labels = &label_1,
                                  .event_time_ms = 1700000000000,
                                  .scored_time_ms = 1700000000001,
                                  .partition = 3,
                                  .offset = 64,
                                  .shadow = true,
                                  .missing_count = 2};
}

static int setup(void **state)
{
    (void)state;
    lp_buffer_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lp_encoder_free(encoder);
    encoder = NULL;
    lp_buffer_done(&out);
    return 0;
}

static void encode(enum lp_output_format format, const char *const *fields, uint32_t field_count,
                   const struct lp_prediction *prediction)
{
    lp_encoder_free(encoder);
    encoder = NULL;
    assert_int_equal(lp_encoder_new(format, fields, field_count, &encoder, &err), LP_OK);
    lp_buffer_clear(&out);
    lp_encoder_run(encoder, format == LP_OUTPUT_AVRO ? framing : (struct lp_span){0}, prediction, &out);
    assert_false(out.failed);
}

static void expect_bytes(const char *want, size_t size)
{
    assert_int_equal(out.size, size);
    assert_memory_equal(out.data, want, size);
}

static void expect_text(const char *want)
{
    assert_int_equal(out.size, strlen(want));
    assert_memory_equal(out.data, want, out.size);
}

static void the_lean_set_takes_18_bytes_framing_and_version(void **state)
{
    (void)state;
    struct lp_prediction prediction = one_score();
    encode(LP_OUTPUT_AVRO, NULL, 0, &prediction);
    expect_bytes("\0\0\0\0\7" /* framing */
                 "\2\12"
                 "1.0.0"                              /* version */
                 "\2\x01\x23\x45\x67\x89\xab\xcd\xef" /* hash */
                 "\2\2\0\0\x40\x3f\0" /* one score */,
                 28);
    prediction.version = "12";
    encode(LP_OUTPUT_AVRO, NULL, 0, &prediction);
    assert_int_equal(out.size, 25);
}

static void avro_writes_all_fields_in_the_schemas_order(void **state)
{
    (void)state;
    struct lp_prediction prediction = one_score();
    const struct lp_prediction_item items[] = {{lp_span_text("b"), 0.75f}, {{0}, -2}};
    prediction.items = items;
    prediction.item_count = 2;
    const char *shuffled[ALL];
    for (int i = 0; i < ALL; i++) shuffled[i] = all_fields[(i * 7 + 3) % ALL];
    encode(LP_OUTPUT_AVRO, shuffled, ALL, &prediction);
    expect_bytes("\0\0\0\0\7"
                 "\2\6"
                 "ctr"
                 "\2\12"
                 "1.0.0"
                 "\2\x01\x23\x45\x67\x89\xab\xcd\xef"
                 "\2\2"               /* rows */
                 "\2\2\0\0\x40\x3f\0" /* scores */
                 "\2\2"               /* label */
                 "1"                  /* its number */
                 "\2\4\2\2"           /* two items, the first with an id */
                 "b"
                 "\0\0\x40\x3f"
                 "\0\0\0\0\xc0\0"             /* one without */
                 "\2\x80\xa0\xab\xfe\xf9\x62" /* 1700000000000 */
                 "\2\x82\xa0\xab\xfe\xf9\x62" /* and 1 ms later */
                 "\2\6\2\x80\1"               /* partition 3, offset 64 */
                 "\2\0\2\1\2\0"               /* not degraded, shadow, no canary */
                 "\2\4" /* missing */,
                 80);
}

static void what_is_absent_is_null(void **state)
{
    (void)state;
    const struct lp_prediction nothing = {
        .event_time_ms = -1, .scored_time_ms = -1, .partition = -1, .offset = -1, .labels = &no_label, .row_count = 1};
    static const char *const nullable[] = {"slot",       "version",     "scores",    "label", "items",
                                           "event_time", "scored_time", "partition", "offset"};
    encode(LP_OUTPUT_AVRO, nullable, 9, &nothing);
    expect_bytes("\0\0\0\0\7\0\0\0\0\0\0\0\0\0", 14);
    encode(LP_OUTPUT_JSON, nullable, 9, &nothing);
    expect_text("{\"slot\":null,\"version\":null,\"scores\":null,\"label\":null,\"items\":null,\"event_time\":null,"
                "\"scored_time\":null,\"partition\":null,\"offset\":null}");
}

static void json_is_one_object_in_the_schemas_order(void **state)
{
    (void)state;
    struct lp_prediction prediction = one_score();
    const char *const names[] = {"no", "\"yes\"\n\xc3\xa9"};
    const struct lp_prediction_item items[] = {{lp_span_text("b"), 0.1f}, {{0}, -2}};
    const float scores[] = {0.1f, 1e-7f, NAN, 1};
    prediction.items = items;
    prediction.item_count = 2;
    prediction.label_names = names;
    prediction.scores = scores;
    prediction.output_count = 4;
    encode(LP_OUTPUT_JSON, all_fields, ALL, &prediction);
    expect_text("{\"slot\":\"ctr\",\"version\":\"1.0.0\",\"model_sha256\":\"0123456789abcdef\",\"rows\":1,"
                "\"scores\":[0.1,1e-07,null,1],\"label\":\"\\\"yes\\\"\\u000a\xc3\xa9\","
                "\"items\":[{\"id\":\"b\",\"score\":0.1},{\"id\":null,\"score\":-2}],\"event_time\":1700000000000,"
                "\"scored_time\":1700000000001,\"partition\":3,\"offset\":64,\"degraded\":false,\"shadow\":true,"
                "\"canary\":false,\"missing_count\":2}");
}

static void empty_lists_are_lists(void **state)
{
    (void)state;
    struct lp_prediction prediction = one_score();
    const struct lp_prediction_item items[1] = {{{0}, 0}};
    static const char *const fields[] = {"scores", "items"};
    prediction.row_count = 0;
    prediction.items = items;
    encode(LP_OUTPUT_AVRO, fields, 2, &prediction);
    expect_bytes("\0\0\0\0\7\2\0\2\0", 9);
    encode(LP_OUTPUT_JSON, fields, 2, &prediction);
    expect_text("{\"scores\":[],\"items\":[]}");
}

static void several_rows_have_no_single_label(void **state)
{
    (void)state;
    struct lp_prediction prediction = one_score();
    const float scores[] = {0.5f, 0.25f};
    const int32_t labels[] = {1, 0};
    static const char *const fields[] = {"rows", "scores", "label"};
    prediction.row_count = 2;
    prediction.scores = scores;
    prediction.labels = labels;
    encode(LP_OUTPUT_JSON, fields, 3, &prediction);
    expect_text("{\"rows\":2,\"scores\":[0.5,0.25],\"label\":null}");
}

static void numbers_at_their_ends(void **state)
{
    (void)state;
    struct lp_prediction prediction = one_score();
    static const char *const fields[] = {"event_time", "offset"};
    prediction.event_time_ms = INT64_MIN;
    prediction.offset = INT64_MAX;
    encode(LP_OUTPUT_JSON, fields, 2, &prediction);
    expect_text("{\"event_time\":-9223372036854775808,\"offset\":9223372036854775807}");
    encode(LP_OUTPUT_AVRO, fields, 2, &prediction);
    expect_bytes("\0\0\0\0\7"
                 "\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"
                 "\2\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1",
                 27);
}

static void behind_its_head_a_prediction_has_the_same_bytes(void **state)
{
    (void)state;
    struct lp_buffer head_bytes;
    lp_buffer_init(&head_bytes, 1 << 10);
    /* Every run of neighbouring fields, so that each is once the first after the head; and the lean set. */
    for (uint32_t first = 0; first < ALL; first++) {
        for (uint32_t count = 0; first + count <= ALL; count++) {
            const float scores[] = {1.5f, -2.0f, 0.0f, 8.0f};
            struct lp_prediction prediction = one_score();
            struct lp_prediction_head head;
            lp_encoder_free(encoder);
            assert_int_equal(lp_encoder_new(LP_OUTPUT_AVRO, all_fields + first, count, &encoder, &err), LP_OK);
            lp_buffer_clear(&head_bytes);
            lp_encoder_head(encoder, framing, &prediction, &head_bytes, &head);
            assert_true(head.bytes.size >= framing.size);
            prediction.scores = scores;
            prediction.output_count = 4;
            prediction.offset = 1 << 20;
            lp_buffer_clear(&out);
            lp_encoder_run(encoder, framing, &prediction, &out);
            size_t size = out.size;
            lp_encoder_run_behind(encoder, &head, &prediction, &out);
            assert_false(out.failed || head_bytes.failed);
            assert_int_equal(out.size, 2 * size);
            assert_memory_equal(out.data, out.data + size, size);
        }
    }
    lp_buffer_done(&head_bytes);
}

static void a_buffer_too_small_fails_and_says_so(void **state)
{
    (void)state;
    struct lp_prediction prediction = one_score();
    encode(LP_OUTPUT_AVRO, NULL, 0, &prediction);
    struct lp_buffer small;
    lp_buffer_init(&small, 64);
    prediction.row_count = prediction.output_count = UINT32_MAX; /* never read */
    lp_encoder_run(encoder, framing, &prediction, &small);
    assert_true(small.failed);
    lp_buffer_clear(&small);
    prediction = one_score();
    const float many[64] = {0};
    prediction.scores = many;
    prediction.output_count = 64;
    lp_encoder_run(encoder, framing, &prediction, &small);
    assert_true(small.failed);
    lp_buffer_clear(&small);
    encode(LP_OUTPUT_JSON, NULL, 0, &prediction);
    lp_encoder_run(encoder, framing, &prediction, &small);
    assert_true(small.failed);
    lp_buffer_done(&small);
}

static json_t *load_schema(void)
{
    json_error_t at;
    json_t *schema = json_load_file(TEST_DATA_DIR "/../../schemas/prediction.avsc", 0, &at);
    assert_non_null(schema);
    return schema;
}

static void all_fields_are_the_schema_file(void **state)
{
    (void)state;
    json_t *file = load_schema();
    assert_int_equal(lp_encoder_new(LP_OUTPUT_AVRO, all_fields, ALL, &encoder, &err), LP_OK);
    json_t *ours = json_loads(lp_encoder_schema(encoder), 0, NULL);
    assert_non_null(ours);
    assert_true(json_equal(file, ours));
    assert_int_equal(json_array_size(json_object_get(file, "fields")), ALL);
    json_decref(ours);
    json_decref(file);
}

static void a_subset_keeps_the_files_fields_and_order(void **state)
{
    (void)state;
    static const char *const fields[] = {"offset", "scores", "slot"};
    json_t *file = load_schema(), *all = json_object_get(file, "fields"), *few = json_array();
    json_array_append(few, json_array_get(all, 0));
    json_array_append(few, json_array_get(all, 4));
    json_array_append(few, json_array_get(all, 10));
    json_object_set_new(file, "fields", few);
    assert_int_equal(lp_encoder_new(LP_OUTPUT_JSON, fields, 3, &encoder, &err), LP_OK);
    json_t *ours = json_loads(lp_encoder_schema(encoder), 0, NULL);
    assert_true(json_equal(file, ours));
    json_decref(ours);
    json_decref(file);
}

static void unknown_and_repeated_fields_are_refused(void **state)
{
    (void)state;
    struct lp_encoder *none = NULL;
    assert_int_equal(lp_encoder_new(LP_OUTPUT_AVRO, (const char *const[]){"slot", "score"}, 2, &none, &err),
                     LP_E_INVALID);
    assert_string_equal(err.field, "score");
    assert_int_equal(lp_encoder_new(LP_OUTPUT_AVRO, (const char *const[]){"slot", "slot"}, 2, &none, &err),
                     LP_E_INVALID);
    assert_string_equal(err.field, "slot");
    assert_null(none);
}

static void copied_fields_follow_the_others(void **state)
{
    (void)state;
    static const char *const copied[] = {"user.id", "price:double", "at:timestamp", "2nd", "gone"};
    static const char *const names[] = {"user_id", "price", "at", "_2nd", "gone"};
    const double numbers[] = {1.5, 1700000000000.0};
    const struct lp_span texts[] = {lp_span_text("u\"1"), {0}, {0}};
    struct lp_prediction prediction = one_score();
    struct lp_buffer bytes;
    lp_buffer_init(&bytes, 1 << 10);
    encode(LP_OUTPUT_AVRO, (const char *const[]){"rows"}, 1, &prediction);
    assert_int_equal(lp_encoder_copy(encoder, copied, 5, &err), LP_OK);
    json_t *schema = json_loads(lp_encoder_schema(encoder), 0, NULL), *fields = json_object_get(schema, "fields");
    assert_int_equal(json_array_size(fields), 2);
    json_t *record = json_array_get(json_object_get(json_array_get(fields, 1), "type"), 1);
    assert_string_equal(json_string_value(json_object_get(record, "name")), "Copied");
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(json_object_get(record, "fields"), i), "name")), names[i]);
    json_decref(schema);
    lp_buffer_clear(&out);
    lp_encoder_run(encoder, framing, &prediction, &out);
    expect_bytes("\0\0\0\0\7\2\2\0", 8); /* null */
    lp_encoder_run_copied(encoder, numbers, texts, &bytes);
    prediction.copied = lp_buffer_span(&bytes);
    lp_buffer_clear(&out);
    lp_encoder_run(encoder, framing, &prediction, &out);
    expect_bytes("\0\0\0\0\7\2\2\2"
                 "\2\6u\"1"
                 "\2\0\0\0\0\0\0\xf8\x3f"
                 "\2\x80\xa0\xab\xfe\xf9\x62"
                 "\0\0",
                 31);

    encode(LP_OUTPUT_JSON, (const char *const[]){"rows"}, 1, &prediction);
    assert_int_equal(lp_encoder_copy(encoder, copied, 5, &err), LP_OK);
    lp_buffer_clear(&bytes);
    lp_encoder_run_copied(encoder, (const double[]){NAN, NAN}, texts, &bytes);
    prediction.copied = lp_buffer_span(&bytes);
    lp_buffer_clear(&out);
    lp_encoder_run(encoder, (struct lp_span){0}, &prediction, &out);
    expect_text("{\"rows\":1,\"copied\":{\"user_id\":\"u\\\"1\",\"price\":null,\"at\":null,\"_2nd\":null,"
                "\"gone\":null}}");
    lp_buffer_done(&bytes);
}

static void what_cannot_be_copied_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *texts[2], *says;
    } cases[] = {{{"a:int", "b"}, "the type is string, double or timestamp"},
                 {{":double", "b"}, "no path"},
                 {{"a.b", "a_b"}, "a.b and a_b both become a_b"}};
    struct lp_prediction prediction = one_score();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        encode(LP_OUTPUT_AVRO, NULL, 0, &prediction);
        assert_int_equal(lp_encoder_copy(encoder, cases[i].texts, 2, &err), LP_E_INVALID);
        assert_string_equal(err.field, "output.copy");
        assert_non_null(strstr(err.text, cases[i].says));
    }
    const char *many[65];
    static char names[65][16];
    for (int i = 0; i < 65; i++) {
        snprintf(names[i], sizeof names[i], "f%d", i);
        many[i] = names[i];
    }
    encode(LP_OUTPUT_AVRO, NULL, 0, &prediction);
    assert_int_equal(lp_encoder_copy(encoder, many, 65, &err), LP_E_LIMIT);

    static char longest[65536];
    memset(longest, 'a', sizeof longest - 1);
    encode(LP_OUTPUT_AVRO, NULL, 0, &prediction);
    assert_int_equal(lp_encoder_copy(encoder, (const char *const[]){longest}, 1, &err), LP_E_LIMIT);
    assert_int_equal(err.action, LP_FATAL);
    assert_string_equal(err.field, "output.copy");
}

static void encoding_allocates_nothing_once_the_buffer_has_grown(void **state)
{
    (void)state;
    struct lp_prediction prediction = one_score();
    const char *const names[] = {"no", "yes\n"};
    const struct lp_prediction_item items[] = {{lp_span_text("b"), 0.1f}};
    prediction.items = items;
    prediction.item_count = 1;
    prediction.label_names = names;
    for (int format = LP_OUTPUT_AVRO; format <= LP_OUTPUT_JSON; format++) {
        encode((enum lp_output_format)format, all_fields, ALL, &prediction);
        unsigned long before = allocations;
        for (int i = 0; i < 100; i++) {
            lp_buffer_clear(&out);
            lp_encoder_run(encoder, framing, &prediction, &out);
        }
        assert_int_equal(allocations, before);
    }
    assert_true(allocations > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_lean_set_takes_18_bytes_framing_and_version, setup, teardown),
        cmocka_unit_test_setup_teardown(avro_writes_all_fields_in_the_schemas_order, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_absent_is_null, setup, teardown),
        cmocka_unit_test_setup_teardown(json_is_one_object_in_the_schemas_order, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_lists_are_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(several_rows_have_no_single_label, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_at_their_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(behind_its_head_a_prediction_has_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_buffer_too_small_fails_and_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(all_fields_are_the_schema_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_subset_keeps_the_files_fields_and_order, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_and_repeated_fields_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(copied_fields_follow_the_others, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_copied_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(encoding_allocates_nothing_once_the_buffer_has_grown, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
