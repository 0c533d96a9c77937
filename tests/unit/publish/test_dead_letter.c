/* Dead-letter headers: the names are Kafka Connect's (KIP-298), the numbers decimal text. */
#include "publish/dead_letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { HEADERS_MAX = 16 };

static struct {
    uint32_t count;
    char names[HEADERS_MAX][64], values[HEADERS_MAX][128];
} seen;

static void add(void *context, const char *name, struct lp_span value)
{
    assert_ptr_equal(context, &seen);
    assert_true(seen.count < HEADERS_MAX);
    assert_non_null(value.data);
    snprintf(seen.names[seen.count], 64, "%s", name);
    snprintf(seen.values[seen.count], 128, "%.*s", (int)value.size, (const char *)value.data);
    seen.count++;
}

static void expect_headers(const char *const want[][2], uint32_t count)
{
    assert_int_equal(seen.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(seen.names[i], want[i][0]);
        assert_string_equal(seen.values[i], want[i][1]);
    }
}

static void headers_are_kafka_connects_and_ours(void **state)
{
    (void)state;
    const struct lp_error error = {
        .code = LP_E_REFUSED, .action = LP_SKIP_RECORD, .text = "age: -3 is below 0", .field = "age"};
    const struct lp_dead_letter letter = {.topic = "features",
                                          .partition = 12,
                                          .offset = 9007199254740993,
                                          .stage = LP_STAGE_CLEAN,
                                          .error = &error,
                                          .connector = "scorers",
                                          .lane = 3};
    seen.count = 0;
    lp_dead_letter_headers(&letter, add, &seen);
    static const char *const want[][2] = {
        {"__connect.errors.topic", "features"},
        {"__connect.errors.partition", "12"},
        {"__connect.errors.offset", "9007199254740993"},
        {"__connect.errors.connector.name", "scorers"},
        {"__connect.errors.task.id", "3"},
        {"__connect.errors.stage", "clean"},
        {"__connect.errors.class.name", "lepton.clean"},
        {"__connect.errors.exception.class.name", "lepton.refused"},
        {"__connect.errors.exception.message", "age: -3 is below 0"},
        {"lepton.error.field", "age"},
        {"lepton.error.code", "refused"},
    };
    expect_headers(want, 11);
}

static void without_a_field_there_is_no_field_header(void **state)
{
    (void)state;
    const struct lp_error error = {.code = LP_E_INVALID, .text = "bytes end early"};
    const struct lp_dead_letter letter = {.topic = "t", .partition = 0, .offset = 0, .error = &error};
    seen.count = 0;
    lp_dead_letter_headers(&letter, add, &seen);
    assert_int_equal(seen.count, 10);
    assert_string_equal(seen.names[9], "lepton.error.code");
    assert_string_equal(seen.values[9], "invalid");
    assert_string_equal(seen.values[3], ""); /* no group */
}

static void stages_have_names(void **state)
{
    (void)state;
    assert_string_equal(lp_stage_name(LP_STAGE_DECODE), "decode");
    assert_string_equal(lp_stage_name(LP_STAGE_CLEAN), "clean");
    assert_string_equal(lp_stage_name(LP_STAGE_INFER), "infer");
    assert_string_equal(lp_stage_name(LP_STAGE_PUBLISH), "publish");
    assert_string_equal(lp_stage_name(LP_STAGE_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_kafka_connects_and_ours),
        cmocka_unit_test(without_a_field_there_is_no_field_header),
        cmocka_unit_test(stages_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
