#include "decode/avro_value.h"

#include "core/shortest.h"

#include <stdio.h>
#include <stdlib.h>

_Static_assert((int)LP_AVRO_NUMBER_TEXT_BYTES >= (int)LP_SHORTEST_DOUBLE_BYTES, "any number's text fits");

double lp_avro_time_ms(int64_t value, enum lp_avro_time unit)
{
    static const int64_t per_ms[] = {[LP_AVRO_MICROS] = 1000, [LP_AVRO_NANOS] = 1000000};
    if (unit == LP_AVRO_MILLIS) return (double)value;
    if (unit == LP_AVRO_DAYS) return (double)(value * 86400000);
    /* Split, so that the one rounding is that of the sum: microseconds of today are below 2^53, nanoseconds are not. */
    return (double)(value / per_ms[unit]) + (double)(value % per_ms[unit]) / (double)per_ms[unit];
}

/* As real number, in the form's precision. */
static double promoted(struct lp_avro_number number, enum lp_avro_source form)
{
    bool real = number.source >= LP_AVRO_FROM_FLOAT;
    if (form == LP_AVRO_FROM_FLOAT) return real ? (double)(float)number.real : (double)(float)number.integer;
    return real ? number.real : (double)number.integer;
}

size_t lp_avro_number_text(struct lp_avro_number number, enum lp_avro_source form, char *to)
{
    if (form == LP_AVRO_FROM_BOOLEAN) {
        memcpy(to, number.integer ? "true" : "false", 5);
        return number.integer ? 4 : 5;
    }
    if (form < LP_AVRO_FROM_FLOAT)
        return (size_t)snprintf(to, LP_AVRO_NUMBER_TEXT_BYTES, "%lld", (long long)number.integer);
    if (form == LP_AVRO_FROM_FLOAT) return lp_shortest_float(to, (float)promoted(number, form));
    return lp_shortest_double(to, promoted(number, form));
}

/* Divide the big-endian magnitude by 10^9 in place; the remainder. */
static uint32_t divide(unsigned char *bytes, size_t size)
{
    uint64_t rest = 0;
    for (size_t i = 0; i < size; i++) {
        uint64_t part = rest << 8 | bytes[i];
        bytes[i] = (unsigned char)(part / 1000000000u);
        rest = part % 1000000000u;
    }
    return (uint32_t)rest;
}

static bool decimal_long(struct lp_span bytes, uint32_t scale, double *ret_value)
{
    unsigned char magnitude[LP_AVRO_DECIMAL_MAX_BYTES];
    /* log10(256) < 2.41 digits a byte; groups of nine, the first may be short. */
    char text[LP_AVRO_DECIMAL_MAX_BYTES * 3 + 40];
    bool negative = (bytes.data[0] & 0x80) != 0;
    unsigned carry = negative;
    for (size_t i = bytes.size; i-- > 0;) {
        unsigned byte = (negative ? (unsigned)(unsigned char)~bytes.data[i] : bytes.data[i]) + carry;
        magnitude[i] = (unsigned char)byte;
        carry = byte >> 8;
    }
    /* Two's complement of 0x80 00 ... is its own magnitude, read as unsigned: no extra byte is needed. */
    char *end = text + sizeof text - 16, *at = end;
    for (size_t used = 0; used < bytes.size;) {
        uint32_t group = divide(magnitude + used, bytes.size - used);
        for (int digit = 0; digit < 9; digit++, group /= 10) *--at = (char)('0' + group % 10);
        while (used < bytes.size && magnitude[used] == 0) used++;
    }
    if (negative) *--at = '-';
    snprintf(end, 16, "e-%u", (unsigned)scale);
    *ret_value = strtod(at, NULL);
    return true;
}

bool lp_avro_decimal(struct lp_span bytes, uint32_t scale, double *ret_value)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    while (bytes.size > 1 && (bytes.data[0] == 0x00 || bytes.data[0] == 0xff) &&
           ((bytes.data[0] ^ bytes.data[1]) & 0x80) == 0)
        bytes = lp_span_of(bytes.data + 1, bytes.size - 1); /* sign bytes that say nothing */
    if (bytes.size > LP_AVRO_DECIMAL_MAX_BYTES) return false;
    if (bytes.size == 0) {
        *ret_value = 0.0;
        return true;
    }
    if (bytes.size > 8) return decimal_long(bytes, scale, ret_value);
    uint64_t bits = (bytes.data[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < bytes.size; i++) bits = bits << 8 | bytes.data[i];
    int64_t value = (int64_t)bits;
    /* Both operands exact: the quotient is rounded once. */
    if (value < -(INT64_C(1) << 53) || value > INT64_C(1) << 53 || scale >= sizeof tens / sizeof *tens)
        return decimal_long(bytes, scale, ret_value);
    *ret_value = (double)value / tens[scale];
    return true;
}

void lp_avro_uuid_text(const unsigned char *bytes, unsigned char *to)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
        *to++ = (unsigned char)digits[bytes[i] >> 4];
        *to++ = (unsigned char)digits[bytes[i] & 15];
    }
}
