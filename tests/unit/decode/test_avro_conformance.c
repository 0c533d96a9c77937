/*
 * Replays tests/data/avro/cases.jsonl (fastavro's answers, and the specification's by hand: make_cases.py). Each good
 * case runs with its wants in order, reversed, doubled and one by one, so that runs, tables, rewinds and skips all
 * meet the same bytes; each body is also cut at every byte, which must always be an error.
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

enum { WANTS_MAX = 128, NUMBERS_MAX = 1024, LINE_MAX_BYTES = 256 * 1024, SCRATCH_BYTES = 4096 };

struct conformance {
    json_t *entry;
    const char *name;
    struct lp_avro_schema *writer, *reader;
    struct lp_want wants[WANTS_MAX];
    uint32_t want_count;
    uint32_t case_of[WANTS_MAX]; /* which want of the case wants[i] is */
    unsigned char *body;
    size_t body_bytes;
};

static uint32_t failures;

static void complain(const struct conformance *c, const char *what, const char *detail)
{
    fprintf(stderr, "case '%s': %s: %s\n", c->name, what, detail);
    failures++;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void read_body(struct conformance *c)
{
    const char *hex = text_of(c->entry, "body");
    c->body_bytes = hex != NULL ? strlen(hex) / 2 : 0;
    c->body = malloc(c->body_bytes + 1);
    for (size_t i = 0; i < c->body_bytes; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        c->body[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
}

static void read_want(struct conformance *c, uint32_t at, uint32_t to)
{
    const json_t *want = json_array_get(json_object_get(c->entry, "wants"), at);
    const char *type = text_of(want, "type");
    c->case_of[to] = at;
    c->wants[to] = (struct lp_want){.path = text_of(want, "path"),
                                    .width = (uint32_t)json_integer_value(json_object_get(want, "width")),
                                    .type = strcmp(type, "text") == 0     ? LP_WANT_TEXT
                                            : strcmp(type, "vector") == 0 ? LP_WANT_VECTOR
                                            : strcmp(type, "time") == 0   ? LP_WANT_TIME_MS
                                                                          : LP_WANT_NUMBER};
}

/* ---- expectations ---- */

static bool is_number(double value, const json_t *expected)
{
    double number = strtod(json_string_value(expected), NULL);
    return (isnan(value) && isnan(number)) || (value == number && signbit(value) == signbit(number));
}

static bool is_text(struct lp_span value, const json_t *expected)
{
    const json_t *text = json_object_get(expected, "text");
    if (json_is_null(text)) return value.data == NULL;
    return value.data != NULL && lp_span_equal(value, lp_span_of(json_string_value(text), json_string_length(text)));
}

static bool as_expected(const struct conformance *c, uint32_t want, const struct lp_record *record)
{
    const json_t *expected = json_array_get(json_object_get(c->entry, "expect"), c->case_of[want]);
    uint32_t slot = c->wants[want].slot;
    if (c->wants[want].type == LP_WANT_TEXT) return is_text(record->texts[slot], expected);
    if (c->wants[want].type != LP_WANT_VECTOR) return is_number(record->numbers[slot], expected);
    for (uint32_t i = 0; i < c->wants[want].width; i++)
        if (!is_number(record->numbers[slot + i], json_array_get(expected, i))) return false;
    return json_array_size(expected) == c->wants[want].width;
}

/* ---- running ---- */

/* The body's first `bytes` in an allocation of that size, so that a sanitizer sees one byte too many. */
static enum lp_code run_cut(const struct conformance *c, const struct lp_avro_plan *plan, size_t bytes,
                            struct lp_record *record, unsigned char **ret_copy, struct lp_error *err)
{
    unsigned char *copy = malloc(bytes > 0 ? bytes : 1);
    memcpy(copy, c->body, bytes);
    enum lp_code code = lp_avro_plan_run(plan, lp_span_of(copy, bytes), record, err);
    *ret_copy = copy;
    return code;
}

static void check_cuts(const struct conformance *c, const struct lp_avro_plan *plan, struct lp_record *record)
{
    struct lp_error err;
    unsigned char *copy;
    for (size_t bytes = 0; bytes < c->body_bytes; bytes++) {
        enum lp_code code = run_cut(c, plan, bytes, record, &copy, &err);
        if (code != LP_E_INVALID || err.action != LP_SKIP_RECORD) complain(c, "a cut body passed", "");
        free(copy);
    }
    unsigned char *longer = malloc(c->body_bytes + 1);
    memcpy(longer, c->body, c->body_bytes);
    longer[c->body_bytes] = 0;
    if (lp_avro_plan_run(plan, lp_span_of(longer, c->body_bytes + 1), record, &err) != LP_E_INVALID)
        complain(c, "a trailing byte passed", "");
    free(longer);
}

static void check_run(struct conformance *c, const struct lp_avro_plan *plan, struct lp_record *record, bool cuts)
{
    const json_t *error = json_object_get(c->entry, "error");
    struct lp_error err = {0};
    unsigned char *copy;
    enum lp_code code = run_cut(c, plan, c->body_bytes, record, &copy, &err);
    if (error != NULL) {
        if (code == LP_OK) complain(c, "decoded", "an error was expected");
        else if (strcmp(lp_code_name(code), text_of(error, "code")) != 0) complain(c, "wrong code", err.text);
        else if (strcmp(err.field, text_of(error, "field")) != 0) complain(c, "wrong field", err.text);
        else if (err.action != LP_SKIP_RECORD) complain(c, "wrong action", err.text);
    } else if (code != LP_OK) {
        complain(c, "not decoded", err.text);
    } else {
        for (uint32_t i = 0; i < c->want_count; i++)
            if (!as_expected(c, i, record)) complain(c, "wrong value", c->wants[i].path);
        if (cuts) check_cuts(c, plan, record);
    }
    free(copy);
}

static void run_wants(struct conformance *c, bool cuts)
{
    struct lp_avro_plan *plan = NULL;
    struct lp_error err = {0};
    const json_t *error = json_object_get(c->entry, "error");
    bool plan_fails = error != NULL && strcmp(text_of(error, "stage"), "plan") == 0;
    uint32_t numbers = 0, texts = 0;
    lp_want_assign_slots(c->wants, c->want_count, &numbers, &texts);
    enum lp_code code = lp_avro_plan_new(c->writer, c->reader, c->wants, c->want_count, &plan, &err);
    if (plan_fails) {
        if (code == LP_OK) complain(c, "planned", "an error was expected");
        else if (strcmp(lp_code_name(code), text_of(error, "code")) != 0) complain(c, "wrong code", err.text);
        else if (strcmp(err.field, text_of(error, "field")) != 0) complain(c, err.field, err.text);
    } else if (code != LP_OK) {
        complain(c, "not planned", err.text);
    } else {
        /* Exact allocations: a slot too far is seen. */
        struct lp_record record = {.numbers = malloc((numbers + 1) * sizeof(double)),
                                   .texts = malloc((texts + 1) * sizeof(struct lp_span)),
                                   .scratch = malloc(SCRATCH_BYTES),
                                   .scratch_bytes = SCRATCH_BYTES};
        for (uint32_t i = 0; i < numbers; i++) record.numbers[i] = -12345.0;
        for (uint32_t i = 0; i < texts; i++) record.texts[i] = lp_span_text("unset");
        check_run(c, plan, &record, cuts);
        free(record.numbers);
        free(record.texts);
        free(record.scratch);
    }
    lp_avro_plan_free(plan);
}

/* In order; and, where the outcome cannot depend on it, reversed, doubled and alone. */
static void run_orders(struct conformance *c)
{
    uint32_t count = (uint32_t)json_array_size(json_object_get(c->entry, "wants"));
    assert_true(count * 2 <= WANTS_MAX);
    c->want_count = count;
    for (uint32_t i = 0; i < count; i++) read_want(c, i, i);
    run_wants(c, true);
    if (json_object_get(c->entry, "error") != NULL) return;
    for (uint32_t i = 0; i < count; i++) read_want(c, i, count - 1 - i);
    run_wants(c, true);
    c->want_count = count * 2;
    for (uint32_t i = 0; i < count * 2; i++) read_want(c, i % count, i);
    run_wants(c, false);
    c->want_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        read_want(c, i, 0);
        run_wants(c, true);
    }
    c->want_count = 0;
    run_wants(c, true);
}

static void check_fingerprint(const struct conformance *c)
{
    const char *expected = text_of(c->entry, "fingerprint");
    char shown[17];
    uint64_t fingerprint = lp_avro_schema_fingerprint(c->writer);
    for (unsigned i = 0; i < 8; i++) snprintf(shown + 2 * i, 3, "%02x", (unsigned)(fingerprint >> (8 * i)) & 0xff);
    if (expected != NULL && strcmp(expected, shown) != 0) complain(c, "fingerprint", shown);
}

static void run_case(struct conformance *c)
{
    const json_t *error = json_object_get(c->entry, "error");
    struct lp_error err = {0};
    enum lp_code code = lp_avro_schema_parse(lp_span_text(text_of(c->entry, "writer")), &c->writer, &err);
    if (error != NULL && strcmp(text_of(error, "stage"), "schema") == 0) {
        if (code == LP_OK) complain(c, "parsed", "an error was expected");
        else if (strcmp(lp_code_name(code), text_of(error, "code")) != 0) complain(c, "wrong code", err.text);
        return;
    }
    if (code != LP_OK) {
        complain(c, "writer", err.text);
        return;
    }
    check_fingerprint(c);
    const char *reader = text_of(c->entry, "reader");
    if (reader != NULL && lp_avro_schema_parse(lp_span_text(reader), &c->reader, &err) != LP_OK) {
        complain(c, "reader", err.text);
        return;
    }
    read_body(c);
    run_orders(c);
}

static void every_case_comes_out_as_the_specification_says(void **state)
{
    (void)state;
    const char *other = getenv("LEPTON_AVRO_CASES"); /* random ones: tests/data/avro/make_random.py */
    FILE *file = fopen(other != NULL ? other : TEST_DATA_DIR "/avro/cases.jsonl", "r");
    assert_non_null(file);
    char *line = malloc(LINE_MAX_BYTES);
    uint32_t cases = 0, bodies = 0;
    while (fgets(line, LINE_MAX_BYTES, file) != NULL) {
        struct conformance *c = calloc(1, sizeof *c);
        c->entry = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(c->entry);
        c->name = text_of(c->entry, "name");
        run_case(c);
        cases++;
        bodies += json_object_get(c->entry, "body") != NULL;
        lp_avro_schema_free(c->writer);
        lp_avro_schema_free(c->reader);
        json_decref(c->entry);
        free(c->body);
        free(c);
    }
    free(line);
    fclose(file);
    printf("%u cases, %u with bodies, %u complaints\n", cases, bodies, failures);
    assert_int_equal(failures, 0);
    assert_true(bodies >= 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_comes_out_as_the_specification_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
