/* Hashes by the vectors of their author, hexadecimal digits by the C library. */
#include "core/hash.h"
#include "core/hex.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* http://www.isthe.com/chongo/src/fnv/test_fnv.c */
static void fnv1a_has_its_authors_values(void **state)
{
    (void)state;
    assert_true(lp_fnv1a64(lp_span_text("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(lp_fnv1a64(lp_span_text("a")) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(lp_fnv1a64(lp_span_text("foobar")) == UINT64_C(0x85944171f73967e8));
    assert_true(lp_fnv1a64_add(LP_FNV1A64_START, 'a') == UINT64_C(0xaf63dc4c8601ec8c));
}

static void hexadecimal_digits_are_the_librarys(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char text[] = {(char)c, '\0'};
        assert_int_equal(lp_hex_digit(c), isxdigit(c) ? (int)strtol(text, NULL, 16) : -1);
        assert_int_equal(lp_hex_digit(text[0]), lp_hex_digit(c)); /* char may be signed */
    }
}

static void a_unit_is_four_digits(void **state)
{
    (void)state;
    assert_int_equal(lp_hex_unit("00fCx"), 0xfc);
    assert_int_equal(lp_hex_unit("FFFF"), 0xffff);
    assert_int_equal(lp_hex_unit("12 4"), -1);
    assert_int_equal(lp_hex_unit("+123"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fnv1a_has_its_authors_values),
        cmocka_unit_test(hexadecimal_digits_are_the_librarys),
        cmocka_unit_test(a_unit_is_four_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
