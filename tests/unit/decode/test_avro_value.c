/* Conversions of single values against Python's answers (tests/data/avro/make_values.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/avro_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct decimal_case {
    const char *bytes;
    size_t size;
    uint32_t scale;
    double value;
};

struct time_case {
    int64_t value;
    enum lp_avro_time unit;
    double ms;
};

struct utf8_case {
    const char *bytes;
    size_t size;
    bool valid;
};

#include "../../data/avro/values.inc"

static void decimals_are_correctly_rounded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof DECIMALS / sizeof *DECIMALS; i++) {
        double value = 0;
        assert_true(lp_avro_decimal(lp_span_of(DECIMALS[i].bytes, DECIMALS[i].size), DECIMALS[i].scale, &value));
        if (value != DECIMALS[i].value) fail_msg("decimal %zu: %a, not %a", i, value, DECIMALS[i].value);
    }
}

static void decimal_past_its_limit_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[LP_AVRO_DECIMAL_MAX_BYTES + 1];
    double value = 0;
    memset(bytes, 0x55, sizeof bytes);
    assert_false(lp_avro_decimal(lp_span_of(bytes, sizeof bytes), 0, &value));
    assert_true(lp_avro_decimal(lp_span_of(bytes, sizeof bytes - 1), 0, &value));
    bytes[0] = 0; /* a sign byte more */
    assert_true(lp_avro_decimal(lp_span_of(bytes, sizeof bytes), 0, &value));
}

static void times_are_milliseconds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++) {
        double ms = lp_avro_time_ms(TIMES[i].value, TIMES[i].unit);
        if (ms != TIMES[i].ms) fail_msg("time %zu: %a, not %a", i, ms, TIMES[i].ms);
    }
    assert_true(lp_avro_time_ms(-1, LP_AVRO_DAYS) == -86400000.0);
}

static void utf8_is_checked_at_every_length_and_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        for (size_t before = 0; before < 20; before++) {
            size_t size = before + TEXTS[i].size;
            unsigned char *text = malloc(size > 0 ? size : 1);
            memset(text, 'x', before);
            memcpy(text + before, TEXTS[i].bytes, TEXTS[i].size);
            /* The body ends with the text, or goes on behind it. */
            if (lp_utf8_valid_before(text, size, text + size) != TEXTS[i].valid)
                fail_msg("text %zu after %zu", i, before);
            free(text);
            unsigned char *longer = malloc(size + 16);
            memset(longer, 0xff, size + 16);
            memset(longer, 'x', before);
            memcpy(longer + before, TEXTS[i].bytes, TEXTS[i].size);
            if (lp_utf8_valid_before(longer, size, longer + size + 16) != TEXTS[i].valid)
                fail_msg("text %zu in %zu", i, before);
            free(longer);
        }
    }
}

/* The specification's encoding, written here bit by bit. */
static size_t write_varint(uint64_t bits, unsigned char *to)
{
    size_t bytes = 0;
    for (; bits >= 0x80; bits >>= 7) to[bytes++] = (unsigned char)(bits | 0x80);
    to[bytes++] = (unsigned char)bits;
    return bytes;
}

static void varints_of_every_length_are_read_at_both_paths(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int off = -1; off <= 1; off++) {
            uint64_t bits = (UINT64_C(1) << shift) + (uint64_t)(int64_t)off, read = ~bits;
            unsigned char encoded[32] = {0};
            size_t bytes = write_varint(bits, encoded);
            assert_ptr_equal(lp_avro_varint(encoded, encoded + bytes, &read), encoded + bytes);
            assert_true(read == bits);
            memset(encoded + bytes, 0xff, sizeof encoded - bytes);
            read = ~bits;
            assert_ptr_equal(lp_avro_varint(encoded, encoded + sizeof encoded, &read), encoded + bytes);
            assert_true(read == bits);
            for (size_t cut = 0; cut < bytes; cut++) assert_null(lp_avro_varint(encoded, encoded + cut, &read));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_correctly_rounded),
        cmocka_unit_test(decimal_past_its_limit_is_refused),
        cmocka_unit_test(times_are_milliseconds),
        cmocka_unit_test(utf8_is_checked_at_every_length_and_place),
        cmocka_unit_test(varints_of_every_length_are_read_at_both_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
