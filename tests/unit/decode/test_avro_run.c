// wrap: malloc calloc realloc
/*
 * The runner's contract beside the conformance set: no allocation, scratch and depth limits, slots, errors' texts.
 * Bodies are encoded by hand from the Avro specification.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/avro.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Allocations counted, and refused once `allowed` are used up (below 0: never). */
static long allocations, allowed = -1;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static bool refused(void)
{
    allocations++;
    if (allowed < 0) return false;
    return allowed == 0 || allowed-- == 0;
}

void *__wrap_malloc(size_t bytes) { return refused() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t count, size_t bytes) { return refused() ? NULL : __real_calloc(count, bytes); }
void *__wrap_realloc(void *old, size_t bytes) { return refused() ? NULL : __real_realloc(old, bytes); }

/* Counted, never refused: jansson 2.14 asserts when its lexer runs out of memory. */
static void *json_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

enum { SLOTS = 32, SCRATCH_BYTES = 256 };

struct fixture {
    struct lp_avro_schema *writer, *reader;
    struct lp_avro_plan *plan;
    double numbers[SLOTS];
    struct lp_span texts[SLOTS];
    unsigned char scratch[SCRATCH_BYTES];
    struct lp_record record;
    struct lp_error err;
};

static struct lp_avro_schema *parse(const char *text)
{
    struct lp_avro_schema *schema = NULL;
    struct lp_error err = {0};
    if (lp_avro_schema_parse(lp_span_text(text), &schema, &err) != LP_OK) fail_msg("%s", err.text);
    return schema;
}

static enum lp_code compile(struct fixture *f, const char *writer, const char *reader, const struct lp_want *wants,
                            uint32_t count)
{
    *f = (struct fixture){0};
    f->record = (struct lp_record){
        .numbers = f->numbers, .texts = f->texts, .scratch = f->scratch, .scratch_bytes = SCRATCH_BYTES};
    f->writer = parse(writer);
    f->reader = reader != NULL ? parse(reader) : NULL;
    return lp_avro_plan_new(f->writer, f->reader, wants, count, &f->plan, &f->err);
}

static void done(struct fixture *f)
{
    lp_avro_plan_free(f->plan);
    lp_avro_schema_free(f->writer);
    lp_avro_schema_free(f->reader);
}

/* In an allocation of the exact size, so that a sanitizer sees one byte too many. */
static enum lp_code run(struct fixture *f, const void *body, size_t bytes)
{
    unsigned char *copy = malloc(bytes > 0 ? bytes : 1);
    memcpy(copy, body, bytes);
    enum lp_code code = lp_avro_plan_run(f->plan, lp_span_of(copy, bytes), &f->record, &f->err);
    free(copy);
    return code;
}

static void record_fills_numbers_in_slot_order(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {
        {"c", LP_WANT_NUMBER, 1, 0}, {"a", LP_WANT_NUMBER, 1, 1}, {"b", LP_WANT_NUMBER, 1, 2}};
    assert_int_equal(compile(&f,
                             "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
                             "{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"c\",\"type\":\"double\"}]}",
                             NULL, wants, 3),
                     LP_OK);
    assert_int_equal(run(&f, "\x05\x01\x00\x00\x00\x00\x00\x00\xf8\x3f", 10), LP_OK);
    assert_true(f.numbers[0] == 1.5 && f.numbers[1] == -3.0 && f.numbers[2] == 1.0);
    done(&f);
}

