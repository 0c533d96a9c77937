/* The growing buffer: numbers in the house's form, JSON strings by RFC 8259 and RFC 3629, its maximum. */
#include "core/buffer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 4096 };

static int open_buffer(void **state)
{
    static struct lp_buffer buffer;
    lp_buffer_init(&buffer, MAX_BYTES);
    *state = &buffer;
    return 0;
}

static int close_buffer(void **state)
{
    lp_buffer_done(*state);
    return 0;
}

static void expect(struct lp_buffer *buffer, const char *text)
{
    assert_false(buffer->failed);
    assert_int_equal(buffer->size, strlen(text));
    assert_memory_equal(buffer->data, text, buffer->size);
    lp_buffer_clear(buffer);
}

/* Texts by numpy.float32's and Python's repr, without a trailing ".0". */
static void numbers_have_the_shortest_text_in_one_layout(void **state)
{
    struct lp_buffer *buffer = *state;
    lp_buffer_float(buffer, 3e-45f);
    expect(buffer, "3e-45");
    lp_buffer_float(buffer, 123456789.0f);
    expect(buffer, "123456790");
    lp_buffer_float(buffer, -0.7f);
    expect(buffer, "-0.7");
    lp_buffer_float(buffer, NAN);
    expect(buffer, "nan");
    lp_buffer_double(buffer, 5e-324);
    expect(buffer, "5e-324");
    lp_buffer_double(buffer, 1e15);
    expect(buffer, "1000000000000000");
    lp_buffer_double(buffer, 0x1p-44);
    expect(buffer, "5.684341886080802e-14");
    lp_buffer_double(buffer, -INFINITY);
    expect(buffer, "-inf");
}

static void a_json_string_is_escaped_and_valid_utf8(void **state)
{
    struct lp_buffer *buffer = *state;
    lp_buffer_json_string(buffer, lp_span_text("a\"b\\c\n\x01 gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"));
    expect(buffer, "\"a\\\"b\\\\c\\u000a\\u0001 gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
    /* A byte that begins nothing valid, a surrogate, an overlong form, a cut sequence: a U+FFFD for each byte. */
    lp_buffer_json_string(buffer, lp_span_text("\xff|\xed\xa0\x80|\xc0\x80|\xe2\x82"));
    expect(buffer, "\"\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|"
                   "\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void what_does_not_fit_fails_until_it_is_cleared(void **state)
{
    struct lp_buffer *buffer = *state;
    char text[MAX_BYTES] = {0};
    struct lp_error err;
    lp_buffer_append(buffer, text, sizeof text);
    assert_int_equal(lp_buffer_check(buffer, "text", &err), LP_OK);
    lp_buffer_append(buffer, text, 1);
    lp_buffer_append(buffer, text, 0);
    assert_int_equal(lp_buffer_check(buffer, "text", &err), LP_E_LIMIT);
    lp_buffer_clear(buffer);
    assert_int_equal(lp_buffer_check(buffer, "text", &err), LP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_have_the_shortest_text_in_one_layout, open_buffer, close_buffer),
        cmocka_unit_test_setup_teardown(a_json_string_is_escaped_and_valid_utf8, open_buffer, close_buffer),
        cmocka_unit_test_setup_teardown(what_does_not_fit_fails_until_it_is_cleared, open_buffer, close_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
