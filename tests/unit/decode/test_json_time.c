/* RFC 3339; expected milliseconds from GNU date (date -u -d TEXT +%s%3N). */
#include "json_support.h"

#include <math.h>
#include <stdio.h>

static struct lp_want wants[] = {{.path = "at", .type = LP_WANT_TIME_MS}};

static void times_become_milliseconds(void **state)
{
    (void)state;
    const struct {
        const char *text;
        double ms;
    } cases[] = {
        {"\"1970-01-01T00:00:00Z\"", 0},
        {"\"2013-01-01T05:15:00Z\"", 1357017300000},
        {"\"2024-02-29T12:34:56.789Z\"", 1709210096789},
        {"\"2024-02-29T12:34:56.789+01:00\"", 1709206496789},
        {"\"2024-02-29t12:34:56.789-05:30\"", 1709229896789},
        {"\"2024-02-29 12:34:56z\"", 1709210096000},
        {"\"2024-02-29T12:34:56.7890001Z\"", 1709210096789.0001},
        {"\"2024-02-29T12:34:56.78900010009Z\"", 1709210096789.0001},
        {"\"1969-12-31T23:59:59.5Z\"", -500},
        {"\"1900-03-01T00:00:00Z\"", -2203891200000},
        {"\"0000-01-01T00:00:00Z\"", -62167219200000},
        {"\"0001-01-01T00:00:00Z\"", -62135596800000},
        {"\"9999-12-31T23:59:59.999Z\"", 253402300799999},
        {"\"2000-02-29T00:00:00-00:00\"", 951782400000},
        {"\"2016-12-31T23:59:60Z\"", 1483228800000},
        {"\"2017-01-01T00:59:60+01:00\"", 1483228800000},
        {"\"2024-02-29T12:34:56\\u002b01:00\"", 1709206496000},
        {"1709210096789", 1709210096789},
        {"-1.5", -1.5},
        {"0", 0},
    };
    struct lp_json_plan *plan = new_plan(wants, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[128];
        snprintf(json, sizeof json, "{\"at\":%s}", cases[i].text);
        if (run_text(plan, json) != LP_OK) fail_msg("%s: %s", json, err.text);
        if (numbers[0] != cases[i].ms) fail_msg("%s: %.6f is not %.6f", json, numbers[0], cases[i].ms);
        assert_int_equal(record.scratch_used, 0);
    }
    assert_int_equal(run_text(plan, "{\"at\":null}"), LP_OK);
    assert_true(isnan(numbers[0]));
    lp_json_plan_free(plan);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "\"\"",
        "\"2024-02-29\"",
        "\"2024-02-29T12:34:56\"",
        "\"2024-02-29T12:34Z\"",
        "\"2023-02-29T12:34:56Z\"",
        "\"1900-02-29T00:00:00Z\"",
        "\"2024-00-01T00:00:00Z\"",
        "\"2024-13-01T00:00:00Z\"",
        "\"2024-04-31T00:00:00Z\"",
        "\"2024-01-00T00:00:00Z\"",
        "\"2024-01-01T24:00:00Z\"",
        "\"2024-01-01T00:60:00Z\"",
        "\"2024-01-01T00:00:61Z\"",
        "\"2024-01-01T12:00:60Z\"",
        "\"2024-01-01T00:00:00.Z\"",
        "\"2024-01-01T00:00:00+24:00\"",
        "\"2024-01-01T00:00:00+0100\"",
        "\"2024-01-01T00:00:00+01\"",
        "\"2024-01-01T00:00:00Zx\"",
        "\" 2024-01-01T00:00:00Z\"",
        "\"24-01-01T00:00:00Z\"",
        "\"+2024-01-01T00:00:00Z\"",
        "\"2024-1-1T00:00:00Z\"",
        "\"1709210096789\"",
        "true",
        "[0]",
        "{}",
    };
    struct lp_json_plan *plan = new_plan(wants, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char json[128];
        snprintf(json, sizeof json, "{\"at\":%s}", bad[i]);
        if (run_text(plan, json) != LP_E_INVALID) fail_msg("accepted: %s", json);
        assert_string_equal(err.field, "at");
        assert_int_equal(err.action, LP_SKIP_RECORD);
    }
    lp_json_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_become_milliseconds),
        cmocka_unit_test(other_texts_are_refused),
    };
    int failed = cmocka_run_group_tests_name("json_time", tests, NULL, NULL);
    free(copy);
    return failed;
}