static void whole_record_is_written_when_fields_are_absent(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {
        {"r.x", LP_WANT_NUMBER, 1, 3}, {"r.s", LP_WANT_TEXT, 1, 2}, {"v", LP_WANT_VECTOR, 2, 0}};
    assert_int_equal(
        compile(&f,
                "{\"type\":\"record\",\"name\":\"o\",\"fields\":[{\"name\":\"r\",\"type\":[\"null\",{\"type\":"
                "\"record\",\"name\":\"i\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"s\",\"type\":"
                "\"string\"}]}]},{\"name\":\"v\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"float\"}]}]}",
                NULL, wants, 3),
        LP_OK);
    for (int i = 0; i < SLOTS; i++) f.numbers[i] = 7.0;
    f.texts[2] = lp_span_text("old");
    assert_int_equal(run(&f, "\x00\x00", 2), LP_OK);
    assert_true(isnan(f.numbers[0]) && isnan(f.numbers[1]) && isnan(f.numbers[3]) && f.numbers[2] == 7.0);
    assert_null(f.texts[2].data);
    done(&f);
}

static void text_that_does_not_fit_in_the_scratch_is_a_limit(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"a", LP_WANT_TEXT, 1, 0}, {"b", LP_WANT_TEXT, 1, 1}};
    const char *schema = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
                         "{\"name\":\"b\",\"type\":\"long\"}]}";
    assert_int_equal(compile(&f, schema, NULL, wants, 2), LP_OK);
    f.record.scratch_bytes = 4;
    assert_int_equal(run(&f, "\x18\x1a", 2), LP_OK);
    assert_true(lp_span_is(f.texts[0], "12") && lp_span_is(f.texts[1], "13"));
    assert_int_equal(f.record.scratch_used, 4);
    f.record.scratch_bytes = 3;
    assert_int_equal(run(&f, "\x18\x1a", 2), LP_E_LIMIT);
    assert_int_equal(f.err.action, LP_SKIP_RECORD);
    assert_string_equal(f.err.field, "b");
    f.record.scratch = NULL;
    f.record.scratch_bytes = 0;
    assert_int_equal(run(&f, "\x18\x1a", 2), LP_E_LIMIT);
    done(&f);
}

/* However long a symbol or a default is, a record of few bytes cannot ask for much scratch with it. */
static void symbols_and_defaults_need_no_scratch(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"e", LP_WANT_TEXT, 1, 0}, {"d", LP_WANT_TEXT, 1, 1}, {"n", LP_WANT_TEXT, 1, 2}};
    const char *writer = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"e\",\"type\":{\"type\":\"enum\","
                         "\"name\":\"E\",\"symbols\":[\"RED\",\"GREEN\"]}}]}";
    const char *reader =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"e\",\"type\":{\"type\":\"enum\","
        "\"name\":\"E\",\"symbols\":[\"GREEN\",\"RED\"]}},{\"name\":\"d\",\"type\":\"string\",\"default\":"
        "\"as it was\"},{\"name\":\"n\",\"type\":\"string\",\"default\":\"\"}]}";
    assert_int_equal(compile(&f, writer, reader, wants, 3), LP_OK);
    f.record.scratch = NULL;
    f.record.scratch_bytes = 0;
    assert_int_equal(run(&f, "\x00", 1), LP_OK);
    assert_true(lp_span_is(f.texts[0], "RED") && lp_span_is(f.texts[1], "as it was"));
    assert_true(f.texts[2].data != NULL && f.texts[2].size == 0);
    assert_int_equal(run(&f, "\x02", 1), LP_OK);
    assert_true(lp_span_is(f.texts[0], "GREEN"));
    done(&f);
}

/* Zigzag varint of a count, and the array's end. */
static size_t put_block(unsigned char *to, uint64_t count)
{
    size_t bytes = 0;
    for (count *= 2; count >= 0x80; count >>= 7) to[bytes++] = (unsigned char)(count | 0x80);
    to[bytes++] = (unsigned char)count;
    to[bytes++] = 0;
    return bytes;
}

