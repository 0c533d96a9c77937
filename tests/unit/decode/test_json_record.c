/* JSON values as wants take them: texts, numbers, vectors. */
#include "json_support.h"

#include <math.h>
#include <stdio.h>

static void expect_text(uint32_t slot, const char *expected)
{
    if (!lp_span_is(texts[slot], expected))
        fail_msg("\"%.*s\" is not \"%s\"", (int)texts[slot].size, (const char *)texts[slot].data, expected);
}

static void expect_invalid(const struct lp_json_plan *plan, const char *json, const char *field)
{
    if (run_text(plan, json) != LP_E_INVALID) fail_msg("accepted: %s", json);
    assert_int_equal(err.code, LP_E_INVALID);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    assert_string_equal(err.field, field);
}

static void text_takes_strings_numbers_and_booleans(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "t", .type = LP_WANT_TEXT}, {.path = "u", .type = LP_WANT_TEXT}};
    struct lp_json_plan *plan = new_plan(wants, 2);
    assert_int_equal(run_text(plan, "{\"t\":true,\"u\":false}"), LP_OK);
    expect_text(0, "true");
    expect_text(1, "false");
    assert_int_equal(run_text(plan, "{\"t\":-1.50e+3,\"u\":\"\"}"), LP_OK);
    expect_text(0, "-1.50e+3");
    expect_text(1, "");
    assert_non_null(texts[1].data);
    assert_int_equal(run_text(plan, "{\"t\":\"a\\n\\\"\\u20ac\\ud83d\\ude00\\/\",\"u\":\"\\u0000\"}"), LP_OK);
    expect_text(0, "a\n\"\xe2\x82\xac\xf0\x9f\x98\x80/");
    assert_true(lp_span_equal(texts[1], lp_span_of("\0", 1)));
    assert_int_equal(run_text(plan, "{\"t\":\"plain text that is longer than sixteen\"}"), LP_OK);
    assert_true(texts[0].data > copy && texts[0].data < copy + 50); /* not copied */
    expect_invalid(plan, "{\"t\":[]}", "t");
    expect_invalid(plan, "{\"u\":{}}", "u");
    lp_json_plan_free(plan);
}

static void escaped_text_beyond_scratch_is_a_limit(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "t", .type = LP_WANT_TEXT}};
    struct lp_json_plan *plan = new_plan(wants, 1);
    char json[600];
    snprintf(json, sizeof json, "{\"t\":\"\\n%0254d\"}", 7);
    assert_int_equal(run_text(plan, json), LP_OK);
    assert_int_equal(texts[0].size, 255);
    snprintf(json, sizeof json, "{\"t\":\"\\n%0255d\"}", 7);
    assert_int_equal(run_text(plan, json), LP_E_LIMIT);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    assert_string_equal(err.field, "t");
    snprintf(json, sizeof json, "{\"t\":\"%0300d\",\"x\":\"\\n%0255d\"}", 7, 7); /* no escape, or not wanted */
    assert_int_equal(run_text(plan, json), LP_OK);
    lp_json_plan_free(plan);
}

static void numbers_take_booleans_and_refuse_the_rest(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "a", .type = LP_WANT_NUMBER}, {.path = "o.a", .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 2);
    assert_int_equal(run_text(plan, "{\"a\":true,\"o\":{\"a\":false}}"), LP_OK);
    assert_true(numbers[0] == 1 && numbers[1] == 0);
    expect_invalid(plan, "{\"a\":\"1\"}", "a");
    expect_invalid(plan, "{\"a\":[1]}", "a");
    expect_invalid(plan, "{\"a\":{}}", "a");
    expect_invalid(plan, "{\"o\":{\"a\":\"\"}}", "o.a");
    expect_invalid(plan, "{\"o\":5}", "o.a");
    expect_invalid(plan, "{\"o\":[5]}", "o.a");
    expect_invalid(plan, "{\"a\":tru}", "a");
    expect_invalid(plan, "{\"a\":truE}", "a");
    lp_json_plan_free(plan);
}

static void vectors_have_their_exact_width(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "v", .type = LP_WANT_VECTOR, .width = 3},
                              {.path = "v[1]", .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 2);
    assert_int_equal(run_text(plan, "{\"v\": [ 1.5 , null , true ] }"), LP_OK);
    assert_true(numbers[0] == 1.5 && isnan(numbers[1]) && numbers[2] == 1 && isnan(numbers[3]));
    assert_int_equal(run_text(plan, "{\"v\":[1,2,3]}"), LP_OK);
    assert_true(numbers[2] == 3 && numbers[3] == 2);
    const char *const bad[] = {"[]",     "[1,2]",    "[1,2,3,4]", "[1,2,\"3\"]", "[1,[2],3]",
                               "[1,2,3", "[1,2,3,]", "[1 2 3]",   "[,1,2]",      "{}",
                               "7",      "\"x\"",    "[1,2,nul]", "[1,2,1e999]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"v\":%s}", bad[i]);
        assert_int_equal(run_text(plan, json), LP_E_INVALID);
        if (bad[i][0] == '[') assert_string_equal(err.field, "v");
    }
    lp_json_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_takes_strings_numbers_and_booleans),
        cmocka_unit_test(escaped_text_beyond_scratch_is_a_limit),
        cmocka_unit_test(numbers_take_booleans_and_refuse_the_rest),
        cmocka_unit_test(vectors_have_their_exact_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
