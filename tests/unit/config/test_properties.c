/* Expectations from the documentation of java.util.Properties.load and from java.util.Properties itself (JDK 17). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char seen[4096];

static enum lp_code note(void *context, const char *key, const char *value, uint32_t line, struct lp_error *err)
{
    (void)context, (void)err;
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%u[%s][%s]", line, key, value);
    return LP_OK;
}

static enum lp_code read_text(const char *text, size_t bytes, struct lp_error *err)
{
    seen[0] = '\0';
    return lp_properties_read(lp_span_of(text, bytes), "t", note, NULL, err);
}

static void gives(const char *text, const char *expected)
{
    struct lp_error err;
    assert_int_equal(read_text(text, strlen(text), &err), LP_OK);
    assert_string_equal(seen, expected);
}

static void fails(const char *text, const char *expected)
{
    struct lp_error err;
    assert_int_not_equal(read_text(text, strlen(text), &err), LP_OK);
    if (strstr(err.text, expected) == NULL) fail_msg("\"%s\" does not hold \"%s\"", err.text, expected);
}

static void separators_are_equals_colon_and_white_space(void **state)
{
    (void)state;
    gives("a=1\nb:2\nc 3\nd\t=\t4\ne  :  5\nf==6\ng = = 7\nh",
          "1[a][1]2[b][2]3[c][3]4[d][4]5[e][5]6[f][=6]7[g][= 7]8[h][]");
}

static void comments_and_blank_lines_are_skipped(void **state)
{
    (void)state;
    gives("# x=1\n\n   \t\n  ! y=2\n\f#z\na=1 # not a comment\n", "6[a][1 # not a comment]");
}

static void every_line_end_counts_once(void **state)
{
    (void)state;
    gives("a=1\r\nb=2\rc=3\n\r\nd=4", "1[a][1]2[b][2]3[c][3]5[d][4]");
}

static void continuations_join_and_lose_leading_white_space(void **state)
{
    (void)state;
    gives("fruits  apple, banana, pear, \\\n     cantaloupe, \\\r\n  mango\nnext=1",
          "1[fruits][apple, banana, pear, cantaloupe, mango]4[next][1]");
    gives("a=1\\\\\nb=2", "1[a][1\\]2[b][2]");
    gives("a=1\\\n#b=2", "1[a][1#b=2]");
    gives("a=1\\", "1[a][1]");
    gives("a=1\\\n\nb=2", "1[a][1]3[b][2]");
    gives("ke\\\n  y=1", "1[key][1]");
    gives("\\\n# c\na=1", "3[a][1]");
}

static void escapes_are_javas(void **state)
{
    (void)state;
    gives("a\\=b\\:c\\ d=x\\ty\\nz\\q\\\"", "1[a=b:c d][x\ty\nzq\"]");
    gives("a=\\u0041\\u00e9\\u20ac\\uD83D\\uDE00", "1[a][A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80]");
    gives("a=\\  b", "1[a][  b]");
}

static void white_space_at_the_end_of_a_value_stays(void **state)
{
    (void)state;
    gives("a=1 \t\n", "1[a][1 \t]");
}

static void utf8_and_a_byte_order_mark_are_read(void **state)
{
    (void)state;
    gives("\xef\xbb\xbf"
          "a=gr\xc3\xbc\xc3\x9f",
          "1[a][gr\xc3\xbc\xc3\x9f]");
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    fails("a=1\n\nb=\\u12g4", "t:3: \\u wants");
    fails("b=\\u12", "t:1: \\u wants");
    fails("b=\\u0000", "t:1: \\u wants");
    fails("b=\\uD83D", "surrogate");
    fails("b=\\uDE00\\uD83D", "surrogate");
    fails("b=\\uD83D\\u0041", "surrogate");
    fails("a=1\n=2", "t:2: has no key");
    fails("a=\xff", "t:1: is not UTF-8");
    fails("a=\xc0\xaf", "is not UTF-8");
    fails("a=\xed\xa0\x80", "is not UTF-8");
    struct lp_error err;
    assert_int_equal(read_text("a=1\0b", 5, &err), LP_E_INVALID);
}

static void limits_hold(void **state)
{
    (void)state;
    struct lp_error err;
    size_t bytes = LP_PROPERTIES_MAX_BYTES + 1;
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, '#', bytes);
    assert_int_equal(read_text(text, bytes, &err), LP_E_LIMIT);
    assert_int_equal(read_text(text, bytes - 1, &err), LP_OK);
    memset(text, 'a', bytes);
    assert_int_equal(read_text(text, LP_PROPERTIES_LINE_MAX_BYTES + 1, &err), LP_E_LIMIT);
    assert_int_equal(read_text(text, LP_PROPERTIES_LINE_MAX_BYTES, &err), LP_OK);
    for (size_t i = 0; i < 2 * (LP_PROPERTIES_ENTRIES_MAX + 1); i += 2) memcpy(text + i, "a\n", 2);
    assert_int_equal(read_text(text, (size_t)2 * LP_PROPERTIES_ENTRIES_MAX, &err), LP_OK);
    assert_int_equal(read_text(text, (size_t)2 * (LP_PROPERTIES_ENTRIES_MAX + 1), &err), LP_E_LIMIT);
    free(text);
}

static enum lp_code stop(void *context, const char *key, const char *value, uint32_t line, struct lp_error *err)
{
    (void)context, (void)value, (void)line;
    return lp_fail_field(err, LP_E_REFUSED, LP_FATAL, key, "stop");
}

static void a_refused_entry_ends_the_reading(void **state)
{
    (void)state;
    struct lp_error err;
    assert_int_equal(lp_properties_read(lp_span_text("k=v\n\\u"), "t", stop, NULL, &err), LP_E_REFUSED);
    assert_string_equal(err.field, "k");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separators_are_equals_colon_and_white_space),
        cmocka_unit_test(comments_and_blank_lines_are_skipped),
        cmocka_unit_test(every_line_end_counts_once),
        cmocka_unit_test(continuations_join_and_lose_leading_white_space),
        cmocka_unit_test(escapes_are_javas),
        cmocka_unit_test(white_space_at_the_end_of_a_value_stays),
        cmocka_unit_test(utf8_and_a_byte_order_mark_are_read),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_refused_entry_ends_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