/* Items without bytes cost time and nothing else: a body of five bytes must not ask for millions of them. */
static void items_without_bytes_have_a_limit_of_their_own(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"n[0]", LP_WANT_NUMBER, 1, 0}, {"n[1]", LP_WANT_NUMBER, 1, 1}};
    unsigned char body[16];
    const char *const items[] = {"\"null\"", "{\"type\":\"record\",\"name\":\"e\",\"fields\":[]}"};
    for (int i = 0; i < 2; i++) {
        char schema[200];
        snprintf(schema, sizeof schema,
                 "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"n\",\"type\":{\"type\":\"array\","
                 "\"items\":%s}}"
                 "]}",
                 items[i]);
        for (uint32_t count = 0; count <= (i == 0 ? 2 : 0); count++) { /* skipped, wanted, wanted twice */
            assert_int_equal(compile(&f, schema, NULL, wants, count), LP_OK);
            assert_int_equal(run(&f, body, put_block(body, LP_AVRO_EMPTY_ITEMS_MAX)), LP_OK);
            assert_int_equal(run(&f, body, put_block(body, LP_AVRO_EMPTY_ITEMS_MAX + 16)), LP_E_LIMIT);
            assert_int_equal(f.err.action, LP_SKIP_RECORD);
            assert_string_equal(f.err.field, "n");
            done(&f);
        }
    }
}

/* A datum read once for each of two views counts once. */
static void items_read_again_count_once(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"n[0]", LP_WANT_NUMBER, 1, 0}, {"n", LP_WANT_VECTOR, 4, 1}};
    const char *schema = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"n\",\"type\":{\"type\":\"array\","
                         "\"items\":\"null\"}},{\"name\":\"m\",\"type\":{\"type\":\"array\",\"items\":\"null\"}}]}";
    unsigned char body[16];
    assert_int_equal(compile(&f, schema, NULL, wants, 2), LP_OK);
    size_t head = put_block(body, 4);
    size_t bytes = head + put_block(body + head, LP_AVRO_EMPTY_ITEMS_MAX);
    assert_int_equal(run(&f, body, bytes), LP_OK);
    assert_true(isnan(f.numbers[0]) && isnan(f.numbers[4]));
    done(&f);
}

static void absent_body_is_an_empty_one(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"", LP_WANT_NUMBER, 1, 0}};
    assert_int_equal(compile(&f, "\"int\"", NULL, wants, 1), LP_OK);
    assert_int_equal(lp_avro_plan_run(f.plan, lp_span_of(NULL, 0), &f.record, &f.err), LP_E_INVALID);
    done(&f);
    assert_int_equal(compile(&f, "\"null\"", NULL, wants, 1), LP_OK);
    assert_int_equal(lp_avro_plan_run(f.plan, lp_span_of(NULL, 0), &f.record, &f.err), LP_OK);
    assert_true(isnan(f.numbers[0]));
    done(&f);
}

/* 64 links pass, 65 do not; the first is entered by the plan itself, the others by calls. */
static void skipped_list_is_followed_to_its_depth_limit(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"v", LP_WANT_NUMBER, 1, 0}};
    unsigned char body[2 * LP_AVRO_DEPTH_MAX + 8];
    assert_int_equal(compile(&f,
                             "{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"v\",\"type\":\"int\"},"
                             "{\"name\":\"next\",\"type\":[\"null\",\"N\"]}]}",
                             NULL, wants, 1),
                     LP_OK);
    memset(body, 2, sizeof body);
    body[2 * LP_AVRO_DEPTH_MAX + 1] = 0;
    assert_int_equal(run(&f, body, 2 * LP_AVRO_DEPTH_MAX + 2), LP_OK);
    body[2 * LP_AVRO_DEPTH_MAX + 1] = 2;
    body[2 * LP_AVRO_DEPTH_MAX + 3] = 0;
    assert_int_equal(run(&f, body, 2 * LP_AVRO_DEPTH_MAX + 4), LP_E_LIMIT);
    done(&f);
}

