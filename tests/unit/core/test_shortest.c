/* Shortest numbers against numpy's and Python's digits (tests/oracle/make_shortest_cases.py), strtof and strtod. */
#include "core/shortest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    uint32_t bits;
    const char *text;
} cases[] = {
#include "shortest_cases.inc"
};

static const struct {
    uint64_t bits;
    const char *text;
} double_cases[] = {
#include "shortest_double_cases.inc"
};

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double double_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Zero-terminated, and checked not to leave its space. */
static const char *text_of(float value)
{
    static char text[LP_SHORTEST_FLOAT_BYTES + 1];
    memset(text, '#', sizeof text);
    size_t length = lp_shortest_float(text, value);
    assert_in_range(length, 1, LP_SHORTEST_FLOAT_BYTES);
    text[length] = 0;
    return text;
}

static const char *double_text_of(double value)
{
    static char text[LP_SHORTEST_DOUBLE_BYTES + 1];
    memset(text, '#', sizeof text);
    size_t length = lp_shortest_double(text, value);
    assert_in_range(length, 1, LP_SHORTEST_DOUBLE_BYTES);
    text[length] = 0;
    return text;
}

static void digits_are_numpys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(text_of(of_bits(cases[i].bits)), cases[i].text);
}

static void digits_of_doubles_are_pythons(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof double_cases / sizeof *double_cases; i++)
        assert_string_equal(double_text_of(double_of_bits(double_cases[i].bits)), double_cases[i].text);
}

static void every_exponent_of_a_double_reads_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        for (uint64_t i = 0; i < 12; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            uint64_t significand = i == 0 ? 0 : i == 1 ? UINT64_MAX >> 12 : i == 2 ? 1 : seed >> 12;
            double value = double_of_bits((seed & UINT64_C(1) << 63) | exponent << 52 | significand);
            double back = strtod(double_text_of(value), NULL);
            assert_memory_equal(&back, &value, sizeof value);
        }
    }
}

static void every_exponent_reads_back(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (uint32_t exponent = 0; exponent < 255; exponent++) {
        for (uint32_t i = 0; i < 400; i++) {
            seed = seed * 1664525 + 1013904223;
            uint32_t significand = i == 0 ? 0 : i == 1 ? 0x7fffff : i == 2 ? 1 : seed >> 9;
            float value = of_bits((seed & 0x80000000u) | exponent << 23 | significand);
            float back = strtof(text_of(value), NULL);
            assert_memory_equal(&back, &value, sizeof value);
        }
    }
}

static void what_is_not_finite_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(text_of(NAN), "nan");
    assert_string_equal(text_of(INFINITY), "inf");
    assert_string_equal(text_of(-INFINITY), "-inf");
    assert_string_equal(double_text_of(NAN), "nan");
    assert_string_equal(double_text_of(INFINITY), "inf");
    assert_string_equal(double_text_of(-INFINITY), "-inf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_are_numpys),
        cmocka_unit_test(every_exponent_reads_back),
        cmocka_unit_test(digits_of_doubles_are_pythons),
        cmocka_unit_test(every_exponent_of_a_double_reads_back),
        cmocka_unit_test(what_is_not_finite_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
