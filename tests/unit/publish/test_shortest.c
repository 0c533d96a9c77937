/* Shortest floats against numpy's digits (tests/oracle/make_shortest_cases.py) and the C library's strtof. */
#include "publish/shortest.h"

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

static float of_bits(uint32_t bits)
{
    float value;
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

static void digits_are_numpys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(text_of(of_bits(cases[i].bits)), cases[i].text);
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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_are_numpys),
        cmocka_unit_test(every_exponent_reads_back),
        cmocka_unit_test(what_is_not_finite_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