static void error_says_where_and_what(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"a", LP_WANT_NUMBER, 1, 0}, {"u", LP_WANT_NUMBER, 1, 1}};
    assert_int_equal(compile(&f,
                             "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
                             "{\"name\":\"u\",\"type\":[\"double\",\"string\"]}]}",
                             NULL, wants, 2),
                     LP_OK);
    assert_int_equal(run(&f, "\x02\x02\x02x", 4), LP_E_INVALID);
    assert_string_equal(f.err.field, "u");
    assert_string_equal(f.err.text, "avro: u: byte 2: string, wanted as a number");
    assert_int_equal(run(&f, "\x80", 1), LP_E_INVALID);
    assert_string_equal(f.err.text, "avro: a: byte 0: the record ends within a number");
    assert_int_equal(run(&f, "\xff\xff\xff\xff\xff\x00", 6), LP_E_INVALID);
    assert_string_equal(f.err.text, "avro: a: byte 0: an int of more than 32 bits or five bytes");
    done(&f);
}

static void plan_error_says_which_field(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"a", LP_WANT_NUMBER, 1, 0}};
    const char *form = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"%s\"}]}";
    char writer[128], reader[128];
    snprintf(writer, sizeof writer, form, "string");
    snprintf(reader, sizeof reader, form, "int");
    assert_int_equal(compile(&f, writer, reader, wants, 1), LP_E_MISMATCH);
    assert_string_equal(f.err.text, "avro: field 'a': the writer's string does not match the reader's int");
    assert_string_equal(f.err.field, "a");
    done(&f);
}

static void plan_outlives_its_schemas_and_wants(void **state)
{
    (void)state;
    struct fixture f;
    char path[] = "b";
    struct lp_want wants[] = {{path, LP_WANT_TEXT, 1, 0}};
    const char *schema = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"b\",\"type\":{\"type\":\"enum\","
                         "\"name\":\"e\",\"symbols\":[\"LOW\",\"HIGH\"]}}]}";
    assert_int_equal(compile(&f, schema, schema, wants, 1), LP_OK);
    lp_avro_schema_free(f.writer);
    lp_avro_schema_free(f.reader);
    f.writer = f.reader = NULL;
    path[0] = '?';
    assert_int_equal(run(&f, "\x02", 1), LP_OK);
    assert_true(lp_span_is(f.texts[0], "HIGH"));
    assert_int_equal(run(&f, "\x04", 1), LP_E_INVALID);
    assert_string_equal(f.err.field, "b");
    done(&f);
}

static void runs_never_allocate(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"d", LP_WANT_NUMBER, 1, 0},
                                    {"t", LP_WANT_TEXT, 1, 0},
                                    {"r", LP_WANT_TEXT, 1, 1},
                                    {"v", LP_WANT_VECTOR, 2, 1},
                                    {"m.k", LP_WANT_NUMBER, 1, 3}};
    static const unsigned char body[] = "\x14\x7f\x01\x02\x03\x04\x05\x06\x07\x08\x09" /* decimal of ten bytes */
                                        "\x06"
                                        "abc"
                                        "\x9a\x99\x99\x99\x99\x99\xb9\x3f" /* 0.1 */
                                        "\x04\x00\x02\x04\x00"             /* [null, 2] */
                                        "\x02\x02k\x06\x00";               /* {"k": 3} */
    assert_int_equal(
        compile(&f,
                "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"d\",\"type\":{\"type\":\"bytes\","
                "\"logicalType\":\"decimal\",\"precision\":30,\"scale\":25}},{\"name\":\"t\",\"type\":\"string\"},"
                "{\"name\":\"r\",\"type\":\"double\"},{\"name\":\"v\",\"type\":{\"type\":\"array\",\"items\":"
                "[\"null\",\"int\"]}},{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"long\"}}]}",
                NULL, wants, 5),
        LP_OK);
    struct lp_span whole = lp_span_of(body, sizeof body - 1);
    allocations = 0;
    for (int i = 0; i < 100; i++) assert_int_equal(lp_avro_plan_run(f.plan, whole, &f.record, &f.err), LP_OK);
    for (size_t cut = 0; cut < whole.size; cut++)
        assert_int_equal(lp_avro_plan_run(f.plan, lp_span_of(body, cut), &f.record, &f.err), LP_E_INVALID);
    assert_int_equal(allocations, 0);
    assert_int_equal(lp_avro_plan_run(f.plan, whole, &f.record, &f.err), LP_OK);
    assert_true(f.numbers[0] > 0 && isnan(f.numbers[1]) && f.numbers[2] == 2.0 && f.numbers[3] == 3.0);
    assert_true(lp_span_is(f.texts[1], "0.1"));
    done(&f);
}

