/* Numbers against Python's float() (json_numbers.inc, made by make_json_cases.py) and the C library. */
#include "json_support.h"

#include <math.h>
#include <stdio.h>

static const struct number_case {
    const char *text;
    uint64_t bits;
} cases[] = {
#include "json_numbers.inc"
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

static struct lp_want want_a[] = {{.path = "a", .type = LP_WANT_NUMBER}};
static struct lp_want want_text[] = {{.path = "a", .type = LP_WANT_TEXT}};

static char text[4096];

static void expect_number(const struct lp_json_plan *plan, const char *number, uint64_t bits, const char *around)
{
    snprintf(text, sizeof text, around, number);
    if (run_text(plan, text) != LP_OK) fail_msg("%s: %s", text, err.text);
    if (bits_of(numbers[0]) != bits) fail_msg("%s: %a is not %#llx", text, numbers[0], (unsigned long long)bits);
}

static void numbers_are_the_doubles_that_python_reads(void **state)
{
    (void)state;
    assert_true(CASE_COUNT > 1500);
    struct lp_json_plan *plan = new_plan(want_a, 1);
    for (size_t i = 0; i < CASE_COUNT; i++) {
        /* Near the end of the text the words of eight bytes do not apply; further away they do. */
        expect_number(plan, cases[i].text, cases[i].bits, "{\"a\":%s}");
        expect_number(plan, cases[i].text, cases[i].bits, "{\"a\" : %s , \"zzzzzzzzzzzzzzz\":1}");
    }
    lp_json_plan_free(plan);
}

static void numbers_wanted_as_text_keep_their_characters(void **state)
{
    (void)state;
    struct lp_json_plan *plan = new_plan(want_text, 1);
    for (size_t i = 0; i < CASE_COUNT; i++) {
        snprintf(text, sizeof text, "{\"a\":%s}", cases[i].text);
        assert_int_equal(run_text(plan, text), LP_OK);
        assert_true(lp_span_is(texts[0], cases[i].text));
    }
    lp_json_plan_free(plan);
}

/* xorshift64*, so that every run tests the same numbers */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static void random_doubles_come_back_as_the_c_library_reads_them(void **state)
{
    (void)state;
    struct lp_json_plan *plan = new_plan(want_a, 1);
    uint64_t seed = 20240229;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random(&seed);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        char number[64];
        snprintf(number, sizeof number, "%.*e", 12 + i % 10, value);
        double expected = strtod(number, NULL);
        if (!isfinite(expected)) continue;
        expect_number(plan, number, bits_of(expected), "{\"a\":%s,\"b\":0}");
    }
    lp_json_plan_free(plan);
}

static void numbers_of_every_length_at_every_distance_from_the_end(void **state)
{
    (void)state;
    struct lp_json_plan *plan = new_plan(want_a, 1);
    const char digits[] = "9876543210987654321098765";
    for (int whole = 1; whole <= 22; whole++) {
        for (int fraction = 0; fraction <= 22; fraction++) {
            for (int blanks = 0; blanks < 10; blanks++) {
                char number[64];
                snprintf(number, sizeof number, fraction ? "%.*s.%.*s" : "%.*s", whole, digits, fraction, digits + 2);
                snprintf(text, sizeof text, "{\"a\":%s%*s}", number, blanks, "");
                assert_int_equal(run_text(plan, text), LP_OK);
                assert_true(numbers[0] == strtod(number, NULL));
            }
        }
    }
    lp_json_plan_free(plan);
}

static void numbers_beyond_a_double_are_refused_where_wanted(void **state)
{
    (void)state;
    const char *const beyond[] = {"1e309", "-1e309", "1.7976931348623159e308", "1e999999999999999999999",
                                  "179769313486231580794e288"};
    struct lp_json_plan *plan = new_plan(want_a, 1);
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        snprintf(text, sizeof text, "{\"a\":%s}", beyond[i]);
        assert_int_equal(run_text(plan, text), LP_E_INVALID);
        assert_string_equal(err.field, "a");
        snprintf(text, sizeof text, "{\"b\":%s}", beyond[i]);
        assert_int_equal(run_text(plan, text), LP_OK);
    }
    lp_json_plan_free(plan);
}

static void broken_numbers_are_refused_wanted_or_not(void **state)
{
    (void)state;
    const char *const broken[] = {"01",       "-01",       "-",   "+1",  ".5",    "-.5",  "1.",    "1.e5",        "1e",
                                  "1e+",      "1e-",       "0x1", "1_0", "1.2.3", "1e5.", "1e1e1", "--1",         "NaN",
                                  "Infinity", "-Infinity", "nan", "inf", "00",    "1f",   "1d",    "\xef\xbc\x91"};
    struct lp_json_plan *plan = new_plan(want_a, 1);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const char *const around[] = {"{\"a\":%s}", "{\"b\":%s}", "{\"a\":%s,\"ccccccccccccc\":1}", "{\"b\":[[%s]]}"};
        for (size_t j = 0; j < 4; j++) {
            snprintf(text, sizeof text, around[j], broken[i]);
            if (run_text(plan, text) != LP_E_INVALID) fail_msg("%s was accepted", text);
            assert_int_equal(err.action, LP_SKIP_RECORD);
        }
    }
    lp_json_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_the_doubles_that_python_reads),
        cmocka_unit_test(numbers_wanted_as_text_keep_their_characters),
        cmocka_unit_test(random_doubles_come_back_as_the_c_library_reads_them),
        cmocka_unit_test(numbers_of_every_length_at_every_distance_from_the_end),
        cmocka_unit_test(numbers_beyond_a_double_are_refused_where_wanted),
        cmocka_unit_test(broken_numbers_are_refused_wanted_or_not),
    };
    int failed = cmocka_run_group_tests_name("json_numbers", tests, NULL, NULL);
    free(copy);
    return failed;
}
