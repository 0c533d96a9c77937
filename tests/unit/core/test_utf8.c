/* UTF-8 against table 3-7 of the Unicode Standard 15.0 ("Well-Formed UTF-8 Byte Sequences"), row by row. */
#include "core/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* First and last point of a row, how many bytes, and each byte's range. */
static const struct row {
    uint32_t first, last;
    size_t bytes;
    unsigned char low[4], high[4];
} rows[] = {
    {0x0000, 0x007f, 1, {0x00}, {0x7f}},
    {0x0080, 0x07ff, 2, {0xc2, 0x80}, {0xdf, 0xbf}},
    {0x0800, 0x0fff, 3, {0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}},
    {0x1000, 0xcfff, 3, {0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}},
    {0xd000, 0xd7ff, 3, {0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}},
    {0xe000, 0xffff, 3, {0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}},
    {0x10000, 0x3ffff, 4, {0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}},
    {0x40000, 0xfffff, 4, {0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}},
    {0x100000, 0x10ffff, 4, {0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}},
};

static size_t by_table(const unsigned char *text, size_t left)
{
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        size_t i = 0;
        while (i < rows[r].bytes && i < left && text[i] >= rows[r].low[i] && text[i] <= rows[r].high[i]) i++;
        if (i == rows[r].bytes) return i;
    }
    return 0;
}

/* All pairs of first bytes, third and fourth bytes at the borders of what they may be, cut at every length. */
static void sequences_are_those_of_the_table(void **state)
{
    (void)state;
    static const unsigned char borders[] = {0x00, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (unsigned two = 0; two < 65536; two++)
        for (unsigned tails = 0; tails < 64; tails++) {
            unsigned char text[4] = {(unsigned char)(two >> 8), (unsigned char)two, borders[tails / 8],
                                     borders[tails % 8]};
            for (size_t left = 1; left <= 4; left++)
                if (lp_utf8_sequence(text, left) != by_table(text, left))
                    fail_msg("%02x %02x %02x %02x, %zu bytes", text[0], text[1], text[2], text[3], left);
        }
}

static void every_point_is_written_as_its_row_says(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (uint32_t point = rows[r].first; point <= rows[r].last; point++) {
            unsigned char text[4] = {0};
            assert_int_equal(lp_utf8_put(point, text), rows[r].bytes);
            assert_int_equal(by_table(text, 4), rows[r].bytes);
            /* The point's bits are what the bytes carry behind their marks. */
            uint32_t back = text[0] & (rows[r].bytes == 1 ? 0x7fu : 0xffu >> (rows[r].bytes + 1));
            for (size_t i = 1; i < rows[r].bytes; i++) back = back << 6 | (text[i] & 0x3fu);
            assert_int_equal(back, point);
        }
}

/* Heap of exactly the text's size, so that a sanitizer sees a byte read behind it. */
static bool valid_at(const char *piece, size_t bytes, size_t before, size_t behind)
{
    size_t size = before + bytes + behind;
    unsigned char *text = malloc(size > 0 ? size : 1);
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text + before, piece, bytes);
    bool valid = lp_utf8_valid(text, size);
    /* With memory behind it that is not valid: the answer is about the text only. */
    unsigned char *longer = malloc(size + 8);
    assert_non_null(longer);
    memcpy(longer, text, size);
    memset(longer + size, 0xff, 8);
    assert_int_equal(lp_utf8_valid_before(longer, size, longer + size + 8), valid);
    assert_int_equal(lp_utf8_check(longer, size), valid);
    free(longer);
    free(text);
    return valid;
}

static void a_text_is_valid_wherever_its_sequences_stand(void **state)
{
    (void)state;
    for (size_t before = 0; before < 20; before++)
        for (size_t behind = 0; behind < 20; behind++) {
            assert_true(valid_at("", 0, before, behind));
            assert_true(valid_at("\x00", 1, before, behind));
            assert_true(valid_at("\xc3\xbc", 2, before, behind));
            assert_true(valid_at("\xf0\x9f\x98\x80", 4, before, behind));
            assert_false(valid_at("\x80", 1, before, behind));
            assert_false(valid_at("\xc3", 1, before, behind));
            assert_false(valid_at("\xed\xa0\x80", 3, before, behind));
            assert_false(valid_at("\xe2\x82", 2, before, behind));
        }
    assert_true(lp_utf8_valid(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_are_those_of_the_table),
        cmocka_unit_test(every_point_is_written_as_its_row_says),
        cmocka_unit_test(a_text_is_valid_wherever_its_sequences_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