/* Schema and plan with each of our own allocations failing in turn: an error every time until all succeed, and nothing
 * leaks. */
static void every_failed_allocation_is_an_error(void **state)
{
    (void)state;
    const struct lp_want wants[] = {
        {"a.x", LP_WANT_NUMBER, 1, 0}, {"e", LP_WANT_TEXT, 1, 0}, {"d.y", LP_WANT_VECTOR, 2, 1}};
    struct lp_span writer_text =
        lp_span_text("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"z\",\"type\":[\"null\",\"r\"]},{"
                     "\"name\":\"a\",\"type\":"
                     "{\"type\":\"record\",\"name\":\"i\",\"fields\":[{\"name\":\"x\",\"type\":\"int\",\"default\":"
                     "99999999999999999999}]}},"
                     "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"en\",\"symbols\":[\"A\",\"B\"]}}]}");
    struct lp_span reader_text = lp_span_text(
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":\"i\","
        "\"fields\":"
        "[{\"name\":\"x\",\"type\":\"double\",\"aliases\":[\"w\"]}]}},{\"name\":\"e\",\"type\":{\"type\":\"enum\","
        "\"name\":\"en\","
        "\"symbols\":[\"A\"],\"default\":\"A\"}},{\"name\":\"d\",\"type\":{\"type\":\"record\",\"name\":\"j\","
        "\"fields\":["
        "{\"name\":\"y\",\"type\":{\"type\":\"array\",\"items\":\"float\"},\"default\":[1,2]}]},\"default\":{}}]}");
    bool all_good = false;
    long fail_at = 0;
    for (; !all_good && fail_at < 100000; fail_at++) {
        struct lp_avro_schema *writer = NULL, *reader = NULL;
        struct lp_avro_plan *plan = NULL;
        struct lp_error err = {0};
        allowed = fail_at;
        all_good = lp_avro_schema_parse(writer_text, &writer, &err) == LP_OK &&
                   lp_avro_schema_parse(reader_text, &reader, &err) == LP_OK &&
                   lp_avro_plan_new(writer, reader, wants, 3, &plan, &err) == LP_OK;
        allowed = -1;
        assert_true(all_good || err.text[0] != '\0');
        lp_avro_plan_free(plan);
        lp_avro_schema_free(writer);
        lp_avro_schema_free(reader);
    }
    assert_true(all_good && fail_at > 10);
}

int main(void)
{
    json_set_alloc_funcs(json_malloc, free);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_fills_numbers_in_slot_order),
        cmocka_unit_test(whole_record_is_written_when_fields_are_absent),
        cmocka_unit_test(text_that_does_not_fit_in_the_scratch_is_a_limit),
        cmocka_unit_test(symbols_and_defaults_need_no_scratch),
        cmocka_unit_test(items_without_bytes_have_a_limit_of_their_own),
        cmocka_unit_test(items_read_again_count_once),
        cmocka_unit_test(absent_body_is_an_empty_one),
        cmocka_unit_test(skipped_list_is_followed_to_its_depth_limit),
        cmocka_unit_test(error_says_where_and_what),
        cmocka_unit_test(plan_error_says_which_field),
        cmocka_unit_test(plan_outlives_its_schemas_and_wants),
        cmocka_unit_test(runs_never_allocate),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
